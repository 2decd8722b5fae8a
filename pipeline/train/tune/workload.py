"""What the rows of a project ask for: the largest forward pass, and a schedule of so many steps."""

import math
from dataclasses import dataclass

from pandera.typing.polars import DataFrame

from pipeline.settings import TrainSettings, TuneSettings
from pipeline.train.models.base_model import BaseModel
from pipeline.train.plan.activations import Batch
from pipeline.train.plan.rows import largest_batch
from schemas.pairs import Examples


@dataclass(frozen=True)
class Workload:
    """The train rows, as far as memory and schedule go."""

    rows: int
    supervised: int
    """Trained tokens in one epoch."""
    largest: Batch
    """The largest forward pass."""

    def schedule(self, settings: TrainSettings, tune: TuneSettings) -> TrainSettings:
        """Return the settings of a trial: all its steps, validated and stored at each rung."""
        rungs = tune.steps // tune.first_rung
        enough = math.ceil(tune.steps * settings.batch_size / self.rows) + 1
        changed = {
            "max_steps": tune.steps,
            "epochs": max(settings.epochs, float(enough)),
            "evaluations": rungs,
            "checkpoint_steps": tune.first_rung,
            "patience": rungs + 1,  # the rungs decide
        }
        return settings.model_copy(update=changed)


def measure_workload(
    examples: DataFrame[Examples], base: BaseModel, settings: TrainSettings
) -> Workload:
    """Tokenize the rows and lay out the passes.

    Raises:
        TrainingError: no row can be trained on.
    """
    from pipeline.train.batch.batches import plan_steps
    from pipeline.train.batch.rows import lengths, supervised, tokenize
    from pipeline.train.models.base_model import load_tokenizer

    tokenizer = load_tokenizer(base.path, base.thinking)
    rows = tokenize(examples, tokenizer, settings.max_tokens)
    long = lengths(rows.train)
    passes = [part for step in plan_steps(long, settings) for part in step]
    trained = [supervised(labels) for labels in rows.train["labels"]]
    largest = largest_batch(passes, long, trained, packing=settings.packing)
    return Workload(len(long), sum(trained), largest)
