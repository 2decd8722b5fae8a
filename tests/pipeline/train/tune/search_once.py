"""A small search on the seed tasks; run as a module it kills itself after a progress report.

ARGS is a JSON object: base (path), models, folder, tune (settings), kill_at ([trial, step], or
null).
"""

import json
import os
import signal
import sys
from pathlib import Path

from pipeline.settings import ModelSettings, TrainSettings, TuneSettings
from pipeline.train.models.base_model import resolve_model
from pipeline.train.plan.hardware import this_machine
from pipeline.train.plan.shapes import read_folder
from pipeline.train.tune.search import Job, search
from pipeline.train.tune.start import closed_form, measure_workload
from tests.pipeline.train.seed_examples import make_examples

SMALL = {
    "methods": ["lora", "houlsby"], "trials": 3, "steps": 4, "reduction": 2, "rungs": 2, "seed": 3,
}  # fmt: skip


def job(base, forgetting=None, **tune):
    examples, train = make_examples(8, 3), TrainSettings(batch_size=4)
    shape = read_folder(base.path)
    workload = measure_workload(examples, base, train)
    return Job(
        examples=examples,
        base=base,
        shape=shape,
        train=train,
        model=ModelSettings(threads=1),
        tune=TuneSettings(**SMALL | tune),
        rank=closed_form(shape, workload.supervised)[0],
        workload=workload,
        hardware=this_machine(),
        forgetting=forgetting,
    )


def run(found, folder, kill_at=None):
    said = []

    def listener(done, total, unit):
        if kill_at == [len(said), done]:
            os.kill(os.getpid(), signal.SIGKILL)

    return search(found, folder, said.append, listener), said


if __name__ == "__main__":
    args = json.loads(sys.argv[1])
    base = resolve_model(ModelSettings(base_model=args["base"]), Path(args["models"]))
    run(job(base), Path(args["folder"]), args["kill_at"])
