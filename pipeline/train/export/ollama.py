"""An Ollama Modelfile that says to a model, token for token, what its training said.

Ollama sends the bare text where it does not know a chat template (ollama #6823), so it is written
out from pieces that are first proven against the real template.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.text.chat import end_of_turn
from pipeline.text.chat_template import Message, render

CONVERSATIONS = tuple(
    [Message(role=role, content=content) for role, content in turns]
    for turns in (
        [("user", "one")],
        [("system", "zero"), ("user", "one")],
        [("user", "one\n\ntwo  three"), ("assistant", "four"), ("user", "five")],
        [("system", "zero"), ("user", "one"), ("assistant", "two"), ("user", "three")],
    )
)
"""What the pieces are proven on: with and without a system message, one turn and several."""


@dataclass(frozen=True, slots=True)
class ChatML:
    """A template that writes each turn as start, role, line break, content, end, line break."""

    start: str
    end: str
    system: str | None  # system message that the template writes when there is none

    def render(self, messages: Sequence[Message]) -> str:
        """Return the text of a conversation up to where the assistant begins."""
        turns = list(messages)
        if self.system is not None and turns[0]["role"] != "system":
            turns.insert(0, {"role": "system", "content": self.system})
        text = "".join(
            f"{self.start}{turn['role']}\n{turn['content']}{self.end}\n" for turn in turns
        )
        return f"{text}{self.start}assistant\n"


def chatml(tokenizer: Any) -> ChatML:
    """Read the pieces of a ChatML-like template, and prove them; TrainingError for another one."""
    marked = CONVERSATIONS[1]
    start = render(tokenizer, marked).partition("system\nzero")[0]
    end = tokenizer.decode(end_of_turn(tokenizer) or tokenizer.eos_token_id)
    bare = render(tokenizer, marked[1:])
    system = None
    if bare.startswith(opening := f"{start}system\n"):
        system = bare.removeprefix(opening).partition(end)[0]
    pieces = ChatML(start, end, system)
    for messages in CONVERSATIONS:
        expected = render(tokenizer, messages, generation_prompt=True)
        if not start or (found := pieces.render(messages)) != expected:
            raise TrainingError(
                f"export: the chat template is not ChatML ({expected[:60]!r} where ChatML would be "
                f"{found[:60] if start else ''!r}); expected one that a Modelfile can say; export "
                "with --format merged and write the Modelfile by hand"
            )
    return pieces


def modelfile(pieces: ChatML, weights: str, context: int, prompt: str = "") -> str:
    """Return a Modelfile: weights, template, system prompt, where to stop, greedy decoding."""
    system = prompt or pieces.system
    for text in (pieces.start, pieces.end, system or ""):
        if '"""' in text or "{{" in text:
            raise TrainingError(
                f"export: {text[:40]!r} cannot be written into a Modelfile; expected no triple "
                "quotes and no double braces; export with --format merged"
            )
    # In Go's template language; Ollama puts SYSTEM among the messages.
    turn = f"{pieces.start}{{{{ .Role }}}}\n{{{{ .Content }}}}{pieces.end}\n"
    template = f"{{{{- range .Messages }}}}{turn}{{{{ end }}}}{pieces.start}assistant\n"
    lines = [
        f"FROM ./{weights}",
        f'TEMPLATE """{template}"""',
        f'PARAMETER stop "{pieces.end}"',
        f"PARAMETER num_ctx {context}",
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
    ]
    if system is not None:
        lines.insert(2, f'SYSTEM """{system}"""')
    return "\n".join(lines) + "\n"
