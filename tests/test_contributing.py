"""The patches of CONTRIBUTING: each touches three files at most and works on a copy of the tree."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from pipeline.pairs.task_kinds import TASK_KINDS
from pipeline.pairs.teachers.kinds import TEACHERS
from pipeline.settings import GenerateSettings, TeacherSettings
from pipeline.train.models.base_model import BaseModel
from schemas.pairs import KINDS
from tests.conftest import ROOT
from tests.pipeline.documents.making import PROSE

MOST_FILES = 3
"""Files of the product that an example may touch."""
SUBTITLES = "1\n00:00:01,000 --> 00:00:04,000\nThe valve opens at five bar.\n"

INGEST_AND_CLEAN = """
import json, sys
from pathlib import Path
from pipeline.core.cache import Cache
from pipeline.documents.clean.clean import clean
from pipeline.documents.files.files import scan
from pipeline.documents.files.ingest import ingest
from pipeline.settings import CleanSettings, IngestSettings

raw, settings = Path(sys.argv[1]), IngestSettings()
read = ingest(scan(raw, settings, raw.parent / "index.json"), settings, Cache(raw.parent / "reads"))
kept = clean(read.kept, CleanSettings(languages=()))
print(json.dumps([dict(read.kept.select("source", "format").rows()), read.reasons, kept.reasons]))
"""
SCREEN = """
from pipeline.pairs.screen.candidate import Candidate
from pipeline.pairs.screen.rules import SCREEN_REASONS, first_finding
from pipeline.settings import ScreenSettings

asked, said = "How often is the filter cleaned?", "THE FILTER IS CLEANED ONCE A WEEK."
for response in (said, said.capitalize()):
    pair = Candidate(asked, response, grounded=True, source=said)
    found = first_finding(ScreenSettings(), pair, compares=False)
    print(found and (found.reason, SCREEN_REASONS[found.reason]))
"""
ASK = """
from pipeline.pairs.teachers.kinds import TEACHERS
from pipeline.pairs.teachers.teacher import Request
from pipeline.settings import Settings

settings = Settings(teacher={"kind": "command", "model": "tr a-z A-Z"})
teacher = TEACHERS["command"].make(settings, None, print)
print(teacher.complete([Request((("user", "clean the filter"),), 9, 0.7, 0.9)], 1)[0].texts)
"""
TRAIN = """
import json, sys
from pathlib import Path

from flows.engine import environment
environment.prepare(Path(sys.argv[2]))

from pipeline.settings import ExportSettings, TrainSettings
from pipeline.train.export.servable import check_settings
from pipeline.train.loop.trainer import train
from pipeline.train.methods import resolved
from pipeline.train.models.adapter import load_adapter
from pipeline.train.models.base_model import BaseModel
from pipeline.train.plan.shapes import read_folder, trainable_parameters
from tests.pipeline.train.methods.runs import CPU, run_examples, run_settings

folder, base = Path(sys.argv[2]), BaseModel("tiny", Path(sys.argv[1]), "0" * 64)
settings = run_settings("orthogonal", max_steps=1)
result = train(run_examples(), base, settings, CPU, folder / "work", folder / "out")
load_adapter(base, folder / "out", CPU)
check_settings(resolved(TrainSettings(method="orthogonal")), ExportSettings(serve_with="vllm"))
planned = trainable_parameters(read_folder(base.path), resolved(settings, 64))
print(json.dumps([result.method, result.steps, result.trainable_parameters - planned]))
"""
WATCH = """
import polars as pl

from pipeline.core.outcome import table
from pipeline.drift.check import measure_signals
from pipeline.drift.evidence import Evidence
from pipeline.drift.policy import decide
from pipeline.drift.signals import Inputs
from pipeline.report.contents import Report
from pipeline.report.html import render
from pipeline.report.text import drift_summary
from pipeline.settings import Settings
from schemas.drift import DriftFeatures


def rows(unanswered):
    empty = {name: None for name in DriftFeatures.to_schema().columns}
    return table(DriftFeatures, [
        empty | {"id": str(n), "kind": "exchange", "characters": 9, "tokens": 2, "text": "text",
                 "category": "unanswered" if n < unanswered else "answered"}
        for n in range(100)
    ])


settings = Settings()
inputs = Inputs(settings, None, None, None, None, None, None, rows(2), rows(60))
signals = measure_signals(inputs, "window")
assert signals["unanswered"].worse, signals
evidence = Evidence(id="e", at="2026-01-01T00:00:00Z", reference="r", model="m", alpha=0.01,
                    signals=signals)
assert Evidence.model_validate_json(evidence.model_dump_json()) == evidence
before = decide(evidence, [], [], 0, evidence.at, settings.monitor, settings.retrain)
confirmed = before.model_copy(update={"id": "d", "state": "confirmed", "drifted": True})
decision = decide(evidence, [confirmed], [], 0, evidence.at, settings.monitor, settings.retrain)
report = Report.model_validate({
    "run": {"id": "a", "flow": "monitor", "started_at": evidence.at, "seconds": 1,
            "command": "tuneloop monitor", "exit": 0},
    "drift": {"evidence": evidence, "decision": decision},
})
for shown in (drift_summary(report), render(report)):
    assert "prompts without a response" in shown.lower(), shown
    assert "share of logged prompts that got no response: 0.02 → 0.6" in shown.lower(), shown
"""


def patched(folder: Path, chapter: str) -> Path:
    """Return a copy of the product with the change that a chapter shows."""
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    patch = guide.partition(f"\n### {chapter}\n")[2].partition("```diff\n")[2].partition("```")[0]
    assert 0 < len(re.findall(r"^\+\+\+ b/", patch, re.MULTILINE)) <= MOST_FILES
    for name in ("pipeline", "flows", "schemas", "annotation", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data").symlink_to(ROOT / "data")
    subprocess.run(["git", "apply", "-C1", "-"], input=patch, text=True, cwd=folder, check=True)
    return folder


def printed(tree: Path, program: str, *words: str) -> str:
    """Run a program on a tree and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *words], cwd=tree, check=False,
        env=os.environ | {"PYTHONPATH": str(tree)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def test_a_reader(tmp_path: Path, raw: Path):
    (raw / "talk.srt").write_text(SUBTITLES)
    (raw / "no.srt").write_text("Nothing is said when.")
    formats, unread, _ = json.loads(printed(ROOT, INGEST_AND_CLEAN, str(raw)))
    assert formats == {} and unread == {"unknown_format": 2}
    tree = patched(tmp_path / "tree", "A reader")
    formats, unread, _ = json.loads(printed(tree, INGEST_AND_CLEAN, str(raw)))
    assert formats == {"talk.srt": "srt"} and unread == {"no_times": 1}


def test_a_cleaning_rule(tmp_path: Path, raw: Path):
    (raw / "plain.md").write_text(PROSE)
    (raw / "loud.md").write_text(PROSE.upper())
    _, _, before = json.loads(printed(ROOT, INGEST_AND_CLEAN, str(raw)))
    tree = patched(tmp_path / "tree", "A cleaning rule")
    _, _, after = json.loads(printed(tree, INGEST_AND_CLEAN, str(raw)))
    assert "many_capitals" not in before and after["many_capitals"] == 1


def test_a_screen_rule(tmp_path: Path):
    tree = patched(tmp_path / "tree", "A screen rule")
    assert printed(tree, SCREEN) == "('shouts', 'the answer is in capitals')\nNone\n"


def test_a_kind_of_teacher(tmp_path: Path):
    assert (
        printed(patched(tmp_path / "tree", "A kind of teacher"), ASK) == "('CLEAN THE FILTER',)\n"
    )


def test_a_method_is_trained_planned_and_served(tmp_path: Path, tiny_base: BaseModel):
    tree = patched(tmp_path / "tree", "A method of training")
    said = printed(tree, TRAIN, str(tiny_base.path), str(tmp_path / "run"))
    assert json.loads(said.strip().splitlines()[-1]) == ["orthogonal", 1, 0]


def test_a_drift_signal_is_measured_stored_decided_on_and_reported(tmp_path: Path):
    printed(patched(tmp_path / "tree", "A drift signal"), WATCH)


def test_settings_and_schemas_name_what_the_shelves_have():
    assert get_args(TeacherSettings.model_fields["kind"].annotation) == tuple(TEACHERS)
    assert list(TASK_KINDS) == KINDS
    assert list(GenerateSettings().kinds) == [*TASK_KINDS][:-1]
