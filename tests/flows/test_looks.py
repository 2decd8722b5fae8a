"""Each new model that is judged on the same rows is a look at them, and is written down."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flows.engine.context import Run
from flows.judging import note_look
from pipeline.core.registry import Registry
from pipeline.core.store import Dataset, Store
from pipeline.settings import Settings

ROWS = Dataset("test_set", "f1", "rows-a", 24)
MODEL = Dataset("model", "m1", "adapter-1", 300)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    settings = Settings.model_validate({"paths": {"home": tmp_path}})
    return Run(
        flow="run",
        settings=settings,
        folder=tmp_path / "runs" / "20260131T120000Z-run-a",
        started_at="2026-01-31T12:00:00Z",
        store=Store(tmp_path / "store"),
        registry=Registry(tmp_path / "refs"),
    )


def ledger(run):
    path = run.home / "monitor" / "looks.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_second_model_is_a_second_look_and_the_first_stays_the_first(run):
    second = replace(MODEL, fingerprint="m2", content="adapter-2")
    assert [note_look(run, ROWS, model) for model in (MODEL, second, MODEL)] == [1, 2, 1]
    assert [row["model"] for row in ledger(run)] == ["adapter-1", "adapter-2"]
    assert ledger(run)[0]["rows"] == 24 and ledger(run)[0]["run"] == run.folder.name


def test_the_same_adapter_trained_again_and_the_same_rows_frozen_again_are_no_new_look(run):
    note_look(run, ROWS, MODEL)
    assert note_look(run, replace(ROWS, fingerprint="f2"), replace(MODEL, fingerprint="m9")) == 1
    assert len(ledger(run)) == 1


def test_other_rows_are_looked_at_for_the_first_time(run):
    note_look(run, ROWS, MODEL)
    fresh = replace(ROWS, content="rows-b")
    assert note_look(run, fresh, replace(MODEL, content="adapter-2")) == 1
    assert len(ledger(run)) == 2


def test_a_line_torn_by_a_crash_keeps_to_itself(run):
    note_look(run, ROWS, MODEL)
    with (run.home / "monitor" / "looks.jsonl").open("a") as stream:
        stream.write('{"at": "2026-01')
    assert note_look(run, ROWS, replace(MODEL, content="adapter-2")) == 2
    assert note_look(run, ROWS, MODEL) == 1
