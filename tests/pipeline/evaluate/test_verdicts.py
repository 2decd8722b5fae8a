"""Simulated verdicts: what is not right is refused at each seed, a right one passes as foreseen."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from pipeline.evaluate.gate.gate import decide
from pipeline.evaluate.results import Retention
from pipeline.evaluate.statistics.power import foresee, looks
from pipeline.evaluate.summary import summarise
from pipeline.settings import EvaluateSettings, GateSettings
from tests.pipeline.evaluate.test_evaluate import answers

SETTINGS = EvaluateSettings(bootstrap_draws=500)
ROWS, DOCUMENTS = 120, 40

ARMS = {
    "base": (0.15, 0.3),
    "few_shot": (0.3, 0.5),
    "retrieval": (0.65, 0.9),
    "challenger_retrieval": (0.8, 0.9),
    "challenger": (0.45, 0.6),
    "placebo": (0.1, 0.2),
}
"""Share of answers that are right, and that stand in the documents."""


def arm(name, right, grounded, generator):
    """Answers of an arm: some documents are harder than others, for each arm alike in kind."""
    rows = answers(name, 2.0, rows=ROWS, documents=DOCUMENTS)
    hard = np.tile(generator.normal(0, 0.1, DOCUMENTS), ROWS // DOCUMENTS)
    drawn = generator.random((2, ROWS))
    return rows.with_columns(
        correct=pl.Series((drawn[0] < right + hard).astype(float)),
        grounded=pl.Series((drawn[1] < grounded + hard).astype(float)),
    )


def verdict(seed, **changes):
    generator = np.random.default_rng(seed)
    said = pl.concat([arm(name, *ARMS[name] if name not in changes else changes[name], generator)
                      for name in ARMS])  # fmt: skip
    evaluation = summarise(said, SETTINGS)
    assert evaluation.served == "challenger_retrieval"
    found = decide(
        replace(evaluation, placebo_steps=(12, 48)), Retention(), GateSettings(), False, 0
    )
    return found.promoted, {reason.name for reason in found.reasons if not reason.passed}


def test_a_placebo_planted_as_the_challenger_is_refused_at_each_of_20_seeds():
    """Asked with passages it does what the placebo does: it copies worse than the base model."""
    for seed in range(20):
        promoted, failed = verdict(
            seed, challenger_retrieval=(0.35, 0.5), placebo=(0.35, 0.5), challenger=(0.1, 0.2)
        )
        assert not promoted and {"better_than_placebo", "better_than_retrieval"} <= failed


def test_a_challenger_with_a_fifth_of_its_facts_swapped_is_refused():
    right, grounded = (0.8 * share for share in ARMS["challenger_retrieval"])
    refused = [verdict(seed, challenger_retrieval=(right, grounded)) for seed in range(20)]
    assert not any(promoted for promoted, _ in refused)
    assert sum("grounded" in failed for _, failed in refused) >= 19


def test_a_challenger_that_is_right_is_promoted():
    assert sum(verdict(seed)[0] for seed in range(20)) >= 18


@pytest.mark.parametrize("rows", [24, 120])
def test_a_gain_of_the_size_that_was_foreseen_is_found_in_four_of_five_runs(rows):
    generator, confidence = np.random.default_rng(7), looks(1, 0.95).confidence
    documents = rows // 2

    def drawn(name, gain, base=None):
        rows_of = answers(name, 2.0, rows=rows, documents=documents)
        noise = generator.normal(0, 0.15, rows)
        start = generator.normal(0.4, 0.05, rows) if base is None else base["correct"].to_numpy()
        return rows_of.with_columns(correct=pl.Series(start + gain + noise).clip(0, 1))

    base = drawn("base", 0.0)
    effect = foresee(base, drawn("few_shot", 0.05, base), confidence).effect
    shown = []
    for _ in range(150):
        both = pl.concat([base, drawn("challenger", effect, base)])
        shown.append(summarise(both, SETTINGS).gains["base"].low > 0)
    assert 0.65 < np.mean(shown) < 0.95, (effect, np.mean(shown))
