"""What comes of asking a teacher: each candidate is a row of Pairs or a drop."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.cache import canonical_json, short_id
from pipeline.core.errors import TeacherError
from pipeline.core.outcome import Drop
from pipeline.pairs.teachers.teacher import Teacher
from schemas.pairs import Pairs

WEAK_SELF_INSTRUCT = "self-instruct/1"  # of a weak teacher's prompts: raise it when they change


@dataclass(slots=True)
class Harvest:
    """Pairs and drops of some chunks or tasks; each candidate is in one of the two."""

    pairs: list[dict[str, Any]] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)  # first replies, to show when no pair comes
    asked: set[str] = field(default_factory=set)  # ids of the chunks that something was asked about

    def add(self, other: "Harvest") -> None:
        """Take over what another harvest holds."""
        self.pairs += other.pairs
        self.drops += other.drops
        self.raw += other.raw
        self.asked |= other.asked


def pair_id(instruction: str, input: str, response: str, doc_id: str, origin: str) -> str:
    """Return the content id of a pair: the same pair from the same document has the same id."""
    return short_id(instruction, input, response, doc_id, origin)


def pair_row(
    origin: str, instruction: str, response: str, given: str = "", doc_id: str = "", **columns: Any
) -> dict[str, Any]:
    """Return a row of Pairs: columns that are not given are empty, the score is null.

    Turns before the instruction (``history``) are part of its id.
    """
    history = columns.get("history") or []
    asked = canonical_json([*history, instruction]) if history else instruction
    return dict.fromkeys(Pairs.columns(), "") | {
        "pair_id": pair_id(asked, given, response, doc_id, origin),
        "history": [],
        "instruction": instruction,
        "input": given,
        "response": response,
        "doc_id": doc_id,
        "origin": origin,
        "score": None,
        **columns,
    }


def judge_pilot(harvest: Harvest, teacher: Teacher) -> None:
    """Raise TeacherError, with the first replies, when the first chunks gave no pair."""
    if harvest.pairs:
        return
    counts = Counter(drop.reason for drop in harvest.drops)
    reason, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    first = [" ".join(text.split()) for text in harvest.raw]
    if reason == "request_failed":  # the replies are a server's words: whole, each once
        advice, first = "mend the endpoint", list(dict.fromkeys(first))
    else:
        first = [text[:160] for text in first]
        advice = "choose a stronger teacher" if any(first) else "see why its replies are empty"
    if reason == "cut_short":
        advice = (
            "give them room (teacher.thinking_tokens, generate.max_answer_tokens, the server's own "
            "limits), or turn thoughts off with teacher.extra"
        )
    raise TeacherError(
        f"teacher {teacher.name}: nothing usable for the first {len(harvest.asked)} chunks "
        f"({count} of {len(harvest.drops)} candidates: {reason}); expected at least one pair; "
        f"first replies: {' / '.join(map(repr, first[:3])) or 'none'}; {advice}, or set "
        "generate.pilot_chunks = 0 to go on all the same"
    )
