"""Precision and recall of the screens on pairs that people labelled.

``data/screens/labelled.jsonl`` has passages with good pairs and pairs that are bad in a named way.
A third of the passages is held out: whoever mends a rule looks at the others alone.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.core.code import ROOT
from pipeline.pairs.screen.candidate import Candidate
from pipeline.pairs.screen.rules import SCREEN_RULES
from pipeline.pairs.user_files import read_jsonl
from pipeline.settings import ScreenSettings

LABELLED = ROOT / "data" / "screens" / "labelled.jsonl"

HELD_OUT = 3
"""One passage in so many is held out."""


class LabelledPair(NamedTuple):
    """A pair, what is wrong with it, and whether it is held out."""

    candidate: Candidate
    fault: str
    """Empty: it is good."""
    language: str
    held_out: bool


def labelled(path: Path = LABELLED) -> list[LabelledPair]:
    """Read labelled pairs: one passage a line, with its pairs."""
    return [
        LabelledPair(
            Candidate(
                pair["question"],
                pair["answer"],
                grounded=True,
                source=f"{row['title']}\n{row['passage']}",
                input=pair["input"],
                kind=pair["kind"],
            ),
            pair["fault"],
            row["language"],
            int(hashlib.sha256(row["id"].encode()).hexdigest(), 16) % HELD_OUT == 0,
        )
        for row in read_jsonl(path)
        for pair in row["pairs"]
    ]


def figures(pairs: Sequence[LabelledPair], settings: ScreenSettings) -> list[dict[str, Any]]:
    """Return what each rule rejects by itself, what all of them do, and of which faults and kinds.

    Rules that compare pairs with each other are left out. Precision is the share of bad pairs among
    those that a rule rejects, recall the share of all bad pairs that it rejects.
    """
    rules = [rule for rule in SCREEN_RULES.values() if not rule.compares]
    found = [
        {
            rule.name
            for rule in rules
            if rule.fits(pair.candidate) and rule.function(pair.candidate, settings)
        }
        for pair in pairs
    ]

    def row(about: str, name: str, members: Iterator[bool], rejected: list[bool]) -> dict[str, Any]:
        judged = list(zip(members, (bool(pair.fault) for pair in pairs), rejected, strict=True))
        good = [gone for member, bad, gone in judged if member and not bad]
        bads = [gone for member, bad, gone in judged if member and bad]
        gone = sum(good) + sum(bads)
        return {
            about: name,
            "good": len(good),
            "good_rejected": sum(good),
            "bad": len(bads),
            "bad_rejected": sum(bads),
            "precision": sum(bads) / gone if gone else None,
            "recall": sum(bads) / len(bads) if bads else None,
        }

    gone = [bool(names) for names in found]
    every = [True] * len(pairs)
    rows = [row("set", "all screens", iter(every), gone)]
    for rule in rules:
        own = [rule.name in names for names in found]
        if any(own):
            rows.append(row("screen", rule.name, iter(every), own))
    for fault in sorted({pair.fault for pair in pairs} - {""}):
        rows.append(row("fault", fault, (pair.fault == fault for pair in pairs), gone))
    for kind in sorted({pair.candidate.kind for pair in pairs}):
        rows.append(row("kind", kind, (pair.candidate.kind == kind for pair in pairs), gone))
    return rows
