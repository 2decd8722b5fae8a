"""What a reviewer gets: the items of the queue and the instructions beside them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import ReviewError
from pipeline.pairs.review import LAST_TURN
from schemas.documents import Chunks
from schemas.pairs import ScreenedPairs

GUIDELINES = Path(__file__).parent / "guidelines.md"


def to_items(
    pairs: DataFrame[ScreenedPairs], chunks: DataFrame[Chunks], hints: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return what the reviewer sees of each pair, in the order given.

    Args:
        pairs: to be reviewed.
        chunks: at least those that the pairs name.
        hints: why a pair is to be mended, by ``pair_id``; the others are for the audit.

    Returns:
        Mappings with the keys ``ITEM_FIELDS``; document and chunk_text are empty for a pair
        without a chunk.

    Raises:
        ReviewError: a pair names a chunk that is not there.
    """
    by_id = {row["chunk_id"]: row for row in chunks.iter_rows(named=True)}
    items: dict[str, dict[str, str]] = {}
    for row in pairs.iter_rows(named=True):
        chunk = by_id.get(row["chunk_id"], {"title": "", "section": "", "text": ""})
        if row["chunk_id"] and row["chunk_id"] not in by_id:
            raise ReviewError(
                f"review: pair {row['pair_id']} names chunk {row['chunk_id']}, which is not among "
                f"the {len(by_id)} chunks given; expected the chunks it was generated from; run "
                "`tuneloop curate` and push again"
            )
        other = by_id.get(row["other_chunk_id"])
        passages = [chunk["text"], *([other["text"]] if other else [])]
        items.setdefault(
            row["pair_id"],
            {
                "pair_id": row["pair_id"],
                "queue": "fix" if row["pair_id"] in hints else "audit",
                "hint": hints.get(row["pair_id"], ""),
                "document": _place(chunk["title"], chunk["section"]),
                "instruction": _asked(row),
                "input": row["input"],
                "chunk_text": "\n\n* * *\n\n".join(passages),
                "response": row["response"],
                "evidence": row["evidence"],
            },
        )
    return list(items.values())


def _place(title: str, section: str) -> str:
    """Return where a chunk stands; a section may begin with the title of its document."""
    begins = f"{section} > ".startswith(f"{title} > ")
    return section if begins else " > ".join(filter(None, (title, section)))


def _asked(row: Mapping[str, Any]) -> str:
    """Return the instruction, behind the turns of the conversation before it."""
    asked = str(row["instruction"])
    before = [f"{turn['role'].capitalize()}: {turn['content']}" for turn in row["history"]]
    return "\n\n".join(before) + LAST_TURN + asked if before else asked


def evidence_span(text: str, evidence: str) -> tuple[int, int]:
    """Return where evidence stands in a text, however its white space is broken; else (0, 0)."""
    match = re.search(r"\s+".join(map(re.escape, evidence.split())), text)
    return match.span() if match else (0, 0)


def readme() -> str:
    """Return the README.txt of the queue folder."""
    return f"""\
How to review these pairs
=========================

Decide on each pair in ONE of these ways:

1. queue.csv in a spreadsheet: fill in the columns verdict, edited_instruction, edited_response,
   flags, note and reviewer, leave the others as they are, and save as CSV.
2. queue.jsonl in a text editor: the same fields, one pair a line.
3. In the terminal: tuneloop review

Then run: tuneloop review pull
Decisions that cannot be used are listed with the reason; mend them in the file and pull again.
To take a decision back, write skip. All decisions are kept in decisions.jsonl as they came.

{GUIDELINES.read_text("utf-8")}"""
