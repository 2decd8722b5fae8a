"""A base model looked at before anything is paid for it: template, tokenizer, architecture."""

from importlib.metadata import version
from pathlib import Path

from pipeline.cache import write_atomically
from pipeline.dataset.chat import prove_mask
from pipeline.dataset.template import Message
from pipeline.errors import TrainingError
from pipeline.train.base_model import BaseModel, load_tokenizer, silence_transformers

VERSION = 1
"""Of what is looked at: raised, every base model is looked at again."""

STEPS = "1. Close valve 4.\n2. Drain it:\n\n```sh\nvalve --drain 4\n```"
CONVERSATIONS = tuple(
    [Message(role=role, content=content) for role, content in turns]
    for turns in (
        [("user", "How often?"), ("assistant", "Once a week.")],
        [("user", "How do I drain it?\n\n- valve: 4\n"), ("assistant", STEPS)],
        [
            ("user", "Wie groß ist „Ä“?"),
            ("assistant", "Fünf Grad Celsius, ça suffit: 水は5度です。"),
        ],
        [
            ("system", "Answer briefly."),
            ("user", "Is it on?"),
            ("assistant", "Yes."),
            ("user", "Since when?"),
            ("assistant", "Since noon."),
        ],
    )
)
"""What the loss mask is proven on: short, a list with code, other languages, several turns."""


def check_base(base: BaseModel, models_dir: Path) -> None:
    """Check that a base model can be trained: its template, tokenizer and architecture.

    One that was found right is not looked at again: importing transformers takes seconds.

    Args:
        base: the base model.
        models_dir: where it is noted that a base model was found right.

    Raises:
        TrainingError: it cannot be trained; the message names why.
    """
    name = f"{base.digest}-{VERSION}-transformers-{version('transformers')}"
    noted = models_dir / "checked" / name
    if noted.is_file():
        return
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
    _check_architecture(base)
    write_atomically(noted, b"")


def _check_architecture(base: BaseModel) -> None:
    silence_transformers()
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    try:
        config = AutoConfig.from_pretrained(base.path, trust_remote_code=False)
    except (ValueError, KeyError) as error:  # a model_type that is not known, a broken file
        config, reason = None, str(error).strip().splitlines()[0]
    if config is not None:
        if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
            return
        reason = f"model_type {config.model_type!r} writes no text"
    raise TrainingError(
        f"base model {base.name}: {reason}; expected a language model that transformers "
        f"{version('transformers')} has a class for; choose another model.base_model"
    )
