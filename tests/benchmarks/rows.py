"""Rows for the benchmarks, made of what is in the repository: 128 to train on, 32 to validate on.

A mix as a user's data has it: gold questions with the document they ask about (long prompt, short
answer), gold questions with their section only, sections to be written after what stands before
them (long answer), and seed tasks (short prompt). About 270 tokens a row with the tokenizer and
template of SmolLM2.
"""

import json
import re
from pathlib import Path
from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest
from schemas.pairs import Examples

DATA = Path(__file__).parents[2] / "data"
SUFFIXES = (".md", ".txt")
"""Documents that can be quoted as they are."""
TRAIN, VALIDATION = 128, 32
FIFTH = 5
"""Every fifth document and seed task validates."""


def benchmark_rows() -> DataFrame[Examples]:
    """Return the examples, train and validation, in a fixed order."""
    rows = [*_questions(), *_next_sections(), *_seed_tasks()]
    frame = pl.DataFrame(rows).unique("pair_id").sort("pair_id")
    wanted = {"train": TRAIN, "validation": VALIDATION}
    kept = pl.concat([frame.filter(split=split).head(count) for split, count in wanted.items()])
    return cast("DataFrame[Examples]", kept)


def _questions() -> list[dict[str, Any]]:
    rows = []
    for line in (DATA / "gold" / "gold.jsonl").read_text("utf-8").splitlines():
        gold = json.loads(line)
        if not gold["document"].endswith(SUFFIXES):
            continue
        text = (DATA / "samples" / gold["document"]).read_text("utf-8")
        answer = set(gold["answer"].split())
        section = max(_sections(text), key=lambda part: len(answer & set(part.split())))
        for context in (text.strip(), section):
            prompt = f"{gold['question']}\n\n{context}"
            rows.append(_row(prompt, gold["answer"], gold["document"]))
    return rows


def _next_sections() -> list[dict[str, Any]]:
    rows = []
    for path in sorted((DATA / "samples" / "manual").glob("*.md")):
        if "_" in path.stem or b"\0" in path.read_bytes():
            continue
        text = path.read_text("utf-8")
        title = text.split("\n", 1)[0].lstrip("# ")
        before = ""
        for section in _sections(text):
            heading, _, body = section.partition("\n")
            if len(body.split()) > 30:
                prompt = f"{title}: write the section {heading.lstrip('# ')!r}.\n\n{before}".strip()
                rows.append(_row(prompt, body.strip(), f"manual/{path.name}"))
            before = f"{before}\n\n{section}".strip()
    return rows


def _seed_tasks() -> list[dict[str, Any]]:
    rows = []
    for line in (DATA / "seeds" / "seed_tasks.jsonl").read_text("utf-8").splitlines():
        task = json.loads(line)
        rows.append(
            _row(f"{task['instruction']}\n\n{task['input']}".strip(), task["output"], task["id"])
        )
    return rows


def _sections(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?m)^(?=## )", text) if part.strip()]


def _row(prompt: str, response: str, source: str) -> dict[str, Any]:
    document = digest(source)
    return {
        "pair_id": digest([prompt, response])[:16],
        "doc_id": document[:16],
        "cluster_id": document[:16],
        "split": "validation" if int(document[:8], 16) % FIFTH == 0 else "train",
        "origin": "gold",
        "status": "gold",
        "messages": [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": response},
        ],
    }
