"""A stage runs once: same inputs and settings are reused, anything else is made anew."""

import json

import pytest
from prefect import flow

from flows.context import open_run
from flows.steps import Stage, run_folder_stage, run_stage
from pipeline.outcome import Drop, Outcome, drops, table
from pipeline.progress import track
from pipeline.settings import SplitSettings
from pipeline.store import Filled
from schemas.splits import Splits

pytestmark = pytest.mark.usefixtures("prefect")


def make_splits(calls, count=3):
    def compute():
        calls.append(count)
        rows = [
            {"doc_id": f"{i:016x}", "chunk_id": "", "cluster_id": f"{i:016x}", "split": "train"}
            for i in track(range(count), "rows")
        ]
        return Outcome(table(Splits, rows), drops([Drop("x", "too_short")]), rows_in=count + 1)

    return compute


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
        stage = Stage("split", 1, "splits")
        return run_stage(run, stage, Splits, make_splits(calls), settings=SplitSettings())

    first, _ = run_once(settings, work)
    second, run = run_once(settings, work)
    assert first == second
    assert calls == [3]
    assert run.lines[0].reused == first.fingerprint
    assert "4 -> 3" in capsys.readouterr().err
    events = [json.loads(line) for line in (run.folder / "events.ndjson").read_text().splitlines()]
    assert [event["event"] for event in events] == ["START", "REUSE", "COMPLETE"]


@pytest.mark.parametrize(
    ("stage", "section", "keys"),
    [
        (Stage("split", 2, "splits"), SplitSettings(), {}),
        (Stage("split", 1, "splits"), SplitSettings(salt="other"), {}),
        (Stage("split", 1, "splits"), SplitSettings(), {"files": "abc"}),
    ],
)
def test_another_version_setting_or_key_runs_again(settings, stage, section, keys):
    calls = []

    def work(stage, section, keys):
        return lambda run: run_stage(
            run, stage, Splits, make_splits(calls), settings=section, keys=keys
        )

    run_once(settings, work(Stage("split", 1, "splits"), SplitSettings(), {}))
    run_once(settings, work(stage, section, keys))
    assert len(calls) == 2


def test_inputs_count_by_content_not_by_recipe(settings):
    """Two recipes with equal rows feed the next stage alike, so it is reused."""
    calls = []

    def work(key):
        def chain(run):
            stage = Stage("split", 1, "splits")
            upstream = run_stage(
                run, stage, Splits, make_splits([]), settings=SplitSettings(), keys={"k": key}
            )

            def copy(rows):
                calls.append(rows.height)
                return Outcome(rows, drops([]), rows_in=rows.height)

            return run_stage(
                run,
                Stage("copy", 1, "copies"),
                Splits,
                copy,
                settings={},
                tables={"rows": (upstream, Splits)},
            )

        return chain

    first, _ = run_once(settings, work("a"))
    second, _ = run_once(settings, work("b"))
    assert first == second
    assert calls == [3]


def test_a_failed_stage_leaves_no_dataset_and_a_record(settings):
    def compute():
        raise OSError("disk")

    def work(run):
        return run_stage(run, Stage("split", 1, "splits"), Splits, compute, settings={})

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
            stage = Stage("split", 1, "splits")
            parent = run_stage(
                run, stage, Splits, make_splits([], count=int(key)), settings={}, keys={"k": key}
            )

            def fill(folder):
                filled.append(key)
                (folder / "weights").write_text("w")
                return Filled(identity=("weights",), rows=1)

            return run_folder_stage(
                run, Stage("train", 1, "model"), fill, settings={}, parents={"from": parent}
            )

        return chain

    model, run = run_once(settings, work("3"))
    again, _ = run_once(settings, work("4"))
    assert model == again
    assert filled == ["3"]
    assert run.store.manifest("model", model.fingerprint).inputs["from"].startswith("splits/")
