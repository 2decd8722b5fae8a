"""What a reviewer gets: the items of the queue, as tasks too, and the instructions beside them."""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pandera.typing.polars import DataFrame

from annotation.decisions import ITEM_FIELDS, Item
from pipeline.core.errors import ReviewError
from pipeline.pairs.review import LAST_TURN
from schemas.documents import Chunks
from schemas.pairs import ScreenedPairs

GUIDELINES = Path(__file__).parent / "guidelines.md"
QUEUE_README = Path(__file__).parent / "queue_readme.txt"
LABEL_CONFIG = Path(__file__).parent / "label_config.xml"


def to_items(
    pairs: DataFrame[ScreenedPairs],
    chunks: DataFrame[Chunks],
    hints: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, str]]:
    """Return what the reviewer sees of each pair; ``hints``: why one is to be mended, by id."""
    by_id = {row["chunk_id"]: row for row in chunks.iter_rows(named=True)}
    items: dict[str, dict[str, str]] = {}
    for row in pairs.iter_rows(named=True):
        pair_id, chunk_id = row["pair_id"], row["chunk_id"]
        if chunk_id and chunk_id not in by_id:
            raise ReviewError(
                f"review: pair {pair_id} names chunk {chunk_id}, which is not among the "
                f"{len(by_id)} chunks given; expected the chunks it was generated from; run "
                "`tuneloop curate` and push again"
            )
        chunk = by_id.get(chunk_id, {"title": "", "section": "", "text": ""})
        other = by_id.get(row["other_chunk_id"])
        passages = [chunk["text"], *([other["text"]] if other else [])]
        item = row | {
            "queue": "fix" if pair_id in hints else "audit",
            "hint": hints.get(pair_id, ""),
            "document": _place(chunk["title"], chunk["section"]),
            "instruction": _asked(row),
            "chunk_text": "\n\n* * *\n\n".join(passages),
        }
        items.setdefault(pair_id, {name: item[name] for name in ITEM_FIELDS})
    return list(items.values())


def _place(title: str, section: str) -> str:
    """Return where a chunk stands; a section may begin with the title of its document."""
    begins = f"{section} > ".startswith(f"{title} > ")
    return section if begins else " > ".join(filter(None, (title, section)))


def _asked(row: Mapping[str, Any]) -> str:
    asked = str(row["instruction"])
    before = [f"{turn['role'].capitalize()}: {turn['content']}" for turn in row["history"]]
    return "\n\n".join(before) + LAST_TURN + asked if before else asked


def evidence_span(text: str, evidence: str) -> tuple[int, int]:
    """Return where evidence stands in a text, however its white space is broken; else (0, 0)."""
    match = re.search(r"\s+".join(map(re.escape, evidence.split())), text)
    return match.span() if match else (0, 0)


def instructions() -> str:
    """Return the guidelines as HTML, for the page before the first task."""
    from markdown_it import MarkdownIt

    page: str = MarkdownIt().render(GUIDELINES.read_text("utf-8"))
    # It takes styles away; the window has a title of its own, which a heading would overlap.
    return re.sub("<h1>.*</h1>", "", page).replace("<h2>", "<br><h2>")


def to_task(item: Item, batch: str) -> dict[str, Any]:
    """Return the task of a pair: what the form names, and what leads back: pair_id and batch."""
    # PostgreSQL refuses NUL.
    shown = {name: str(item[name]).replace("\0", "\N{REPLACEMENT CHARACTER}") for name in item}
    marked = passage(shown.pop("chunk_text"), shown.pop("evidence"))
    hint, _ = shown.pop("hint"), shown.pop("queue")
    if hint:
        shown["document"] += f"\n\nWhy you see it: {hint}"
    return {"data": shown | {"batch": batch, "passage": marked}}


def passage(text: str, evidence: str) -> str:
    """Return a text as HTML, the evidence in it marked."""
    start, end = evidence_span(text, evidence)
    parts = (html.escape(part) for part in (text[:start], text[start:end], text[end:]))
    return "{}<mark>{}</mark>{}".format(*parts) if end else html.escape(text)
