"""A stage runs once: same inputs and settings are reused, anything else is made anew."""

import json
from dataclasses import replace

import pytest
from prefect import flow

from flows.engine.context import open_run
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.progress import track
from pipeline.core.stage import Given, Stage
from pipeline.core.store import Filled
from pipeline.settings import SplitSettings
from schemas.pairs import Splits

pytestmark = pytest.mark.usefixtures("prefect")


def make_splits(calls, count=3, settings=None):
    calls.append(count)
    rows = [
        dict.fromkeys(("doc_id", "unit_id", "cluster_id"), f"{i:016x}")
        | {"chunk_id": "", "split": "train"}
        for i in track(range(count), "rows")
    ]
    return Outcome(table(Splits, rows), drops([Drop("x", "too_short")]), rows_in=count + 1)


CHEAP = Stage("split", make_splits, Splits, section="split", dataset="splits")
DEAR = replace(CHEAP, version=1)


def run_once(settings, work):
    """Call ``work(run)`` inside a flow, as the flows do."""

    @flow(name="test")
    def body():
        with open_run("test", settings) as run:
            return work(run), run

    return body()


def test_a_second_call_reuses_the_dataset_and_says_so(settings, capsys):
    calls = []

    def work(run):
        return run(CHEAP, calls=Given(calls))

    first, _ = run_once(settings, work)
    second, run = run_once(settings, work)
    assert first == second
    assert calls == [3]
    assert run.lines[0].reused == first.fingerprint
    assert run.lines[0].note == ""
    assert "4 -> 3" in capsys.readouterr().err
    events = [json.loads(line) for line in (run.folder / "events.ndjson").read_text().splitlines()]
    assert [event["event"] for event in events] == ["START", "REUSE", "COMPLETE"]


@pytest.mark.parametrize(
    ("stage", "section", "also", "files", "note"),
    [
        (replace(DEAR, version=2), SplitSettings(), {}, "abc", ""),
        (DEAR, SplitSettings(salt="other"), {}, "abc", "made anew: salt changed"),
        (DEAR, SplitSettings(), {"other": 1}, "abc", "made anew: other changed"),
        (DEAR, SplitSettings(), {}, "def", "made anew: files changed"),
        (DEAR, SplitSettings(salt="other"), {}, None, "made anew: salt changed; files changed"),
    ],
)
def test_another_version_setting_or_digest_runs_again_and_says_why(
    settings, stage, section, also, files, note
):
    calls = []

    def work(stage, section, also, files):
        return lambda run: run(stage, settings=section, also=also, calls=Given(calls), files=files)

    run_once(settings, work(DEAR, SplitSettings(), {}, "abc"))
    _, run = run_once(settings, work(stage, section, also, files))
    assert len(calls) == 2
    assert run.lines[0].note == note


@pytest.fixture
def change_of_code(monkeypatch):
    """A function that lets the code of all stages look changed."""

    def change():
        modules, changed = Stage.modules, {"tests.flows.test_steps": "changed"}
        monkeypatch.setattr(Stage, "modules", lambda stage: modules(stage) | changed)

    return change


def test_a_cheap_stage_is_made_anew_when_its_code_changed_and_says_so(settings, change_of_code):
    calls = []

    def work(run):
        return run(CHEAP, calls=Given(calls))

    run_once(settings, work)
    change_of_code()
    _, run = run_once(settings, work)
    assert len(calls) == 2
    assert run.lines[0].note == "made anew: its code changed (tests.flows.test_steps)"


def test_a_dear_stage_is_reused_when_its_code_changed_until_it_is_rebuilt(settings, change_of_code):
    calls = []

    def work(run):
        return run(DEAR, calls=Given(calls))

    first, _ = run_once(settings, work)
    change_of_code()
    _, run = run_once(settings, work)
    assert run.lines[0].note == (
        "though its code changed (tests.flows.test_steps); --rebuild split to make it again"
    )
    asking = settings.model_copy(
        update={"store": settings.store.model_copy(update={"rebuild": ("split",)})}
    )
    rebuilt, run = run_once(asking, work)
    assert run.lines[0].note == "made anew: its code changed (tests.flows.test_steps)"
    later, run = run_once(settings, work)
    assert len(calls) == 2
    assert later == rebuilt != first
    assert run.lines[0].note == ""


def test_a_stage_to_rebuild_that_is_not_in_the_run_is_said(settings, capsys):
    asking = settings.model_copy(
        update={"store": settings.store.model_copy(update={"rebuild": ("trian",)})}
    )
    run_once(asking, lambda run: run(DEAR, calls=Given([])))
    assert "rebuild: no stage 'trian' in this run; its stages are split" in capsys.readouterr().err


def test_inputs_count_by_content_not_by_recipe(settings):
    """Two recipes with equal rows feed the next stage alike, so it is reused."""
    calls = []

    def work(key):
        def chain(run):
            upstream = run(CHEAP, calls=Given([]), k=key)

            def copy(rows):
                calls.append(rows.height)
                return Outcome(rows, drops([]), rows_in=rows.height)

            return run(Stage("copy", copy, Splits, {"rows": Splits}), rows=upstream)

        return chain

    first, _ = run_once(settings, work("a"))
    second, _ = run_once(settings, work("b"))
    assert first == second
    assert calls == [3]


def test_a_failed_stage_leaves_no_dataset_and_a_record(settings):
    def compute():
        raise OSError("disk")

    def work(run):
        return run(Stage("split", compute, Splits, dataset="splits"))

    with pytest.raises(OSError, match="disk"):
        run_once(settings, work)
    home = settings.paths.home
    assert not list((home / "store").glob("*/*/manifest.json"))
    (record,) = (home / "runs").glob("*/run.json")
    assert json.loads(record.read_text())["error"] == "OSError: disk"


def test_parents_are_recorded_but_do_not_decide(settings):
    filled = []

    def work(key):
        def chain(run):
            parent = run(CHEAP, calls=Given([]), count=Given(int(key)), k=key)

            def fill(folder):
                filled.append(key)
                (folder / "weights").write_text("w")
                return Filled(identity=("weights",), rows=1)

            stage = Stage("train", fill, None, dataset="model")
            return run(stage, parents={"from": parent})

        return chain

    model, run = run_once(settings, work("3"))
    again, _ = run_once(settings, work("4"))
    assert model == again
    assert filled == ["3"]
    assert run.store.manifest("model", model.fingerprint).inputs["from"].startswith("splits/")
