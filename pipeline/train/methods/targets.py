"""Target layers: the linear layers of a decoder by what they do, whatever they are called.

Fused layers, other names, the stacked experts of a mixture and the language model inside one with
eyes are all found by where they are: in the decoder, below a module of attention or not.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings

TokenRows = Sequence[Sequence[int]]  # token ids of train rows, where some methods start from
ATTENTION = re.compile(r"attn|attention|mixer|mamba|conv")
"""What the modules that mix tokens are called: ``self_attn``, ``attention``, ``linear_attn``."""
_BALANCE = re.compile(r"(score_correction|expert)_bias$")

# The last linear layers of attention and of an MLP, before the residual connection.
AFTER_ATTENTION = ("o_proj", "out_proj", "dense", "c_proj", "wo")
AFTER_MLP = ("down_proj", "dense_4h_to_h", "fc2", "c_proj", "w2", "wo")
WITHOUT_EXPERTS = ("dora", "pissa", "eva", "houlsby", "pfeiffer", "hybrid")
"""Methods that need a linear layer each: stacked experts are one tensor of three axes."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Paths in a model, in its own order."""

    attention: tuple[str, ...]
    mlp: tuple[str, ...]  # every other linear layer of the decoder
    experts: tuple[str, ...]  # parameters, not modules: stacked weights of all experts of a layer


def find_targets(model: Any) -> Targets:
    """Find the linear layers of a model's decoder that an adapter fits on, and its experts."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    decoder = model.get_decoder()
    paths = {module: path for path, module in model.named_modules()}
    start = f"{paths[decoder]}." if paths[decoder] else ""
    left_out = {model.get_output_embeddings(), *_read_as_weights(decoder)}
    linear = [
        start + path
        for path, module in decoder.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module not in left_out
    ]
    renamed = _renamed(model, {_name(path) for path in linear})
    linear = [path for path in linear if _name(path) not in renamed]
    attention = [path for path in linear if ATTENTION.search(path.removeprefix(start))]
    return Targets(
        attention=tuple(attention),
        mlp=tuple(path for path in linear if path not in set(attention)),
        experts=tuple(
            start + path
            for path, parameter in decoder.named_parameters()
            if parameter.ndim == 3 and "expert" in path
        ),
    )


def _read_as_weights(decoder: Any) -> list[Any]:
    """Return the linear layers that nothing can be put on, since they are not called as such.

    A state space (Mamba) gives all weights but its first to a kernel, and AltUp (Gemma 3n) clamps
    its own; a router chooses experts, and an indexer (DeepSeek 3.2, GLM 5) has some that choose
    keys, through which no gradient comes back.
    """
    return [
        child
        for module in decoder.modules()
        for name, child in module.named_children()
        if (hasattr(module, "A_log") and hasattr(module, "D") and name != "in_proj")
        or "Router" in type(child).__name__
        or "Indexer" in type(module).__name__
        or name == "correction_coefs"
    ]


def _renamed(model: Any, names: Collection[str]) -> set[str]:
    """Return the names that PEFT takes for layers of experts, as transformers 4 had them.

    It would leave ``gate_proj`` of a shared expert out, and double the rank of the experts.
    """
    from peft import LoraConfig
    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    found = set()
    for name in names:
        config: Any = LoraConfig(target_modules=[name])
        try:
            convert_peft_config_for_transformers(config, model, None)
        except ValueError:  # one of two that are fused
            config.target_modules = ()
        found |= {name} - set(config.target_modules)
    return found


def text_parameters(model: Any) -> list[str]:
    """Return the names of a model's parameters without those of its eyes; tied ones twice.

    Without what balances the experts, too: no gradient comes to it (DeepSeek-V3, Ernie 4.5).
    """
    paths = {module: path for path, module in model.named_modules()}
    parts = (model.get_decoder(), model.get_output_embeddings())
    below = tuple(f"{paths[part]}." if paths[part] else "" for part in parts)
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    return [name for name in names if name.startswith(below) and not _BALANCE.search(name)]


def norms_and_biases(model: Any) -> set[str]:
    """Return the names of the norms of a model's language model, and of its biases."""
    vectors = {name for name in text_parameters(model) if model.get_parameter(name).ndim == 1}
    return {name for name in vectors if "norm" in name.lower() or name.endswith("bias")}


def short_names(model: Any, chosen: Collection[str]) -> list[str]:
    """Return names that match the chosen modules and no others: the last part where it will do."""
    every = {path for path, _ in model.named_modules()}
    others = {_name(path) for path in every - set(chosen)}
    return sorted({path if _name(path) in others else _name(path) for path in chosen})


def last_layers(paths: Collection[str], names: Collection[str]) -> list[str]:
    """Return the layers whose output joins the residual stream."""
    return [path for path in paths if _name(path) in names]


def keeps_keys(decoder: Any) -> bool:
    """Whether all layers keep keys and values alone; one of linear attention has a state."""
    from transformers import DynamicCache

    layers = DynamicCache(config=decoder.config).layers
    return not any(hasattr(layer, "conv_states") for layer in layers)


def refuse(model: Any, method: str, found: str, advice: str = "another train.method") -> NoReturn:
    """Stop with an error that names method and model."""
    raise TrainingError(
        f"method {method}: {type(model).__name__} {found}; expected layers it can be put on; "
        f"choose {advice}"
    )


def check_targets(model: Any, settings: TrainSettings) -> None:
    """Raise TrainingError, before anything is trained, for a method that a model does not suit."""
    method, found = settings.method, find_targets(model)
    linear = found.attention + found.mlp
    needed = {
        "houlsby": last_layers(found.attention, AFTER_ATTENTION)
        and last_layers(found.mlp, AFTER_MLP),
        "pfeiffer": last_layers(found.mlp, AFTER_MLP),
        "hybrid": found.attention and last_layers(found.mlp, AFTER_MLP),
        "ia3": linear,
    }
    kind = settings.targets
    if kind is not None:
        of_kind = {"attention": found.attention, "mlp": found.mlp + found.experts}
        needed[method] = of_kind.get(kind, linear)
    if not needed.get(method, True):
        names = ", ".join(sorted({_name(path) for path in linear})) or "none"
        refuse(model, method, f"has no linear layers that it works on (its own: {names})")
    if found.experts and method in WITHOUT_EXPERTS and kind != "attention":
        what = f"has experts in one tensor each ({found.experts[0]}), which it cannot change"
        refuse(model, method, what, 'train.targets = "attention" (dora, pissa, eva), or "lora"')
    if found.experts and kind not in (None, "attention") and settings.dropout:
        what = f"has experts in one tensor each ({found.experts[0]}), which know no dropout"
        refuse(model, method, what, "train.dropout = 0")
    if method == "pissa" and settings.rank:
        paths = {"attention": found.attention, "mlp": found.mlp}.get(kind or "", linear)
        narrow = min(paths, key=lambda path: min(model.get_submodule(path).weight.shape))
        most = min(model.get_submodule(narrow).weight.shape)
        if settings.rank > most:
            what = f"has a layer of {most} singular vectors ({narrow}), fewer than the rank"
            refuse(model, method, what, f"train.rank = {most} or less")
    if settings.packing and not keeps_keys(model.get_decoder()):
        what = "has layers of linear attention, through which packed rows would see each other"
        refuse(model, method, what, "train.packing = false")


def _name(path: str) -> str:
    return path.rpartition(".")[2]
