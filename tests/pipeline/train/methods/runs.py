"""A short training of a method on the tiny base, and what its model answers; also as a process.

ARGS is a JSON object: base (name, path, digest), trained and again (folders). The process trains
every method once more into ``again``, loads each from ``trained``, and prints the digests of its
logits as JSON.
"""

import hashlib
import json
import sys
from pathlib import Path

import polars as pl

from flows.engine import environment
from pipeline.settings import ModelSettings, TrainSettings
from tests.pipeline.train.seed_examples import make_examples

CPU = ModelSettings(device="cpu", threads=1)

RATES = {"prompt": 0.3, "p_tuning": 1e-2, "prefix": 0.1, "ia3": 0.1, "selective": 0.1}
"""Random weights of width 64 need more than the presets, which are for a model that has learnt."""


def run_settings(method, **changes):
    values = {
        "method": method, "epochs": 4, "batch_size": 3, "micro_batch_size": 3, "evaluations": 2,
        "max_tokens": 200, "patience": 9, "learning_rate": RATES.get(method),
    }  # fmt: skip
    return TrainSettings(**values | changes)


def run_examples():
    """Three train rows, which are the validation rows as well: what is learnt must show."""
    rows = make_examples(3, 0)
    again = rows.with_columns(split=pl.lit("validation"), pair_id=pl.col("pair_id") + "-v")
    return pl.concat([rows, again])


def train_once(method, base, folder):
    from pipeline.train.loop.trainer import train

    return train(
        run_examples(), base, run_settings(method), CPU, folder / "work", folder / "output"
    )


def logits_digest(model, tokenizer):
    import torch

    ids = torch.tensor([tokenizer("The pump starts when the soil is dry.")["input_ids"]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    assert logits.shape[:2] == ids.shape
    return hashlib.sha256(logits.float().numpy().tobytes()).hexdigest()


if __name__ == "__main__":
    args = json.loads(sys.argv[1])
    environment.prepare(Path(args["again"]))
    from pipeline.train.methods import METHODS
    from pipeline.train.models.adapter import load_adapter
    from pipeline.train.models.base_model import BaseModel

    base = BaseModel(args["base"][0], Path(args["base"][1]), args["base"][2])
    digests = {}
    for method in METHODS:
        train_once(method, base, Path(args["again"]) / method)
        loaded = load_adapter(base, Path(args["trained"]) / method / "output", CPU)
        digests[method] = logits_digest(*loaded)
    sys.stdout.write(json.dumps(digests))
