"""Which scale to take, of what was measured."""

from pipeline.core.record import as_json, read_json
from pipeline.evaluate.retention.frontier import Point, frontier

FORGETFUL = [
    Point(1.0, 1.50, 3.30, 0.30),
    Point(0.25, 2.10, 3.02, 0.02),
    Point(0.75, 1.55, 3.16, 0.16),
    Point(0.5, 1.80, 3.08, 0.08),
]


def test_the_scale_within_the_limit_of_the_least_validation_loss_is_chosen():
    found = frontier(FORGETFUL, limit=0.20)
    assert [point.scale for point in found.points] == [0.25, 0.5, 0.75, 1.0]
    assert found.chosen == 0.75
    assert found.summary == (
        "scale 0.75 keeps the limit of 0.2 (rise 0.160, as trained 0.300) at a validation loss "
        "+0.050 from that as trained"
    )
    assert frontier(FORGETFUL, limit=0.10).chosen == 0.5
    assert read_json(type(found), as_json(found)) == found


def test_an_adapter_that_keeps_the_limit_stays_as_it_is():
    found = frontier(FORGETFUL, limit=0.50)
    assert found.chosen == 1.0
    assert "as it is keeps the limit" in found.summary


def test_no_scale_is_chosen_when_all_forget_too_much():
    found = frontier(FORGETFUL, limit=0.01)
    assert found.chosen is None
    assert "the least is 0.020 at 0.25; train again" in found.summary


def test_a_scale_that_forgets_more_and_learns_less_is_dominated():
    worse = Point(1.0, 1.60, 3.30, 0.30)  # more than 0.75 of the change overfits
    found = frontier([worse, *FORGETFUL[1:]], limit=1.0)
    assert found.chosen == 0.75
    assert [point.dominated for point in found.points] == [False, False, False, True]


def test_of_equal_validation_losses_the_smaller_scale_is_chosen():
    found = frontier([Point(0.5, 1.5, 3.1, 0.1), Point(1.0, 1.5, 3.2, 0.2)], limit=1.0)
    assert found.chosen == 0.5
