"""Train in a process of its own, so that a test can kill it: ARGS is a JSON object.

Keys: base (folder of a model, or empty: the embedded one), models, work, output (paths),
settings, kill_after (a step after whose report the process kills itself with SIGKILL, or 0).
"""

import json
import os
import signal
import sys
from pathlib import Path

from pipeline.core.progress import listening
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.loop.trainer import train
from pipeline.train.models.base_model import resolve_model
from tests.pipeline.train.seed_examples import make_examples

if __name__ == "__main__":
    args = json.loads(sys.argv[1])
    model = ModelSettings(**({"base_model": args["base"]} if args["base"] else {}))

    def listener(done, total, unit):
        if done and done == args["kill_after"]:
            os.kill(os.getpid(), signal.SIGKILL)

    with listening(listener):
        result = train(
            make_examples(14, 2),
            resolve_model(model, Path(args["models"])),
            TrainSettings(**args["settings"]),
            model,
            Path(args["work"]),
            Path(args["output"]),
        )
    sys.stdout.write(json.dumps(result.to_dict()))
