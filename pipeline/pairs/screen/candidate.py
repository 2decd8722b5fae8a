"""Candidate: a pair with what the rules judge it by, and what they find."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pipeline.pairs.answer_text import texts_in
from pipeline.text.function_words import FunctionWords, function_words, language_of

LAYOUT = re.compile(r"^[ \t]*(?:\d{1,3}[.)][ \t]+|(?:```|~~~)[^\n]*)", re.MULTILINE)
"""The number of an item and the fence of a code block: nothing that the response says."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair with what it is judged by."""

    instruction: str
    response: str
    grounded: bool  # whether it was made from a chunk; else it is a self-instruct task
    source: str = ""  # title, section and text of its chunk, or two; empty for a self-instruct task
    input: str = ""
    evidence: str = ""
    pair_id: str = ""
    doc_id: str = ""
    score: float | None = None
    languages: tuple[str, ...] = ()  # languages that it may be in; empty allows all
    known: bool = True  # whether its chunk, and the split of that chunk, are there
    splits: int = 1  # splits in whose sections its evidence stands
    kind: str = "fact"  # name of its kind of task
    of_people: bool = False  # whether it is a row of the user's own
    history: str = ""  # what was said before the instruction
    faults: tuple[str, ...] = ()  # what a judge of claims finds wrong with it

    @property
    def asked(self) -> str:
        """What is said before the response, without a text that the task is about."""
        return f"{self.instruction}\n{self.history}"

    @property
    def language(self) -> str:
        """Language of its chunk (ISO 639-1); of a task that of the pair itself."""
        return language_of(self.source or f"{self.instruction}\n{self.response}")

    @property
    def words(self) -> FunctionWords:
        """What is known of its language."""
        return function_words(self.language)

    @property
    def claims(self) -> str:
        """What the response says: the values of JSON, else all but the layout."""
        try:
            data = json.loads(self.response, parse_float=str, parse_int=str, parse_constant=str)
            return "\n".join(texts_in(data))
        except (ValueError, RecursionError):
            return LAYOUT.sub("", self.response)


class Finding(NamedTuple):
    """Why a pair goes: the measured value, what was asked for, and the words it is about."""

    reason: str
    value: float
    threshold: float
    detail: str = ""
    related_id: str | None = None  # the other pair or seed task, of a rule that compares


def turns(history: Iterable[Mapping[str, str]]) -> str:
    """Return what is said in the turns of a conversation."""
    return "\n".join(turn["content"] for turn in history)


def earlier_turns(
    pair: Candidate, history: Sequence[Mapping[str, str]]
) -> Iterator[tuple[int, Candidate]]:
    """Yield each earlier answer of a conversation as a pair, with the number of its turn from 1."""
    for number, turn in enumerate(history, start=1):
        if turn["role"] == "assistant":
            *before, asked = [{"content": ""}, *history[: number - 1]]
            said: dict[str, Any] = {"instruction": asked["content"], "response": turn["content"]}
            yield number, replace(pair, history=turns(before).strip(), evidence="", **said)
