"""A base model looked at before anything is paid for it: template, tokenizer, layers, context."""

import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.core.cache import digest, write_atomically
from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.text.chat import end_of_turn
from pipeline.text.chat_template import Message
from pipeline.train.batch.rows import Rows, prove_mask
from pipeline.train.methods import METHODS
from pipeline.train.methods.targets import check_targets
from pipeline.train.models import base_model
from pipeline.train.models.base_model import BaseModel, load_tokenizer

VERSION = 2  # of what is looked at: raised, every base model is looked at again
STEPS = "1. Close valve 4.\n2. Drain it:\n\n```sh\nvalve --drain 4\n```"
CONVERSATIONS = tuple(
    [Message(role=role, content=content) for role, content in turns]
    for turns in (
        [("user", "How often?"), ("assistant", "Once a week.")],
        [("user", "How do I drain it?\n\n- valve: 4\n"), ("assistant", STEPS)],
        [("user", "Wie groß ist „Ä“?"),
         ("assistant", "Fünf Grad Celsius, ça suffit: 水は5度です。")],
        [
            ("system", "Answer briefly."), ("user", "Is it on?"), ("assistant", "Yes."),
            ("user", "Since when?"), ("assistant", "Since noon."),
        ],
    )
)  # fmt: skip
"""What the loss mask is proven on: short, a list with code, other languages, several turns."""


def check_base(base: BaseModel, models_dir: Path) -> str:
    """Check that template and tokenizer of a base model fit together, and end turns as it does.

    Once, since importing transformers takes seconds. Returns what is to be said about it, mostly
    nothing; raises TrainingError where they do not fit.
    """
    name = f"{base.digest}-{VERSION}-transformers-{version('transformers')}"
    noted = models_dir / "checked" / name
    if noted.is_file():
        return ""
    tokenizer = load_tokenizer(base.path, base.thinking)
    if base.thinking and "thinking" not in tokenizer.get_chat_template():
        raise TrainingError(
            f"model.thinking: on, and the chat template of {base.name} has no switch for it; "
            "expected one with enable_thinking, such as Qwen3's; set model.thinking = false"
        )
    try:
        prove_mask(tokenizer, CONVERSATIONS)
    except TrainingError as error:
        raise TrainingError(f"base model {base.name}: {error}") from error
    write_atomically(noted, b"")
    if not tokenizer.attached:
        return ""
    return (
        f"base model {base.name} has no chat template: it is trained, asked and exported with "
        f"ChatML, whose turns end with {tokenizer.decode(end_of_turn(tokenizer))}"
    )


def check_method(base: BaseModel, settings: TrainSettings, models_dir: Path) -> None:
    """Check, once, that a method can train a base model; from its configuration alone.

    Raises TrainingError where transformers has no class for it, it cannot be asked for answers, its
    weights are quantized in another way than the method's, or the method's layers are not in it.
    """
    stored = base_model.stored_in_four_bits(base.path)
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
    model = base_model.empty_model(base.path)
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        raise TrainingError(
            f"base model {base.name}: {type(model).__name__} remembers what it has read in a form "
            "of its own; expected keys and values (past_key_values), as a model with attention has "
            "them, without which it cannot be asked for answers here; choose another base model"
        )
    check_targets(model, settings)
    write_atomically(noted, b"")


def check_rows(rows: Rows, model: Any, settings: TrainSettings) -> None:
    """Raise TrainingError for a row beyond the context or the vocabulary of the base model."""
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
