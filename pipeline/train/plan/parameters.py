"""How many parameters each method trains, from the shape and the settings alone."""

from dataclasses import dataclass

from pipeline.settings import TrainSettings
from pipeline.train.methods import METHODS
from pipeline.train.plan.shapes import Linear, Shape

LORA = tuple(name for name, method in METHODS.items() if method.preset.targets)
"""Methods that put low-rank matrices on linear layers of a choice: LoRA and its kin."""

PROMPTS = ("prefix", "prompt", "p_tuning")
"""Methods that train places before each row."""

BASE = ("full", "selective")
"""Methods that train weights of the base itself."""


@dataclass(frozen=True)
class Sites:
    """Where a method works in one block."""

    low_rank: tuple[Linear, ...] = ()
    """Layers with matrices of LoRA."""
    bottlenecks: int = 0
    """Adapters on an output as wide as the hidden state."""
    factors: bool = False
    """IA3: a factor on each output of attention's layers and each input of the MLP's."""


def sites(shape: Shape, settings: TrainSettings) -> Sites:
    """Return where the method of the settings works in each block."""
    if settings.method in LORA:
        layers = {"attention": shape.attention, "mlp": shape.mlp}
        return Sites(low_rank=layers.get(settings.targets or "all", shape.block))
    if settings.method == "hybrid":
        return Sites(low_rank=shape.attention, bottlenecks=1)
    found = {"houlsby": Sites(bottlenecks=2), "pfeiffer": Sites(bottlenecks=1)}
    return found.get(settings.method, Sites(factors=settings.method == "ia3"))


def trainable_parameters(shape: Shape, settings: TrainSettings) -> int:
    """Return how many parameters a method trains."""
    method = settings.method
    if method == "full":
        return shape.parameters
    if method == "selective":
        return shape.norm_parameters + shape.bias_parameters
    if method in PROMPTS:
        return _places(shape, settings)
    work, per_block = sites(shape, settings), 0
    if work.low_rank:
        assert settings.rank is not None
        per_block += sum(settings.rank * (part.inputs + part.outputs) for part in work.low_rank)
        if method == "dora":  # a length for each row of each weight
            per_block += sum(part.outputs for part in work.low_rank)
    if work.bottlenecks:
        width = settings.bottleneck
        assert width is not None
        per_block += work.bottlenecks * (2 * shape.hidden * width + width + shape.hidden)
    if work.factors:
        per_block += sum(part.outputs for part in shape.attention)
        per_block += sum(part.inputs for part in shape.mlp)
    return shape.layers * per_block


def _places(shape: Shape, settings: TrainSettings) -> int:
    places = settings.virtual_tokens
    assert places is not None
    if settings.method == "prefix":
        return places * shape.layers * 2 * shape.keys
    network = 2 * (shape.hidden * shape.hidden + shape.hidden)
    return places * shape.hidden + (network if settings.method == "p_tuning" else 0)
