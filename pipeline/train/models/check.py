"""A base model looked at before anything is paid for it: its template and tokenizer."""

from importlib.metadata import version
from pathlib import Path

from pipeline.core.cache import write_atomically
from pipeline.core.errors import TrainingError
from pipeline.text.chat import prove_mask
from pipeline.text.chat_template import Message
from pipeline.train.models.base_model import BaseModel, load_tokenizer

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
    """Check that template and tokenizer of a base model fit together, and end turns as it does.

    One that was found right is not looked at again: importing transformers takes seconds.

    Args:
        base: the base model.
        models_dir: where it is noted that a base model was found right.

    Raises:
        TrainingError: they do not; the message names why.
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
    write_atomically(noted, b"")
