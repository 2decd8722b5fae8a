"""Train in one of several processes, each with folders of its own: ARGS is a JSON object.

Keys: base (name, path, digest), settings, folder.
"""

import json
import sys
from pathlib import Path

from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.loop.trainer import train
from pipeline.train.models.base_model import BaseModel
from pipeline.train.torch_processes import Processes
from tests.pipeline.train.seed_examples import make_examples

if __name__ == "__main__":
    args = json.loads(sys.argv[1])
    name, path, digest = args["base"]
    processes = Processes("cpu")
    own = Path(args["folder"]) / str(processes.rank)
    settings = TrainSettings.model_validate(args["settings"] | {"dropout": 0.1})
    train(
        make_examples(12, 3), BaseModel(name, Path(path), digest), settings,
        ModelSettings(threads=1), own / "work", own / "out", processes,
    )  # fmt: skip
    processes.leave()
