"""Each new model that is judged on the same rows is a look at them, and is written down."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flows.arms import TestSet, foresee_power, which_look
from flows.engine.context import Run
from pipeline.core.registry import Registry
from pipeline.core.store import Dataset, Store
from pipeline.evaluate.statistics.power import looks
from pipeline.settings import Settings
from schemas.evaluation import Answers
from schemas.pairs import Examples
from tests.flows.judged_home import write
from tests.pipeline.evaluate.conftest import QUESTIONS, examples
from tests.pipeline.evaluate.test_power import noisy

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


def frozen(run, count=6):
    rows = examples(QUESTIONS[:count], "test")
    return write(run.store, Examples, "test_set", rows, {}, settings={"rows": count})


def look(run, rows, content):
    return which_look(run, rows, replace(MODEL, content=content)).number


def ledger(run):
    path = run.home / "monitor" / "looks.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_second_model_is_a_second_look_and_the_first_stays_the_first(run):
    rows = frozen(run)
    assert [look(run, rows, model) for model in ("a", "b", "a")] == [1, 2, 1]
    assert [row["model"] for row in ledger(run)] == ["a", "b"]
    assert ledger(run)[0]["rows"] == 6 and ledger(run)[0]["run"] == run.folder.name


def test_the_next_look_is_foreseen_and_not_written_down(run):
    rows = frozen(run)
    look(run, rows, "a")
    assert which_look(run, rows).number == 2 and len(ledger(run)) == 1


def test_a_judged_model_keeps_its_foresight_and_the_next_one_is_foreseen_less(run):
    test = TestSet(frozen(run), {}, {}, {}, {}, "documents", 40)
    base = {"base": write(run.store, Answers, "answers", noisy("base", 1, 0.4), {}, settings={})}
    before = foresee_power(run, base, test)
    look(run, test.frozen, MODEL.content)
    assert foresee_power(run, base, test, MODEL) == before
    assert foresee_power(run, base, test).effect > before.effect > 0


def test_a_few_more_rows_are_no_fresh_test_set(run):
    look(run, frozen(run, 5), "a")
    assert look(run, frozen(run, 6), "b") == 2
    assert look(run, frozen(run, 6), "a") == 1 and len(ledger(run)) == 3


def test_other_rows_are_looked_at_for_the_first_time(run):
    look(run, frozen(run, 2), "a")
    assert look(run, frozen(run, 6), "b") == 1  # two of six were seen


def test_looks_of_a_home_that_had_no_pairs_in_its_journal_count_by_the_test_set(run):
    rows = frozen(run)
    path = run.home / "monitor" / "looks.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"test_set": rows.content, "model": "a"}) + "\n", "utf-8")
    assert look(run, rows, "b") == 2


def test_a_line_torn_by_a_crash_keeps_to_itself(run):
    rows = frozen(run)
    look(run, rows, "a")
    with (run.home / "monitor" / "looks.jsonl").open("a") as stream:
        stream.write('{"at": "2026-01')
    assert [look(run, rows, model) for model in ("b", "a")] == [2, 1]


def test_all_looks_together_spend_no_more_than_is_allowed():
    spent = [1 - looks(number, 0.95).confidence for number in range(1, 10_000)]
    assert sum(spent) == pytest.approx(0.05, rel=1e-3) and max(spent) == spent[0]
    assert looks(1, 0.95).left == pytest.approx(0.392, abs=1e-3)
    assert [looks(number, 0.95).due for number in (5, 6)] == [False, True]
    two = looks(1, 0.95, ways=2)
    assert 1 - two.confidence == pytest.approx(spent[0] / 2)
