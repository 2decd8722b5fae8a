"""A check puts texts, signals and the watermark together; no model is needed for exchanges."""

import polars as pl

from pipeline.core.outcome import table
from pipeline.core.store import Dataset
from pipeline.drift.check import collect, measure_signals, reference_rows
from pipeline.drift.policy import decide
from pipeline.drift.signals import Inputs, any_worse
from pipeline.drift.windows import Intake, Watched, cut
from pipeline.report.drift_words import reasons_line
from pipeline.settings import Settings
from schemas.drift import DriftFeatures
from schemas.exchanges import Exchanges
from schemas.pairs import Examples, Reviews
from tests.pipeline.drift.corpus import docstrings

SETTINGS = Settings.model_validate(
    {"monitor": {"min_window": 20, "window": 20, "permutations": 199, "calibration_draws": 50}}
)
AT = "2026-01-31T12:00:00Z"


def exchanges(texts):
    rows = [
        {"exchange_id": f"{n:016x}", "prompt": text, "response": None, "time": AT, "rating": None,
         "file": "a.jsonl"}
        for n, text in enumerate(texts)
    ]  # fmt: skip
    return table(Exchanges, rows)


def inputs(texts, dropped=()):
    documents = frozenset(f"seen{n}" for n in range(200))
    served = exchanges(docstrings("scipy")[:80])
    return Inputs(
        settings=SETTINGS,
        watched=Watched(
            champion=Dataset("model", "c" * 16, "content", 1),
            promoted_at=AT,
            reference=Dataset("drift_reference", "r" * 16, "content", 1),
            examples=Dataset("examples", "e" * 16, "content", 1),
            seen=documents,
            dropped=frozenset(["seen0"]),
            duplicates=frozenset(),
        ),
        intake=Intake(texts, frozenset(dropped), frozenset()),
        reviews=table(Reviews, []),
        judged=table(Examples, []),
        examples=table(Examples, []),
        champion=None,
        reference=reference_rows(table(DriftFeatures, []), served, len),
        window=table(DriftFeatures, []),
    )


def new_texts(count):
    rows = [(f"new{n}", "exchange", "unanswered", text)
            for n, text in enumerate(docstrings("prefect")[:count])]  # fmt: skip
    return pl.DataFrame(rows, schema=["id", "kind", "category", "text"], orient="row")


def check(given):
    signals = measure_signals(given, "intake")
    windows = cut(given.intake.texts, SETTINGS.monitor)
    return signals, list(collect(given, signals, windows, len, lambda: AT))


def test_each_text_is_in_one_window_and_dropped_rows_are_in_the_last():
    given = inputs(new_texts(45), dropped=["bad1"])
    signals, checked = check(given)
    assert signals.keys() == {"quarantined", "duplicates"}
    assert len(checked) == 2
    ids = [key for _, window in checked for key in window.ids]
    assert sorted(ids) == sorted([*given.intake.texts["id"], "bad1"])
    assert "bad1" in checked[-1][1].ids
    for evidence, window in checked:
        assert window.evidence_id == evidence.id and evidence.signals == signals
        assert [kind.kind for kind in evidence.kinds] == ["exchange"]
        assert evidence.kinds[0].two_sample.drifted
    assert [evidence.id for evidence, _ in checked] == [found.id for found, _ in check(given)[1]]


def test_an_intake_that_is_mostly_dropped_is_said_to_be_broken_without_any_text():
    given = inputs(new_texts(0), dropped=[f"bad{n}" for n in range(40)])
    signals, checked = check(given)
    assert any_worse(signals, "damage")
    ((evidence, window),) = checked
    assert len(window.ids) == 40 and evidence.kinds == ()
    decision = decide(evidence, [], [], 0, AT, SETTINGS.monitor, SETTINGS.retrain)
    assert decision.action == "broken"
    assert "share of new rows that were dropped: 0.005 → 1" in reasons_line(decision.reasons)
