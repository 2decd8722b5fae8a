"""Prompt learning: trained places before each row, as embeddings or as keys and values.

PEFT's own forward pass of these methods drops ``position_ids`` and returns logits of another
length, so :class:`~pipeline.train.methods.layers.Prompted` runs them; the files are PEFT's.
"""

from itertools import chain, islice
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods.targets import TokenRows, refuse


def prompt(model: Any, settings: TrainSettings, rows: TokenRows = (), network: bool = False) -> Any:
    """Train embeddings before each row, started at those of a train row's first tokens.

    With a network, its output of them goes before each row.
    """
    from pipeline.train.methods.layers import Network, Prompted, Table

    # Started at random words the loss was far higher in PEFT's comparison (.057 against .343).
    start = model.get_input_embeddings()(_first_tokens(model, rows, settings))
    return _install(model, Prompted, Network(start) if network else Table(start))


def prefix(model: Any, settings: TrainSettings, rows: TokenRows = ()) -> Any:
    """Train keys and values before each row, started at those of a train row's first tokens."""
    import torch

    from pipeline.train.methods.layers import Prefixed, Table

    ids = _first_tokens(model, rows, settings)[None]
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
    return _install(model, Prefixed, table)


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
    if settings.method == "prefix":
        heads, width = decoder.heads_and_width()
        # PEFT counts the heads that keys and values have: fewer with grouped queries.
        common |= {"token_dim": heads * width, "num_attention_heads": heads}
    elif settings.method == "p_tuning":
        common |= {"encoder_hidden_size": values.shape[1]}
    kinds = {"prefix": PrefixTuningConfig, "p_tuning": PromptEncoderConfig}
    config: Any = kinds.get(settings.method, PromptTuningConfig)
    return {"prompt_embeddings": values}, config(**common)


def restore(model: Any, method: str, tensors: dict[str, Any]) -> Any:
    """Put stored embeddings, or keys and values, on a base model; TrainingError for others."""
    from pipeline.train.methods.layers import Prefixed, Prompted, Table

    if set(tensors) != {"prompt_embeddings"}:
        raise TrainingError(
            f"method {method}: tensors {', '.join(sorted(tensors))} found; expected "
            "prompt_embeddings; train again"
        )
    table = Table(tensors["prompt_embeddings"].to(model.device))
    return _install(model, Prefixed if method == "prefix" else Prompted, table)


def _install(model: Any, kind: Any, encoder: Any) -> Any:
    """Put a wrapped decoder in the place of the model's own, and freeze the base."""
    decoder, attribute = model.get_decoder(), model.base_model_prefix
    if getattr(model, attribute, None) is not decoder:
        raise TrainingError(
            f"prompt learning: the decoder of {type(model).__name__} is not its {attribute!r}; "
            "expected a plain causal language model; choose another train.method"
        )
    model.requires_grad_(False)
    setattr(model, attribute, kind(decoder, encoder))
    return model


def _first_tokens(model: Any, rows: TokenRows, settings: TrainSettings) -> Any:
    """Return as many tokens as there are places, shape (places,)."""
    import torch

    tokens = list(islice(chain.from_iterable(rows), settings.virtual_tokens))
    if len(tokens) == settings.virtual_tokens:
        return torch.tensor(tokens, device=model.device)
    raise TrainingError(
        f"method {settings.method}: {len(tokens)} tokens of train rows found; expected "
        f"{settings.virtual_tokens}, the trained places; lower train.virtual_tokens, or give more "
        "rows"
    )
