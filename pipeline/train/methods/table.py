"""The table of methods: how each is built, stored and merged, with its tuned preset.

Each row names the source of its shape. The learning rates are starting points for the embedded
model of 135M, from rules and papers: LoRA 1e-3 (the top of the range tried at that size), all
weights a tenth of it (tinker-cookbook), less where the scale is larger (rsLoRA, PiSSA) or B has a
rate of its own (LoRA+: 3.2e-3), IA3 and prefix 5e-3 (the better runs of PEFT's comparison), and
more where a few vectors carry everything. tests/benchmarks/method_rates.py compares rates;
``tuneloop tune`` does on yours.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, Literal

from pipeline.core.errors import SettingsError
from pipeline.settings import TrainSettings
from pipeline.train.methods import bottleneck, lora, prompts, whole
from pipeline.train.methods.targets import TokenRows


@dataclass(frozen=True, slots=True)
class Preset:
    """Values of the settings that a method uses; None where it has no use for one."""

    learning_rate: float  # of a model as wide as the embedded one
    rank: int | None = None
    alpha: int | None = None
    targets: str | None = None
    dropout: float | None = None
    rate_ratio: float | None = None
    bottleneck: int | None = None
    virtual_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """How a base model is adapted."""

    name: str
    about: str  # what it trains, and where its preset comes from
    preset: Preset
    build: Callable[[Any, TrainSettings, TokenRows], Any]  # on a base model, by resolved settings
    stored: Literal["peft", "prompt", "tensors", "model"] = "peft"
    """Files of the folder: as PEFT writes them, trained tensors by name, or a whole model."""
    quantized: bool = False  # whether the linear layers of the base are held in 4 bits (NF4)
    mergeable: bool = True  # whether a plain model has the same logits: nothing is added to it
    checkpoints: bool = True  # whether it works with gradient checkpointing
    width_power: float = 0.0  # how fast the rate falls with the width; 0 for trained vectors
    served_rank: int = 0  # rank that vLLM gets, over `train.rank`; 0 where it is not plain LoRA
    fixed_alpha: bool = False  # whether alpha stays with another rank, rather than its ratio to it


PRESET_WIDTH = 576  # hidden size of the embedded model
LOW_RANK_POWER = 0.82
_LINEAR = Preset(learning_rate=1e-3, rank=16, alpha=32, targets="all", dropout=0.0)
_NARROW = Preset(learning_rate=1e-3, bottleneck=64)
_lora = partial(Method, width_power=LOW_RANK_POWER, served_rank=1)  # ends as plain LoRA of one rank
_bottleneck = partial(Method, stored="tensors", mergeable=False, width_power=LOW_RANK_POWER)
_prompt = partial(Method, stored="prompt", mergeable=False)

METHODS = {
    method.name: method
    for method in (
        _lora(
            "qlora", "LoRA over a base in NF4 (Dettmers et al. 2023)",
            _LINEAR, lora.lora, quantized=True,
        ),
        _lora(
            "lora",
            "low-rank change of all linear layers but the head (Hu et al. 2021; shape: LoRA "
            "Without Regret, Schulman et al. 2025)",
            _LINEAR, lora.lora,
        ),
        _lora(
            "rslora",
            "LoRA scaled by alpha / sqrt(rank), so that high ranks learn (Kalajdzievski 2023; "
            "rank 64, alpha 64: best LoRA of PEFT's comparison, .513 against .474)",
            replace(_LINEAR, learning_rate=5e-4, rank=64, alpha=64),
            partial(lora.lora, use_rslora=True), fixed_alpha=True,
        ),
        _lora(
            "dora",
            "LoRA on the direction of each weight row and a trained length (Liu et al. 2024)",
            _LINEAR, partial(lora.lora, use_dora=True), served_rank=0,
        ),
        _lora(
            "pissa",
            "LoRA started at the principal singular vectors (Meng et al. 2024); stored as plain "
            "LoRA of twice the rank",
            replace(_LINEAR, learning_rate=5e-4, alpha=16), lora.pissa, served_rank=2,
        ),
        _lora(
            "eva",
            "LoRA with A started at the principal directions of each layer's input on train rows "
            "(Paischer et al. 2024), the same rank everywhere",
            _LINEAR, lora.eva,
        ),
        _lora(
            "lora_plus", "LoRA with a higher rate for B than for A (ratio 16: Hayou et al. 2024)",
            replace(_LINEAR, learning_rate=2e-4, rate_ratio=16.0), lora.lora,
        ),
        Method(
            "full", "every weight, float32 copies behind weights of the compute type",
            Preset(learning_rate=1e-4), whole.full, stored="model", width_power=1.0,
        ),
        Method(
            "selective",
            "norms and biases alone (BitFit, Ben Zaken et al. 2022, has biases; Llama has none)",
            Preset(learning_rate=3e-3), whole.selective, stored="tensors",
        ),
        _bottleneck(
            "houlsby",
            "bottleneck adapters after attention and after the MLP (Houlsby et al. 2019)",
            _NARROW, partial(bottleneck.adapters, attention=True),
        ),
        _bottleneck(
            "pfeiffer", "bottleneck adapters after the MLP alone (Pfeiffer et al. 2021)",
            _NARROW, partial(bottleneck.adapters, attention=False),
        ),
        _bottleneck(
            "hybrid", "LoRA on attention, bottleneck adapters on the MLP",
            replace(_LINEAR, targets=None, bottleneck=64), bottleneck.hybrid,
        ),
        Method(
            "ia3",
            "a factor for each output of attention and each input of the MLP (Liu et al. 2022; all "
            "linear layers: .455 against .311 in PEFT's comparison)",
            Preset(learning_rate=5e-3), lora.ia3,
        ),
        _prompt(
            "prefix",
            "trained keys and values before each row (Li & Liang 2021), started at those of a "
            "train row's first tokens",
            Preset(learning_rate=5e-3, virtual_tokens=20), prompts.prefix, checkpoints=False,
        ),
        _prompt(
            "prompt",
            "trained embeddings before each row (Lester et al. 2021), started at those of a train "
            "row's first tokens",
            Preset(learning_rate=1e-2, virtual_tokens=20), prompts.prompt,
        ),
        _prompt(
            "p_tuning",
            "prompt tuning through a trained network (Liu et al. 2021), with a skip connection "
            "(Razdaibiedina et al. 2023); the network is not stored",
            Preset(learning_rate=1e-3, virtual_tokens=20), partial(prompts.prompt, network=True),
        ),
    )
}  # fmt: skip


def rate_at(method: str, width: int) -> float:
    """Return the learning rate of a method's preset for a model of a width (its hidden size).

    LoRA's falls as width ** -0.82, from the 1e-3 of the embedded model (576) to the 2e-4 of 7B
    (4,096) of QLoRA's paper (tinker-cookbook: 0.78 for Llama, 0.08 for Qwen); that of all weights
    as 1 / width (muP, Yang et al. 2022): 1.4e-5 at 7B, where 1e-5 is usual. Trained vectors keep
    theirs, as in muP. Nothing was measured below 576, and no rate is raised there.
    """
    used = METHODS[method]
    shrunk = min(1.0, (PRESET_WIDTH / width) ** used.width_power)
    return float(f"{used.preset.learning_rate * shrunk:.3g}")


def resolved(settings: TrainSettings, width: int = PRESET_WIDTH) -> TrainSettings:
    """Return the settings with the method's preset in the place of what is empty.

    What the method has no use for stays empty, and raises SettingsError where it is given.
    """
    method = METHODS[settings.method]
    preset = asdict(method.preset) | {"learning_rate": rate_at(method.name, width)}
    unused = [
        f"train.{name}" for name, value in preset.items()
        if value is None and getattr(settings, name) is not None
    ]  # fmt: skip
    if unused:
        used = ", ".join(name for name, value in preset.items() if value is not None)
        raise SettingsError(
            f"settings: {', '.join(unused)} found, which method {method.name} does not use; "
            f"expected only {used} of its kind; remove it, or choose another train.method"
        )
    if settings.gradient_checkpointing and not method.checkpoints:
        raise SettingsError(
            f"settings: train.gradient_checkpointing found with method {method.name}, whose "
            "trained keys and values a checkpointed layer would drop; expected false; remove it, "
            "or choose another train.method"
        )
    found = {name: value for name in preset if (value := getattr(settings, name)) is not None}
    if preset["alpha"] and not method.fixed_alpha:
        rank = found.get("rank", preset["rank"])
        preset["alpha"] = max(1, round(preset["alpha"] * rank / preset["rank"]))
    return settings.model_copy(update=preset | found)


def of_method(
    settings: TrainSettings, method: str, width: int, **changed: float | str | None
) -> TrainSettings:
    """Return resolved settings of another method: its preset, but for what is changed."""
    values: dict[str, Any] = {field.name: None for field in fields(Preset)} | {"method": method}
    if not METHODS[method].checkpoints:
        values["gradient_checkpointing"] = False
    return resolved(settings.model_copy(update=values | changed), width)


def parameter_groups(model: Any, settings: TrainSettings) -> list[dict[str, Any]]:
    """Return the trainable parameters as groups for an optimizer, two for LoRA+."""
    rate = settings.learning_rate
    assert rate is not None, "resolved settings"
    trained = {name: part for name, part in sorted(model.named_parameters()) if part.requires_grad}
    if settings.rate_ratio is None:
        return [{"params": list(trained.values()), "lr": rate}]
    faster = [part for name, part in trained.items() if "lora_B" in name]
    others = [part for name, part in trained.items() if "lora_B" not in name]
    return [{"params": others, "lr": rate}, {"params": faster, "lr": rate * settings.rate_ratio}]
