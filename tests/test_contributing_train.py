"""The worked example of a new training method in CONTRIBUTING.md, on a copy of the product."""

import os
import re
import shutil
import subprocess
import sys

from tests.conftest import ROOT

PACKAGES = ("pipeline", "flows", "schemas", "annotation")
BLOCK = re.compile(
    r'  ```python\n  # (pipeline/(?:train/|settings/train).+), (after|before) "(.+)"\n'
    r"((?:  .*\n|\n)*?)  ```\n"
)

TRAINED = """
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
from pipeline.train.plan.shapes import trainable_parameters
from pipeline.train.plan.shapes import read_folder
from tests.pipeline.train.methods.runs import CPU, run_examples, run_settings

folder, base = Path(sys.argv[2]), BaseModel("tiny", Path(sys.argv[1]), "0" * 64)
settings = run_settings("orthogonal", max_steps=1)
result = train(run_examples(), base, settings, CPU, folder / "work", folder / "out")
load_adapter(base, folder / "out", CPU)
check_settings(resolved(TrainSettings(method="orthogonal")), ExportSettings(serve_with="vllm"))
planned = trainable_parameters(read_folder(base.path), resolved(settings, 64))
print(json.dumps([result.method, result.steps, result.trainable_parameters - planned]))
"""


def test_the_method_of_the_example_is_trained_planned_and_served(tiny_base, tmp_path):
    """In three files: it trains a step, is loaded again, planned to the parameter, and served."""
    tree = tmp_path / "tree"
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, tree / name)
    (tree / "data").symlink_to(ROOT / "data")
    steps = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    assert len({path for path, *_ in steps}) == len(steps) == 3
    for path, where, anchor, body in steps:
        text = (tree / path).read_text("utf-8")
        lines = [line for line in text.splitlines(keepends=True) if line.startswith(anchor)]
        assert len(lines) == 1, f"{anchor} stands {len(lines)} times in {path}"
        indented = "".join(line[2:] if line.strip() else line for line in body.splitlines(True))
        put = lines[0] + indented if where == "after" else indented + lines[0]
        (tree / path).write_text(text.replace(lines[0], put), "utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRAINED, str(tiny_base.path), str(tmp_path / "run")],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == '["orthogonal", 1, 0]'
