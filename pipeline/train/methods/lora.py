"""LoRA and its kin: low-rank changes of the linear layers, built with PEFT."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods.targets import TokenRows, find_targets, short_names

EVA_TOKENS = 2048  # whose layer inputs EVA looks at; its directions settle within a few batches
SVD_ITERATIONS = 8  # power iterations: PiSSA's paper finds 4 and more as good as an exact SVD


def lora(model: Any, settings: TrainSettings, rows: TokenRows = (), **more: Any) -> Any:
    """Put LoRA on the linear layers of ``train.targets``, not on the head; ``more`` is for PEFT."""
    from peft import LoraConfig

    found, kind = find_targets(model), settings.targets
    layers = {"attention": found.attention, "mlp": found.mlp}
    chosen = layers.get(kind or "all", found.attention + found.mlp)
    own: Any = {"r": settings.rank, "lora_alpha": settings.alpha, "lora_dropout": settings.dropout}
    config = LoraConfig(
        target_modules=short_names(model, chosen),
        target_parameters=(kind != "attention" and list(found.experts)) or None,
        task_type="CAUSAL_LM",
        **own | more,
    )
    return _adapt(model, config)


def ia3(model: Any, settings: TrainSettings, rows: TokenRows = ()) -> Any:
    """Put a factor on each output of attention's layers and each input of the MLP's."""
    from peft import IA3Config

    found = find_targets(model)
    after = short_names(model, found.mlp)
    config = IA3Config(
        target_modules=[*short_names(model, found.attention), *after],
        feedforward_modules=after,
        task_type="CAUSAL_LM",
    )
    return _adapt(model, config)


def pissa(model: Any, settings: TrainSettings, rows: TokenRows = ()) -> Any:
    """Put LoRA started at the principal singular vectors of each weight on all linear layers.

    PiSSA takes the product of its first A and B out of the base, so its adapter fits no other. Here
    the base stays, and the same function is LoRA of twice the rank: the trained ``B A`` beside the
    frozen ``-B0 A0``. What is stored is what was trained, bit for bit.
    """
    import torch
    from torch.nn.utils.parametrize import register_parametrization

    from pipeline.train.methods.layers import Beside

    rank = settings.rank
    assert rank is not None
    assert settings.alpha is not None
    doubled = {"rank": 2 * rank, "alpha": 2 * settings.alpha}  # the same alpha / rank
    adapted = lora(model, settings.model_copy(update=doubled))
    for layer in lora_layers(adapted):
        weight = layer.get_base_layer().weight.detach().float()
        weight = weight.T if layer.fan_in_fan_out else weight
        drawn = min(2 * rank, *weight.shape)  # more than needed: the last ones are inexact
        left, values, right = (
            part[..., :rank] for part in torch.svd_lowrank(weight, drawn, SVD_ITERATIONS)
        )
        root = (values / layer.scaling["default"]).sqrt()
        first_a, first_b = (right * root).T.contiguous(), (left * root).contiguous()
        for part, first, frozen, axis in (
            (layer.lora_A["default"], first_a, first_a.clone(), 0),
            (layer.lora_B["default"], first_b, -first_b, 1),
        ):
            part.weight = torch.nn.Parameter(first)
            # unsafe: the parametrization changes the shape, which torch would refuse.
            register_parametrization(part, "weight", Beside(frozen, axis), unsafe=True)
    return adapted


def eva(model: Any, settings: TrainSettings, rows: TokenRows = ()) -> Any:
    """Put LoRA on all linear layers, A started at the principal directions of the layer's input.

    One forward pass over train rows; each layer's input is decomposed as it passes by. B is zero
    and the base is not changed: the adapter is plain LoRA. (The paper also moves ranks between
    layers, which servers do not read.) TrainingError where the rows have fewer tokens than ranks.
    """
    import torch

    rank = settings.rank
    assert rank is not None
    adapted = lora(model, settings)
    ends = accumulate(map(len, rows))
    taken = [row for row, end in zip(rows, ends, strict=True) if end <= EVA_TOKENS] or rows[:1]
    tokens = sum(map(len, taken))
    if tokens < rank:
        raise TrainingError(
            f"method eva: {tokens} tokens of train rows found; expected at least "
            f"{rank}, the rank; give more rows, or choose another train.method"
        )
    width = max(map(len, taken))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in taken], device=model.device)
    real = torch.tensor([[position < len(row) for position in range(width)] for row in taken])
    last: list[tuple[Any, Any]] = []  # query, key and value have one input: decomposed once

    def start(layer: Any, inputs: tuple[Any, ...]) -> None:
        if not last or last[0][0] is not inputs[0]:
            flat = inputs[0].flatten(0, -2)  # OPT's MLP sees rows behind one another
            states = flat[real.flatten().to(flat.device)].float()
            drawn = min(2 * rank, *states.shape)
            directions = torch.svd_lowrank(states, drawn, SVD_ITERATIONS)[2][:, :rank]
            last[:] = [(inputs[0], directions.T.contiguous())]
        layer.lora_A["default"].weight.data.copy_(last[0][1])

    hooks = [layer.register_forward_pre_hook(start) for layer in lora_layers(adapted)]
    training = adapted.training
    adapted.eval()
    with torch.no_grad():
        adapted.get_base_model().get_decoder()(input_ids=ids, use_cache=False)
    adapted.train(training)
    for hook in hooks:
        hook.remove()
    return adapted


def lora_layers(model: Any) -> list[Any]:
    """Return the layers of a model that LoRA is on, in order."""
    from peft.tuners.lora import LoraLayer

    return [part for part in model.modules() if isinstance(part, LoraLayer)]


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Silence warnings nobody can act on: peft 0.21 reads what transformers 5.23 has renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing")
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
        warnings.filterwarnings("ignore", message="Found missing adapter keys")  # on_plain_base
        yield


def _adapt(model: Any, config: Any) -> Any:
    """Freeze a model and put PEFT's layers on it, with weights in float32."""
    from peft import get_peft_model

    with quiet_peft():  # at the end of the schedule updates are smaller than bfloat16 resolves
        return get_peft_model(model, config, autocast_adapter_dtype=True)
