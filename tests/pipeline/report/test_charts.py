import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate.results import Interval
from pipeline.report.charts import curves, funnel, intervals, ticks
from pipeline.report.contents import Count

SVG = "{http://www.w3.org/2000/svg}"
losses = st.floats(-1e6, 1e6)
points = st.lists(
    st.tuples(st.integers(0, 10_000), losses), max_size=40, unique_by=lambda point: point[0]
).map(sorted)


def percent(text):
    assert text.endswith("%")
    return float(text[:-1])


def test_bars_are_in_proportion_and_splits_lie_end_to_end():
    chart = ElementTree.fromstring(
        funnel(
            [Count(name="documents", count=50), Count(name="pairs", count=200)],
            dict(train=60, validation=20, test=20),
        )
    )
    bars = [(percent(bar.get("x")), percent(bar.get("width"))) for bar in chart.iter(f"{SVG}rect")]
    assert bars == [(0, 25), (0, 100), (0, 30), (30, 10), (40, 10)]


def test_a_step_that_grows_is_not_called_a_share():
    assert "%" not in "".join(
        ElementTree.fromstring(
            funnel([Count(name="a", count=5), Count(name="b", count=9)], None)
        ).itertext()
    )


def test_an_empty_funnel_is_no_division_by_zero():
    assert "<rect" in funnel(
        [Count(name="documents", count=0)], dict(train=0, validation=0, test=0)
    )


@given(points, points)
def test_any_curve_stays_inside_its_frame(train, validation):
    chart = curves(train, validation)
    if not train and not validation:
        assert chart == ""
        return
    root = ElementTree.fromstring(chart)
    for line in root.iter(f"{SVG}polyline"):
        for place in line.get("points").split():
            x, y = map(float, place.split(","))
            assert -0.1 <= x <= 1000.1 and 0 <= y <= 230
    assert len(list(root.iter(f"{SVG}circle"))) == len(validation)


@given(st.lists(st.tuples(losses, st.floats(0, 1e5)), max_size=5), st.booleans())
def test_any_interval_stays_inside_its_frame(found, zero):
    lines = [
        ("arm", Interval(value=value, low=value - reach, high=value + reach), "arm")
        for value, reach in found
    ]
    chart = intervals(lines, "title", zero)
    for element in ElementTree.fromstring(chart).iter() if chart else ():
        for name in ("x1", "x2", "cx"):
            assert element.get(name) is None or 0 <= percent(element.get(name)) <= 100


def test_an_open_end_reaches_the_edge():
    chart = ElementTree.fromstring(
        intervals([("base", Interval(value=1, low=None, high=2), "arm")], "t")
    )
    span = next(line for line in chart.iter(f"{SVG}line") if line.get("class") == "span")
    assert span.get("x1") == "30.00%"


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 8))
def test_ticks_are_few_and_within(low, width, most):
    found = ticks(low, low + width, most)
    assert len(found) <= most + 1
    assert all(
        low - 1e-6 * (abs(low) + width) <= tick <= low + width + 1e-6 * (abs(low) + width)
        for tick in found
    )


def test_ticks_are_round():
    assert ticks(0.03, 0.48, 5) == [0.1, 0.2, 0.3, 0.4] and ticks(1, 32, 6) == [10, 20, 30]
