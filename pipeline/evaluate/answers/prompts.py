"""What an arm makes of a question, in one wording for every model: a passage, thoughts first."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.settings import ScreenSettings
from pipeline.text.chat_template import Message

MARKER = "Answer:"  # what chain of thought writes before its answer

_MARKED = re.compile(
    r"(?P<before>^|\n|[.!?]\s)\W{0,20}(?:final\s{1,20})?answer\W{0,20}:\W{0,20}", re.IGNORECASE
)


class Passage(NamedTuple):
    """What retrieval found for one question."""

    text: str
    chunk_ids: tuple[str, ...]
    doc_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """What an arm puts into its prompts and what answers are held against, by pair_id."""

    shots: Mapping[str, Sequence[Message]] = field(default_factory=dict)
    """Example messages shown as earlier turns; the first go while the prompt is too long."""
    passages: Mapping[str, Passage] | None = None  # None for an arm without retrieval
    sources: Mapping[str, str] = field(default_factory=dict)
    """The text that an answer must stand in; a row without one is not judged by it."""
    screen: ScreenSettings = field(default_factory=ScreenSettings)  # says what is grounded


def with_passage(question: str, passage: str) -> str:
    """Return the question behind a passage of the documents."""
    return f"{passage}\n\nUse the passage above to answer: {question}"


def with_thinking(question: str) -> str:
    """Return the question with a request to reason before the answer (Kojima et al. 2022)."""
    return (
        f"{question}\n\nThink step by step in one or two sentences. Then write a new line that "
        f'starts with "{MARKER}" and give the answer.'
    )


def split_thoughts(text: str) -> tuple[str, str]:
    """Return thoughts and answer: what stands behind the last marker, all where there is none."""
    marks = list(_MARKED.finditer(text))
    if not marks:
        return "", text
    last = marks[-1]
    return text[: last.end("before")].strip(), text[last.end() :].strip()
