"""A stranger's first project: no gold row, no champion, nothing reviewed; then a champion."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from annotation.decisions import Decision
from annotation.queue_files import FileQueue
from flows.cli.main import main
from pipeline.train.models.base_model import BaseModel
from tests.conftest import ROOT
from tests.pipeline.pairs.endpoint_server import serving, teach

SMALL = (
    "train.max_steps=8", "train.learning_rate=1e-2", "train.epochs=1", "train.evaluations=1",
    "forgetting.instructions=2", "forgetting.safety_requests=2", "evaluate.max_new_tokens=4",
    "evaluate.bootstrap_draws=200", "generate.self_instruct_tasks=2", "model.threads=1",
    "tune.trials=1", "tune.methods=[\"lora\"]",
)  # fmt: skip
"""Less of everything: what is tried is the way through, not what a model learns."""

LENIENT = (
    "gate.min_test_rows=2", "gate.min_test_clusters=1", "gate.min_stop_rate=0",
    "gate.max_forgetting=9", "gate.refuse_worse_slices=false",
)  # fmt: skip
"""A model of random weights learns the words and not when to stop."""

NOT_RIGHT = {"better_than_base", "better_than_few_shot", "better_than_retrieval",
             "better_than_placebo", "grounded"}  # fmt: skip
"""Checks that it fails all the same."""


def judged_as_not_right(done: Result) -> dict[str, Any]:
    """Return the report of a run whose model was refused for being wrong, and for nothing else."""
    report = json.loads(done.stdout)
    failed = {reason["name"] for reason in report["gate"]["reasons"] if not reason["passed"]}
    assert failed and failed <= NOT_RIGHT, failed
    return report


class Project:
    """A folder as `tuneloop init` makes it, and the program called in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def call(self, *words: str, settings: tuple[str, ...] = ()) -> Result:
        line = [part for item in (*SMALL, *settings) for part in ("--set", item)]
        return CliRunner().invoke(main, [*words, *line])

    def ended(self, *words: str, settings: tuple[str, ...] = ()) -> Result:
        done = self.call(*words, settings=settings)
        assert done.exit_code == 0, done.output
        assert "Traceback" not in done.output
        return done


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel, prefect: None
) -> Iterator[Project]:
    """The project after its first run; its settings are what `init` wrote, but for the models."""
    folder = tmp_path_factory.mktemp("first") / "project"
    assert CliRunner().invoke(main, ["init", str(folder)]).exit_code == 0
    for page in sorted((ROOT / "data/samples/manual").glob("*.md"))[:24]:
        shutil.copy(page, folder / "raw")
    with serving(teach) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        written = Path("tuneloop.toml").read_text()
        for name, value in {
            "base_model": str(tiny_base.path), "kind": "openai", "model": "scripted",
            "base_url": server.url,
        }.items():  # fmt: skip
            written = re.sub(
                rf"^# {name} = .*$", f'{name} = "{value}"', written, count=1, flags=re.MULTILINE
            )
        Path("tuneloop.toml").write_text(written)
        found = Project(folder)
        first = found.ended("run")
        assert "0 test rows, needed 10 or more" in first.output
        assert "test set: no rows yet: a model will be trained" in first.output
        assert "forgetting base" not in first.output, "no verdict can rest on it"
        yield found


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("status", "none yet; `tuneloop run` makes one"),
        ("models", "refused"),
        ("card", "no test rows yet"),
        ("card challenger", "no test rows yet"),
        ("monitor", "no champion"),
        ("retrain --reason new --dry-run", "nothing was trained"),
        ("retrain --reason new", "0 test rows, needed 10 or more"),
        ("review status", "open"),
        ("export challenger --format adapter --to exported", "parity"),
        ("compare --methods lora --steps 1", "lora"),
        ("tune", "lora"),
        ("sweep", "limit"),
    ],
)
def test_every_command_holds_without_test_rows_and_champion(project, command, says):
    assert says in " ".join(project.ended(*command.split()).output.split())


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("card champion", "model 'champion': not found; expected champion, challenger or one of"),
        ("card /tmp/none", "model '/tmp/none': not found; expected champion, challenger or one of"),
        ("export champion --to nowhere", "model 'champion': not found"),
        ("chat --model champion", "no champion found"),
        ("ablate", "0 test rows found; expected at least one of each; review more pairs"),
        ("rollback --reason worse", "no champion found"),
    ],
)
def test_what_needs_a_champion_or_test_rows_says_so_in_one_line(project, command, says):
    done = project.call(*command.split())
    assert done.exit_code == 2, done.output
    line = done.stderr.splitlines()[-1]
    assert line.startswith("tuneloop: ") and says in line
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("paths.gold=missing.jsonl", "missing.jsonl: cannot be read"),
        ("paths.general=empty", "empty/texts.jsonl: cannot be read"),
        ('paths.benchmarks=["missing.jsonl"]', "missing.jsonl: cannot be read"),
        ("paths.input=empty", "empty"),
    ],
)
def test_a_path_without_rows_is_named_before_anything_else(project, setting, says):
    (project.folder / "empty").mkdir(exist_ok=True)
    runs = len(list((project.folder / "home/store").glob("*/*")))
    done = project.call("run", settings=(setting,))
    assert done.exit_code == 2
    assert says in done.stderr.splitlines()[-1]
    assert len(list((project.folder / "home/store").glob("*/*"))) == runs


def test_a_first_run_holds_with_every_optional_path_empty(project):
    empty = ("paths.gold=", "paths.general=", "paths.logs=", "paths.seeds=", "paths.benchmarks=[]")
    done = project.ended("run", "--json", settings=(*empty, "generate.self_instruct_tasks=0"))
    assert json.loads(done.stdout)["gate"]["promoted"] is False


def test_a_folder_of_logs_without_rows_is_no_error(project):
    (project.folder / "logs").mkdir()
    project.ended("monitor", settings=("paths.logs=logs",))


def test_accepted_pairs_judge_a_model_that_a_person_may_make_champion(project):
    """The last test of the file: it ends the state that the others look at."""
    queue = FileQueue(project.folder / "home" / "reviews")
    for item in queue.open_items("ada"):
        queue.decide(Decision(item["pair_id"], "accept", "", (), "", "ada"))
    report = judged_as_not_right(project.ended("run", "--json", settings=LENIENT))
    assert report["evaluation"]["test_rows"] >= 2
    project.ended("promote", "--reason", "to see it served")
    assert "not promoted" in project.ended("card", "champion").output
    assert "no champion" not in project.ended("monitor").output
