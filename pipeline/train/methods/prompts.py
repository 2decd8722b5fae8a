"""Prompt learning: trained places before each row, as embeddings or as keys and values.

PEFT's own forward pass of these methods drops ``position_ids`` and returns logits of another
length, so :class:`~pipeline.train.methods.layers.Prompted` runs them; the files are PEFT's.
"""

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods.targets import refuse


def prompt(model: Any, settings: TrainSettings, rows: Sequence[Sequence[int]] = ()) -> Any:
    """Train embeddings before each row, started at those of a train row's first tokens."""
    from pipeline.train.methods.layers import Prompted, Table

    # Started at random words the loss was far higher in PEFT's comparison (.057 against .343).
    table = Table(_embedded(model, _first_tokens(rows, settings)))
    return _install(model, lambda decoder: Prompted(decoder, table))


def p_tuning(model: Any, settings: TrainSettings, rows: Sequence[Sequence[int]] = ()) -> Any:
    """Train embeddings and a network over them, whose output goes before each row."""
    from pipeline.train.methods.layers import Network, Prompted

    network = Network(_embedded(model, _first_tokens(rows, settings)))
    return _install(model, lambda decoder: Prompted(decoder, network))


def prefix(model: Any, settings: TrainSettings, rows: Sequence[Sequence[int]] = ()) -> Any:
    """Train keys and values before each row, started at those of a train row's first tokens."""
    import torch

    from pipeline.train.methods.layers import Prefixed, Table

    ids = torch.tensor([_first_tokens(rows, settings)], device=model.device)
    with torch.no_grad():
        cache = model.get_decoder()(input_ids=ids, use_cache=True).past_key_values
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    parts: list[Any] = [
        getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values")
    ]
    if any(part is None or part.shape != (1, heads, *parts[0].shape[2:]) for part in parts):
        what = f"keeps no keys and values of {heads} heads in each layer, which a prefix would join"
        refuse(model, "prefix", what)
    found = torch.stack([torch.stack([layer.keys[0], layer.values[0]]) for layer in cache.layers])
    # (layers, 2, heads, places, width) to PEFT's (places, layers * 2 * heads * width)
    table = Table(found.permute(3, 0, 1, 2, 4).reshape(ids.shape[1], -1))
    return _install(model, lambda decoder: Prefixed(decoder, table))


def stored(model: Any, settings: TrainSettings) -> tuple[dict[str, Any], Any]:
    """Return the tensors of PEFT's file, and the configuration that goes with it."""
    from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig

    decoder, shape = model.get_decoder(), model.config
    values = decoder.encoder().detach().float().cpu().contiguous()
    common = {
        "task_type": "CAUSAL_LM",
        "num_virtual_tokens": settings.virtual_tokens,
        "num_layers": shape.num_hidden_layers,
        "num_transformer_submodules": 1,
        "token_dim": values.shape[1],
        "num_attention_heads": shape.num_attention_heads,
    }
    config: Any = PromptTuningConfig
    if settings.method == "prefix":
        heads, width = decoder.heads_and_width()
        # PEFT counts the heads that keys and values have: fewer with grouped queries.
        common |= {"token_dim": heads * width, "num_attention_heads": heads}
        config = PrefixTuningConfig
    elif settings.method == "p_tuning":
        common |= {"encoder_hidden_size": values.shape[1]}
        config = PromptEncoderConfig
    return {"prompt_embeddings": values}, config(**common)


def restore(model: Any, method: str, tensors: dict[str, Any]) -> Any:
    """Put stored prompt embeddings, or keys and values, on a base model.

    Raises:
        TrainingError: the file holds something else.
    """
    from pipeline.train.methods.layers import Prefixed, Prompted, Table

    if set(tensors) != {"prompt_embeddings"}:
        raise TrainingError(
            f"method {method}: tensors {', '.join(sorted(tensors))} found; expected "
            "prompt_embeddings; train again"
        )
    table = Table(tensors["prompt_embeddings"].to(model.device))
    kind = Prefixed if method == "prefix" else Prompted
    return _install(model, lambda decoder: kind(decoder, table))


def _install(model: Any, wrap: Any) -> Any:
    """Put a wrapped decoder in the place of the model's own, and freeze the base."""
    decoder, attribute = model.get_decoder(), model.base_model_prefix
    if getattr(model, attribute, None) is not decoder:
        raise TrainingError(
            f"prompt learning: the decoder of {type(model).__name__} is not its {attribute!r}; "
            "expected a plain causal language model; choose another train.method"
        )
    model.requires_grad_(False)
    setattr(model, attribute, wrap(decoder))
    return model


def _embedded(model: Any, tokens: list[int]) -> Any:
    import torch

    ids = torch.tensor(tokens, device=model.device)
    with torch.no_grad():
        return model.get_input_embeddings()(ids)


def _first_tokens(rows: Sequence[Sequence[int]], settings: TrainSettings) -> list[int]:
    places = settings.virtual_tokens
    assert places is not None
    tokens = list(islice(chain.from_iterable(rows), places))
    if len(tokens) == places:
        return tokens
    raise TrainingError(
        f"method {settings.method}: {len(tokens)} tokens of train rows found; expected "
        f"{places}, the trained places; lower train.virtual_tokens, or give more rows"
    )
