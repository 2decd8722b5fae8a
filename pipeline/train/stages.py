"""The stages of training: an adapter, a candidate of a comparison, a scaled copy of an adapter."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pandera.typing.polars import DataFrame

from pipeline.core.progress import announce
from pipeline.core.stage import Stage
from pipeline.core.store import Filled
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.export.scale import scale_adapter
from pipeline.train.launch import launch
from pipeline.train.models.adapter import RESULT, identity
from pipeline.train.models.base_model import BaseModel
from pipeline.train.models.device import announce_device
from pipeline.train.peak_memory import free_memory
from schemas.pairs import Examples


def train_adapter(
    folder: Path, examples: DataFrame[Examples], base: BaseModel, settings: TrainSettings,
    model_settings: ModelSettings, work: Path, free: Callable[[], None] | None = None,
) -> Filled:  # fmt: skip
    """Train an adapter; of test rows only leaks are proven.

    ``free`` lets go of the model in this process: the training has one of its own, whose peak
    memory is measured.
    """
    announce_device(model_settings)
    if free or settings.processes > 1 or settings.launch_config:
        (free or free_memory)()  # of a GPU, too, for the processes
        alone = free is not None
        record = launch(examples, base, settings, model_settings, work, folder, alone=alone)
    else:
        from pipeline.train.loop.trainer import train

        result = train(examples, base, settings, model_settings, work, folder)
        for proof in result.proofs:
            if proof.name == "target layers":
                announce(proof.text)
        record = result.write(folder)
    reasons = Counter(row["reason"] for row in record["dropped"])
    return Filled(identity(folder), record["rows_kept"], reasons=dict(reasons))


def scale(folder: Path, adapter: Path, factor: float, rows: int) -> Filled:
    """Store a copy of an adapter whose change is scaled by a factor."""
    scale_adapter(adapter, factor, folder)
    (folder / RESULT).write_bytes((adapter / RESULT).read_bytes())
    return Filled(identity(folder), rows)


TRAIN = Stage(
    "train", train_adapter, None, section="train", dataset="model", version=3, holds_model=True,
    code=("pipeline.train.loop.trainer",),
)  # fmt: skip
CANDIDATE = Stage(
    "train", train_adapter, None, section="train", dataset="compared_model", version=2,
    holds_model=True, code=("pipeline.train.loop.trainer", "pipeline.train.launch"),
)  # fmt: skip
SCALE = Stage(
    "scale", scale, None, dataset="model", version=1, code=("pipeline.train.export.scale",)
)
