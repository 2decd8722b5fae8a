"""Where the search starts: what the rows ask for, the closed form, and what may change."""

import math
from dataclasses import dataclass
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.settings import TrainSettings, TuneSettings
from pipeline.train.batch.batches import plan_steps
from pipeline.train.batch.rows import lengths, supervised, tokenize
from pipeline.train.methods.table import METHODS, of_method, rate_at
from pipeline.train.models.base_model import BaseModel, load_tokenizer
from pipeline.train.plan.activations import Batch, largest_batch
from pipeline.train.plan.estimate import BITS_PER_PARAMETER, BITS_PER_TOKEN, LARGE_SHARE
from pipeline.train.plan.shapes import LORA, Shape, low_rank_parameters
from schemas.pairs import Examples

RANKS = (8, 16, 32, 64, 128, 256)  # ranks that servers take (vLLM also has 1, 320 and 512)
RATE_FACTORS = (0.25, 4.0)  # around the closed form, on a logarithmic scale


def closed_form(shape: Shape, supervised: int) -> tuple[int, str]:
    """Return the rank for an epoch's supervised tokens, and why.

    It is the one that one would take without a search: at most 5 % of the base's parameters.
    """
    per_rank = low_rank_parameters(shape.linear)
    needed = supervised * BITS_PER_TOKEN / BITS_PER_PARAMETER / per_rank
    largest = LARGE_SHARE * shape.parameters / per_rank
    fitting = [rank for rank in RANKS if rank <= max(RANKS[0], largest)]
    rank = next((rank for rank in fitting if rank >= needed), fitting[-1])
    why = (
        f"{supervised:,} supervised tokens ask for rank {math.ceil(needed)}, "
        f"{LARGE_SHARE:.0%} of the base are rank {largest:.0f}"
    )
    return rank, why


def rate_of(method: str, width: int) -> float:
    """Return the learning rate that a method starts at: LoRA's, for all of its kin but LoRA+."""
    plain = method in LORA and METHODS[method].preset.rate_ratio is None
    return rate_at("lora" if plain else method, width)


def ranks_around(rank: int) -> tuple[int, ...]:
    """Return the ranks to choose from: that of the closed form and its neighbours."""
    position = RANKS.index(rank)
    return RANKS[max(0, position - 1) : position + 2]


def candidate(train: TrainSettings, chosen: dict[str, Any], width: int) -> TrainSettings:
    """Return resolved training settings with a choice of the search in them."""
    method = chosen["method"]
    changed = {"learning_rate": float(f"{rate_of(method, width) * chosen['rate']:.3g}")}
    changed |= {name: chosen[name] for name in ("rank", "targets") if method in LORA}
    return of_method(train, method, width, **changed)


@dataclass(frozen=True)
class Workload:
    """The train rows, as far as memory and schedule go."""

    rows: int
    supervised: int
    largest: Batch

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
    """Tokenize the rows and lay out the passes; TrainingError where no row can be trained on.

    The passes are those of a CPU: a GPU halves its own down to them where memory is short.
    """
    rows = tokenize(examples, load_tokenizer(base.path, base.thinking), settings.max_tokens)
    long = lengths(rows.train)
    passes = [part for step in plan_steps(long, settings) for part in step]
    trained = [supervised(labels) for labels in rows.train["labels"]]
    largest = largest_batch(passes, long, trained, packing=bool(settings.packing))
    return Workload(len(long), sum(trained), largest)
