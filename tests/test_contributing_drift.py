"""The drift signal of CONTRIBUTING.md, carried out on a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys

from tests.conftest import ROOT

USE = """
import polars as pl

from pipeline.core.outcome import table
from pipeline.drift.check import measure_signals
from pipeline.drift.evidence import Evidence
from pipeline.drift.policy import decide
from pipeline.drift.signals import Inputs
from pipeline.report.contents import Report
from pipeline.report.html import render
from pipeline.report.text import drift_markdown, drift_summary
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
for shown in (drift_summary(report), drift_markdown(report), render(report)):
    assert "prompts without a response" in shown.lower(), shown
    assert "share of logged prompts that got no response: 0.02 → 0.6" in shown.lower(), shown
"""


def test_the_signal_of_the_guide_is_measured_stored_decided_on_and_reported(tmp_path):
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    function, entry = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[-2:]
    for name in ("pipeline", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shelf = tmp_path / "pipeline/drift/signals.py"
    text = shelf.read_text("utf-8")
    start, end = "_SIGNALS = (\n", "\n)\nSIGNALS = {"
    assert start in text and end in text
    text = text.replace(start, f"{function}\n\n{start}").replace(end, f"\n{entry.rstrip()},{end}")
    shelf.write_text(text, "utf-8")
    (tmp_path / "use.py").write_text(USE, "utf-8")
    done = subprocess.run(
        [sys.executable, "use.py"], cwd=tmp_path, check=False, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
