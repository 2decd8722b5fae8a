"""A small real project: eight documents, the embedded model, a few steps of training."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from flows.cli.main import main

ROOT = Path(__file__).parents[2]

DOCUMENTS = (
    "manual/alarm-codes.md",
    "manual/climate-zones.md",
    "manual/relay-outputs.md",
    "manual/gateway-pairing.md",
    "support/factory-reset.html",
    "support/wifi-not-connecting.html",
    "support/export-data-csv.html",
    "releases/release-4.1.txt",
    "policies/warranty.docx",
)

SETTINGS = """
[paths]
input = "raw"
home = "home"
seeds = "seeds.jsonl"
gold = "gold.jsonl"
general = "general"
[split]
validation = 0.25
test = 0.25
[generate]
self_instruct_tasks = 2
questions_per_answer = 2
max_pairs_per_chunk = 1
pilot_chunks = 2
[task]
passages = 0.0
[train]
max_steps = 6
evaluations = 2
checkpoint_steps = 1
batch_size = 4
micro_batch_size = 2
[evaluate]
few_shot = 1
max_new_tokens = 8
bootstrap_draws = 200
[gate]
min_test_rows = 1
min_test_clusters = 1
"""


QUICK = """
[model]
base_model = "{base}"
[teacher]
kind = "openai"
model = "scripted"
base_url = "{url}"
[compute]
runner = "inline"
"""
"""Another base model, another teacher, and no worker processes."""


def invoke(folder: Path, *words: str, typed: str = "") -> Result:
    """Call the program in a folder: in this process, where torch and Prefect are loaded once."""
    with chdir(folder):
        return CliRunner().invoke(main, words, input=typed)


@dataclass(frozen=True)
class Project:
    """A folder with documents and settings."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "flows.cli.main", *words, "--json"]

    def copy(self, folder: Path) -> "Project":
        """Copy the project; times of files stay."""
        shutil.copytree(self.folder, folder, copy_function=shutil.copy2)
        return Project(folder)

    def run(self) -> dict[str, Any]:
        """Run to the end and return the report."""
        return self.call("run")

    def call(self, *words: str) -> dict[str, Any]:
        """Call a command in this process and return what it prints."""
        done = invoke(self.folder, *words, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str) -> str:
        """Call a command that must end with exit code 2, and return what it says."""
        done = invoke(self.folder, *words, "--json")
        assert done.exit_code == 2, done.stderr
        return done.stderr

    def run_until(self, reached: Callable[["Project"], bool], seconds: float = 900) -> None:
        """Start a run and kill it with SIGKILL as soon as ``reached`` says so of it."""
        earlier = self.runs()
        process = subprocess.Popen(
            self.command("run"), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        deadline = time.monotonic() + seconds
        try:
            while self.runs() == earlier or not reached(self):
                if process.poll() is not None:
                    error = process.stderr.read().decode()
                    raise AssertionError(f"the run ended before it could be killed:\n{error}")
                assert time.monotonic() < deadline, "the point was not reached in time"
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stderr.close()

    def runs(self) -> list[Path]:
        """Return the folders of the runs so far, the latest last."""
        return sorted((self.home / "runs").glob("*"))

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the latest run."""
        runs = self.runs()
        path = runs[-1] / "events.ndjson" if runs else None
        if path is None or not path.exists():
            return []
        lines = path.read_text("utf-8").split("\n")[:-1]  # the last one may be half written
        return [json.loads(line) for line in lines]

    def replies(self) -> dict[str, int]:
        """Return the stored replies with the time each was written."""
        return {
            path.name: path.stat().st_mtime_ns for path in (self.home / "replies").rglob("*.json")
        }

    def datasets(self) -> dict[str, tuple[str, str]]:
        """Return name -> (fingerprint, content) of the latest datasets."""
        found = {}
        for path in (self.home / "refs" / "dataset").glob("*"):
            ref = json.loads(path.read_text())
            manifest = self.home / "store" / ref["name"] / ref["fingerprint"] / "manifest.json"
            found[path.name] = (ref["fingerprint"], json.loads(manifest.read_text())["content"])
        return found

    def queue(self) -> list[str]:
        """Return the pair ids in the review queue, in order."""
        lines = (self.home / "reviews" / "queue.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line)["pair_id"] for line in lines]


def make_project(folder: Path, models: Path) -> Project:
    """Copy the documents, their gold rows and a slice of the other data; link the model."""
    data = ROOT / "data"
    for name in DOCUMENTS:
        target = folder / "raw" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / "samples" / name, target)
    gold = [json.loads(line) for line in (data / "gold/gold.jsonl").read_text().splitlines()]
    kept = [json.dumps(row) for row in gold if row["document"] in DOCUMENTS]
    (folder / "gold.jsonl").write_text("\n".join(kept) + "\n")
    shutil.copy(data / "seeds/seed_tasks.jsonl", folder / "seeds.jsonl")
    (folder / "general").mkdir()
    for name in ("texts.jsonl", "questions.jsonl"):
        lines = (data / "general" / name).read_text().splitlines()[:3]
        (folder / "general" / name).write_text("\n".join(lines) + "\n")
    (folder / "tuneloop.toml").write_text(SETTINGS)
    shutil.copytree(models, folder / "home" / "models", copy_function=os.link)
    return Project(folder)


def make_quick_project(folder: Path, base: Path, url: str) -> Project:
    """Make the same project with a base model of random weights and a teacher at an endpoint."""
    project = make_project(folder, base.parent)
    with (folder / "tuneloop.toml").open("a") as settings:
        settings.write(QUICK.format(base=base, url=url))
    return project
