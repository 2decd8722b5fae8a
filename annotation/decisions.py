"""What a reviewer may decide: the rules that every decision passes before it counts."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.pairs.review import LAST_TURN
from schemas.pairs import FLAGS, VERDICTS

Item = Mapping[str, Any]  # one queued pair as the reviewer sees it: ITEM_FIELDS
ITEM_FIELDS = (
    *("pair_id", "queue", "hint", "document", "instruction", "input", "chunk_text", "response"),
    "evidence",
)
"""Neutral on purpose: split, generator and score would bias the reviewer. ``queue`` is ``audit``
(random, without a ``hint``; gold items look the same) or ``fix`` (``hint``: why it is shown)."""
EDITS = {"instruction": "edited_instruction", "response": "edited_response"}
"""What may be edited, and where the better text is written."""
DECISION_FIELDS = ("verdict", *EDITS.values(), "flags", "note", "reviewer")  # to be filled in
BOUNCES = {
    "unreadable": "the line cannot be read; mend it, or copy the line from the other queue file",
    "unknown_pair": "this pair_id is not in the queue; leave the pair_id column as it was",
    "missing_verdict": f"write one of {', '.join(VERDICTS)} into verdict",
    "unknown_verdict": f"the verdict is none of {', '.join(VERDICTS)}",
    "missing_reviewer": "write your name into reviewer",
    "missing_edit": "an edit needs the better text in edited_instruction or edited_response",
    "same_edit": "the edit equals question and response; change one, or write accept",
    "turns_changed": "edit the last question of the conversation only, not the turns before it",
    "edit_without_verdict": "an edited text is filled in beside accept; write edit, or clear it",
    "response_overwritten": "the response itself was changed; write the text into edited_response",
    "instruction_overwritten": "the question itself was changed; write the text into "
    "edited_instruction",
    "missing_flag": f"a reject needs a flag: {', '.join(FLAGS)}",
    "unknown_flag": f"a flag is none of {', '.join(FLAGS)}",
}
"""Why a decision was not applied, and what mends it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision as it came, stripped of surrounding spaces; not yet checked."""

    pair_id: str
    verdict: str
    edited_response: str
    flags: tuple[str, ...]
    note: str
    reviewer: str
    edited_instruction: str = ""
    seconds: float | None = None
    seen_response: str | None = None  # in the reviewer's own copy of the item, if there is one
    seen_instruction: str | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Decision":
        """Take the decision out of a row of a queue file; flags may be a list or one string."""
        flags, seconds = row.get("flags"), row.get("seconds")
        words = flags if isinstance(flags, list) else re.split(r"[\s,;|]+", _text(flags))
        named = (_text(word).lower() for word in words)
        names = ("pair_id", *DECISION_FIELDS)
        texts: dict[str, Any] = {name: _text(row.get(name)) for name in names}
        texts["pair_id"] = texts["pair_id"].removeprefix("pair-")
        texts["verdict"] = texts["verdict"].lower()
        texts["flags"] = tuple(dict.fromkeys(filter(None, named)))
        texts |= {f"seen_{name}": _text(row[name]) for name in EDITS if row.get(name) is not None}
        texts["seconds"] = float(seconds) if isinstance(seconds, int | float) else None
        return cls(**texts)

    @property
    def is_begun(self) -> bool:
        """Whether anything was decided; a reviewer's name alone is none."""
        edited = self.edited_instruction or self.edited_response
        return bool(self.verdict or edited or self.flags or self.note)

    def fields(self) -> dict[str, Any]:
        """Return what is stored: the decision, without the reviewer's copy of the item."""
        names = ("pair_id", *DECISION_FIELDS, "seconds")
        return {name: getattr(self, name) for name in names} | {"flags": list(self.flags)}

    def edits(self, item: Item) -> dict[str, str | None]:
        """Return the texts that the reviewer changed, by the column of Reviews; others are None."""
        edited: dict[str, str | None] = dict.fromkeys(EDITS.values())
        for name, column in EDITS.items():
            text = str(getattr(self, column))
            if self.verdict == "edit" and text and _lines(text) != _lines(str(item.get(name, ""))):
                edited[column] = text
        return edited

    def bounce_reason(self, item: Item | None) -> str | None:
        """Return the key of :data:`BOUNCES` that keeps it from counting, or None."""
        if item is None:
            return "unknown_pair"
        if not self.verdict:
            return "missing_verdict"
        if self.verdict not in VERDICTS:
            return "unknown_verdict"
        if not self.reviewer:
            return "missing_reviewer"
        if any(flag not in FLAGS for flag in self.flags):
            return "unknown_flag"
        if self.verdict == "accept":
            return self._changed_beside_accept(item)
        if self.verdict == "edit":
            return self._wrong_edit(item)
        return "missing_flag" if self.verdict == "reject" and not self.flags else None

    def _wrong_edit(self, item: Item) -> str | None:
        if not (self.edited_instruction or self.edited_response):
            return "missing_edit"
        edits = self.edits(item)
        if not any(edits.values()):
            return "same_edit"
        asked, shown = edits["edited_instruction"], str(item.get("instruction", ""))
        # The turns of a conversation before its last question are no part of the pair's question.
        before = [same_text(text.rpartition(LAST_TURN)[0]) for text in (asked or shown, shown)]
        return "turns_changed" if before[0] != before[1] else None

    def _changed_beside_accept(self, item: Item) -> str | None:
        for name, column in EDITS.items():
            original = same_text(str(item.get(name, "")))
            edited, seen = getattr(self, column), getattr(self, f"seen_{name}")
            if edited and same_text(edited) != original:
                return "edit_without_verdict"
            if seen is not None and same_text(seen) != original:
                return f"{name}_overwritten"
        return None


def to_decision(annotation: Mapping[str, Any], pair_id: str, reviewer: str) -> Decision:
    """Return the decision in an annotation, unchecked; several verdicts are joined by a comma."""
    answers: dict[str, list[str]] = {}  # by control; a text area may hold a string or a list
    result = annotation.get("result")
    for region in result if isinstance(result, list) else ():
        value = region.get("value") if isinstance(region, dict) else None
        if not isinstance(value, dict):
            continue
        given = value.get("choices", value.get("text"))
        words = given if isinstance(given, list) else [given]
        said = answers.setdefault(str(region.get("from_name")), [])
        said.extend(str(word) for word in words if word is not None and str(word) not in said)
    row: dict[str, Any] = {"note": "\n".join(answers.get("note", ()))}
    if annotation.get("was_cancelled"):
        row["verdict"] = "skip"
    else:
        row |= {column: "\n".join(answers.get(column, ())) for column in EDITS.values()}
        row["verdict"] = ", ".join(answers.get("verdict", ()))
        row["flags"] = answers.get("flags", [])
    about = {"pair_id": pair_id, "reviewer": reviewer, "seconds": annotation.get("lead_time")}
    return Decision.read(row | about)


def filled_in(row: Mapping[str, Any]) -> str:
    """Return what was filled in, the long texts last: a message is cut somewhere."""
    names = ("task", "verdict", "reviewer", "flags", "note", *EDITS.values())
    return json.dumps({name: row[name] for name in names if row.get(name)}, ensure_ascii=False)


def same_text(text: str) -> str:
    """Return a text with its white space folded: what a spreadsheet may change in passing."""
    return " ".join(text.split())


def _lines(text: str) -> list[tuple[int, str]]:
    """Return lines and indents, white space in a line folded: to give them back is an edit."""
    return [(len(line) - len(line.lstrip()), same_text(line)) for line in text.strip().splitlines()]


def _text(value: Any) -> str:
    text = "" if value is None else str(value)
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
