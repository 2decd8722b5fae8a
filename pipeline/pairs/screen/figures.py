"""Precision and recall of the screens on the pairs that people labelled, good ones and bad ones.

A third of the passages is held out: whoever mends a rule looks at the others alone.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.core.cache import program_cache
from pipeline.core.code import ROOT, remembered
from pipeline.pairs.screen.candidate import Candidate, turns
from pipeline.pairs.screen.rules import SCREEN_RULES
from pipeline.pairs.user_files import read_jsonl
from pipeline.settings import ScreenSettings

LABELLED = ROOT / "data" / "screens" / "labelled.jsonl"
HELD_OUT = 3  # one passage in so many is held out


class LabelledPair(NamedTuple):
    """A pair, what is wrong with it, and whether it is held out."""

    candidate: Candidate
    fault: str  # empty: it is good
    language: str
    held_out: bool


def labelled(path: Path = LABELLED) -> list[LabelledPair]:
    """Read labelled pairs: one passage a line, with its pairs."""
    pairs = []
    for row in read_jsonl(path):
        source = f"{row['title']}\n{row['passage']}"
        is_held_out = int(hashlib.sha256(row["id"].encode()).hexdigest(), 16) % HELD_OUT == 0
        for pair in row["pairs"]:
            candidate = Candidate(
                pair["question"],
                pair["answer"],
                grounded=True,
                source=source,
                history=turns(pair.get("history", ())),
                kind=pair["kind"],
            )
            pairs.append(LabelledPair(candidate, pair["fault"], row["language"], is_held_out))
    return pairs


def figures(pairs: Sequence[LabelledPair], settings: ScreenSettings) -> list[dict[str, Any]]:
    """Return precision and recall of the rules on single pairs: of all, each, by fault and kind."""
    rules = [rule for rule in SCREEN_RULES.values() if not rule.compares]
    found = [
        {r.name for r in rules if r.fits(p.candidate) and r.function(p.candidate, settings)}
        for p in pairs
    ]
    judged = list(zip(pairs, found, strict=True))
    rows = [_row("set", "all screens", [(pair.fault, bool(names)) for pair, names in judged])]
    for name in [rule.name for rule in rules if any(rule.name in names for names in found)]:
        rows.append(_row("screen", name, [(pair.fault, name in names) for pair, names in judged]))
    for about, of in (("fault", attrgetter("fault")), ("kind", attrgetter("candidate.kind"))):
        for name in sorted({of(pair) for pair in pairs} - {""}):
            members = [(pair.fault, bool(names)) for pair, names in judged if of(pair) == name]
            rows.append(_row(about, name, members))
    return rows


def _row(about: str, name: str, judged: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    good = [rejected for fault, rejected in judged if not fault]
    bad = [rejected for fault, rejected in judged if fault]
    return {
        about: name,
        "good": len(good),
        "good_rejected": sum(good),
        "bad": len(bad),
        "bad_rejected": sum(bad),
        "precision": sum(bad) / max(1, sum(good) + sum(bad)),
        "recall": sum(bad) / max(1, len(bad)),
    }


@cache
def measured_reasons() -> dict[str, str]:
    """Return reason -> line of all rules, with the figures of its rule on pairs held out."""
    labels = hashlib.sha256(LABELLED.read_bytes()).hexdigest()
    return remembered(program_cache(), __name__, {"labels": labels}, _measured_reasons)


def _measured_reasons() -> dict[str, str]:
    rows = figures([pair for pair in labelled() if pair.held_out], ScreenSettings())
    told = "(labelled pairs: precision {precision:.2f}, recall {recall:.2f})"
    measured = {row["screen"]: told.format_map(row) for row in rows if "screen" in row}
    return {
        reason: f"{line} {measured.get(rule.name, '')}".rstrip()
        for rule in SCREEN_RULES.values()
        for reason, line in rule.reasons.items()
    }
