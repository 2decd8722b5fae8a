"""What a base model has room for: the layers that a method needs, its context, its vocabulary."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.core.cache import digest, write_atomically
from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.batch.rows import Rows
from pipeline.train.methods import METHODS
from pipeline.train.methods.fit import check_targets
from pipeline.train.models.base_model import BaseModel, model_class, stored_in_four_bits

VERSION = 1
"""Of what is looked at: raised, every base model is looked at again."""


def check_method(base: BaseModel, settings: TrainSettings, models_dir: Path) -> None:
    """Check that a method can train a base model, from its configuration alone: no weight is read.

    What was found right is not looked at again: importing transformers takes seconds.

    Args:
        base: the base model.
        settings: resolved.
        models_dir: where it is noted that it was found right.

    Raises:
        TrainingError: transformers has no class for it, its weights are quantized in another way
            than the method's, or the method's layers are not in it.
    """
    stored = stored_in_four_bits(base.path)
    if stored and not METHODS[settings.method].quantized:
        raise TrainingError(
            f"method {settings.method}: the weights of {base.name} are in 4 bits; expected plain "
            'ones; set train.method = "qlora", or choose the model that it was made from'
        )
    shape = settings.model_dump(include={"method", "targets", "rank", "dropout", "packing"})
    key = digest([VERSION, version("transformers"), base.digest, shape])[:32]
    noted = models_dir / "checked" / key
    if noted.is_file():
        return
    import torch
    from transformers import AutoConfig

    automatic, _ = model_class(base.path)
    with torch.device("meta"):
        model = automatic.from_config(AutoConfig.from_pretrained(base.path))
    check_targets(model, settings)
    write_atomically(noted, b"")


def check_rows(rows: Rows, model: Any, settings: TrainSettings) -> None:
    """Check that the rows are within the context and the vocabulary of the base model.

    Raises:
        TrainingError: by its id, a row is not.
    """
    context, known = context_length(model), int(model.get_input_embeddings().weight.shape[0])
    places = settings.virtual_tokens or 0
    for split in (rows.train, rows.validation):
        for pair, ids in zip(split["pair_id"], split["input_ids"], strict=True):
            if max(ids) >= known:
                raise TrainingError(
                    f"train: row {pair} has token {max(ids)}, and the base model knows {known}; "
                    "expected the tokenizer that belongs to its weights; put the right one into "
                    "its folder, or enlarge its embeddings"
                )
            if context is not None and len(ids) > context - places:
                raise TrainingError(
                    f"train: row {pair} has {len(ids)} tokens, and the context of the base model "
                    f"is {context} ({places} of them trained places); expected no more; set "
                    f"train.max_tokens = {context - places} or less"
                )


def context_length(model: Any) -> int | None:
    """Return how many positions a model has; None for one that counts none (ALiBi)."""
    found = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return None if found is None else int(found)
