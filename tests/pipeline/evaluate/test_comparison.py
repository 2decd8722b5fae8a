"""Several trainings on the same rows: means over seeds, spread, paired differences."""

import polars as pl
import pytest

from pipeline.core.outcome import table
from pipeline.evaluate.comparison import Candidate, Trained, candidate
from pipeline.settings import EvaluateSettings
from schemas.evaluation import HeldOutLosses

SETTINGS = EvaluateSettings(bootstrap_draws=500)
FACTS = {
    "trainable_parameters": 10, "steps": 3, "tokens_per_second": 100.0, "seconds": 5.0,
    "peak_memory_bytes": 1000,
}  # fmt: skip


def trained(seed: int, shift: float, **facts: float) -> Trained:
    """A training whose loss is ``shift`` above a base of 1 to 2 nats that differs by document."""
    rows = [
        {
            "pair_id": f"{number:016x}",
            "split": "test" if number < 24 else "validation",
            "cluster_id": f"document {number // 3}",
            "tokens": 1 + number % 5,
            "loss": 1.0 + (number // 3) / 8 + shift,
        }
        for number in range(30)
    ]
    return Trained(seed, table(HeldOutLosses, rows), None, FACTS | facts, 77)


def candidates(trainings: dict[str, list[Trained]]) -> tuple[Candidate, ...]:
    return tuple(
        candidate(name, runs, trainings["a"], 5, SETTINGS) for name, runs in trainings.items()
    )


def test_a_difference_is_that_of_the_means_over_the_seeds_and_paired_by_row() -> None:
    first, second = candidates(
        {
            "a": [trained(1, 0.0), trained(2, 0.2)],
            "b": [trained(1, -0.3), trained(2, -0.1)],
        }
    )
    assert first.difference is None
    assert second.difference is not None
    # Documents differ by more than the methods do; pairing takes that out to the last digit.
    assert second.difference.value == pytest.approx(-0.3)
    assert second.difference.low == pytest.approx(-0.3)
    assert second.difference.high == pytest.approx(-0.3)
    assert first.test_loss is not None and first.test_loss.high - first.test_loss.low > 0.1


def test_the_spread_is_the_standard_deviation_over_the_seeds() -> None:
    two, one = candidates({"a": [trained(1, 0.0), trained(2, 0.2)], "b": [trained(1, 0.0)]})
    assert two.test_spread == pytest.approx(0.2 / 2**0.5)
    assert one.test_spread is None
    assert two.test_loss_by_seed[1] - two.test_loss_by_seed[0] == pytest.approx(0.2)


def test_a_loss_weighs_each_token_alike() -> None:
    (one,) = candidates({"a": [trained(1, 0.0)]})
    rows = trained(1, 0.0).losses.filter(split="test")
    expected = rows.select((pl.col("loss") * pl.col("tokens")).sum() / pl.col("tokens").sum())
    assert one.test_loss is not None and one.test_loss.value == pytest.approx(expected.item())


def test_memory_is_that_of_the_hungriest_training_and_time_the_mean() -> None:
    (one,) = candidates(
        {"a": [trained(1, 0.0, seconds=4.0), trained(2, 0.0, peak_memory_bytes=3000)]}
    )
    assert one.peak_memory_bytes == 3000
    assert one.seconds == pytest.approx(4.5)
    assert one.tokens_written is None, "it was not timed"
