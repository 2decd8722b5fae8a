"""Label Studio's side of a pair: the task that is shown, and the decision in an annotation."""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotation.decisions import EDITS, Decision, Item, read_decision
from annotation.items import GUIDELINES, evidence_span

LABEL_CONFIG = Path(__file__).parent / "label_config.xml"


def instructions() -> str:
    """Return the guidelines as HTML, for the page before the first task."""
    from markdown_it import MarkdownIt

    page: str = MarkdownIt().render(GUIDELINES.read_text("utf-8"))
    # It takes styles away; the window has a title of its own, which a heading would overlap.
    return re.sub("<h1>.*</h1>", "", page).replace("<h2>", "<br><h2>")


def to_task(item: Item, batch: str) -> dict[str, Any]:
    """Return the task of a pair, as the import takes it.

    Returns:
        The fields that the form names, and the two that lead back: pair_id and batch.
    """
    shown = {name: _clean(str(item[name])) for name in ("document", "instruction", "input")}
    if item["hint"]:
        shown["document"] += f"\n\nWhy you see it: {_clean(item['hint'])}"
    return {
        "data": {
            "pair_id": item["pair_id"],
            "batch": batch,
            **shown,
            "passage": passage(_clean(item["chunk_text"]), _clean(item["evidence"])),
            "response": _clean(item["response"]),
        }
    }


def passage(text: str, evidence: str) -> str:
    """Return a text as HTML, the evidence in it marked."""
    start, end = evidence_span(text, evidence)
    parts = (html.escape(part) for part in (text[:start], text[start:end], text[end:]))
    return "{}<mark>{}</mark>{}".format(*parts) if end else html.escape(text)


def to_decision(annotation: Mapping[str, Any], pair_id: str, reviewer: str) -> Decision:
    """Return the decision in an annotation, unchecked: the server stores whatever it is sent.

    Returns:
        A skip for a skipped task. Several verdicts are joined by a comma, which no rule lets pass.
    """
    answers = _answers(annotation.get("result"))
    skipped = bool(annotation.get("was_cancelled"))
    return read_decision(
        {
            "pair_id": pair_id,
            "verdict": "skip" if skipped else ", ".join(answers.get("verdict", ())),
            **{
                column: "" if skipped else "\n".join(answers.get(column, ()))
                for column in EDITS.values()
            },
            "flags": [] if skipped else answers.get("flags", []),
            "note": "\n".join(answers.get("note", ())),
            "reviewer": reviewer,
            "seconds": annotation.get("lead_time"),
        }
    )


def _answers(result: Any) -> dict[str, list[str]]:
    """Return what was answered by control; a text area may hold a string or a list of them."""
    answers: dict[str, list[str]] = {}
    for region in result if isinstance(result, list) else ():
        value = region.get("value") if isinstance(region, dict) else None
        if not isinstance(value, dict):
            continue
        given = value.get("choices", value.get("text"))
        words = given if isinstance(given, list) else [given]
        said = answers.setdefault(str(region.get("from_name")), [])
        said.extend(str(word) for word in words if word is not None and str(word) not in said)
    return answers


def _clean(text: str) -> str:
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL refuses it
