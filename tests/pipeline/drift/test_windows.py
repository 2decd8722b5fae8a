"""Windows: new texts are dealt out evenly, each is tested once, too few wait."""

import polars as pl
import pytest

from pipeline.core.outcome import table
from pipeline.drift.windows import cut, reference_exchanges
from pipeline.settings import MonitorSettings
from schemas.exchanges import Exchanges

SETTINGS = MonitorSettings(min_window=10, window=20, max_window=100, windows=3)


def texts(**counts):
    rows = [
        {"id": f"{kind}{number:04}", "kind": kind, "category": None, "text": "words"}
        for kind, count in counts.items()
        for number in range(count)
    ]
    schema = {"id": pl.String, "kind": pl.String, "category": pl.String, "text": pl.String}
    return pl.DataFrame(rows, schema=schema)


@pytest.mark.parametrize(
    ("documents", "sizes"),
    [(0, []), (9, []), (10, [10]), (39, [39]), (40, [20, 20]), (61, [21, 20, 20]), (200, [67] * 2)],
)
def test_a_delivery_is_cut_into_windows_of_the_wanted_size(documents, sizes):
    windows = cut(texts(document=documents), SETTINGS)
    assert [window.height for window in windows][: len(sizes)] == sizes
    assert len(windows) <= SETTINGS.windows
    assert sum(window.height for window in windows) == (documents if sizes else 0)


def test_no_text_is_in_two_windows_and_none_is_lost():
    windows = cut(texts(document=61, pair=45), SETTINGS)
    ids = [key for window in windows for key in window["id"]]
    assert len(ids) == len(set(ids)) == 106


def test_a_kind_with_too_few_texts_waits_for_more():
    (window,) = cut(texts(document=12, exchange=9), SETTINGS)
    assert set(window["kind"]) == {"document"}


def test_windows_do_not_depend_on_the_order_of_arrival():
    rows = texts(document=61)
    shuffled = rows.sample(fraction=1, shuffle=True, seed=3)
    for one, other in zip(cut(rows, SETTINGS), cut(shuffled, SETTINGS), strict=True):
        assert one.equals(other)


def test_a_window_is_a_mixture_not_one_end_of_the_folder():
    first, second = cut(texts(document=40), SETTINGS)
    halves = {key: int(key[-4:]) < 20 for key in [*first["id"], *second["id"]]}
    assert 4 <= sum(halves[key] for key in first["id"]) <= 16
    assert 4 <= sum(halves[key] for key in second["id"]) <= 16


def exchanges(times):
    return table(
        Exchanges,
        [
            {
                "exchange_id": f"{number:016x}",
                "prompt": "p",
                "response": "r",
                "time": time,
                "rating": None,
                "file": "f",
            }
            for number, time in enumerate(times)
        ],
    )


def test_what_was_asked_before_the_promotion_is_the_reference_of_what_is_asked_after():
    rows = exchanges([f"2026-01-{day:02}T00:00:00Z" for day in range(1, 31)])
    known = reference_exchanges(rows, "2026-01-12T00:00:00Z", SETTINGS)
    assert known.height == 12
    assert known["time"].max() <= "2026-01-12T00:00:00Z"
    early = reference_exchanges(rows, "2026-01-02T00:00:00Z", SETTINGS)
    assert early.height == 20
    assert early["time"].min() == "2026-01-01T00:00:00Z"
