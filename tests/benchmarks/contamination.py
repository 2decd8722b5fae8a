"""Planted contamination on real text: what the leak check finds, and what it finds wrongly.

    make bench                                            # or:
    .venv/bin/python -m tests.benchmarks.contamination [--held-out 1000]

Passages of the manuals of PostgreSQL and Git, no two of which resemble each other, are held out
or trained on. Copies of the held-out ones are planted among training rows: verbatim, re-wrapped
(short lines, hyphens at their ends, capitals, other punctuation), inside another text, and with a
share of their words replaced. The rest is clean where it has less than 30 % of the 5-grams of any
held-out passage: each alarm there is a false one. Where it has more, a manual repeats its own
sentences, and an alarm is a matter of the threshold. The peer is the usual way, a loop over sets
of 13-grams of words split at spaces (GPT-3, lm-eval).
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

from pipeline.dedup.row_copies import COPIES, HeldOut, Row, row
from tests.benchmarks.dedup_pages import load
from tests.benchmarks.verdict import verdict

MOST_ALARMS = 0.001
"""Of issue 5."""
RELATED = 0.3
"""Share of the 5-grams of a held-out passage from which another one is no longer clean."""

EDITS = (0.02, 0.05, 0.1, 0.2)
GRAM = 13


def edited(share: float) -> Callable[[str], str]:
    """Return an editor that replaces a share of the words of a text."""

    def edit(text: str) -> str:
        words = text.split()
        draw = random.Random(text)
        for place in draw.sample(range(len(words)), max(1, round(share * len(words)))):
            words[place] = draw.choice(("instead", "another", "value", "which", "file"))
        return " ".join(words)

    return edit


def grams(text: str, width: int = GRAM) -> set[tuple[str, ...]]:
    """Return the n-grams of a text, split at spaces."""
    words = text.lower().split()
    return {tuple(words[at : at + width]) for at in range(len(words) - width + 1)}


def parted(others: list[str], held_out: list[str]) -> tuple[list[str], list[str]]:
    """Return the texts that are clean, and those with much of a held-out one."""
    sets = [grams(text, 5) for text in held_out]
    holders: dict[tuple[str, ...], list[int]] = {}
    for number, one in enumerate(sets):
        for gram in one:
            holders.setdefault(gram, []).append(number)
    clean, related = [], []
    for text in others:
        common = Counter(number for gram in grams(text, 5) for number in holders.get(gram, ()))
        most = max((count / len(sets[number]) for number, count in common.items()), default=0)
        (related if most >= RELATED else clean).append(text)
    return clean, related


def main() -> int:
    """Print recall by kind of copy, false alarms and time, of the check and of the peer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--held-out", type=int, default=1000)
    options = parser.parse_args()
    passages = load().passages
    random.Random(7).shuffle(passages)
    held_out = passages[: options.held_out]
    clean, related = parted(passages[options.held_out :], held_out)
    copies = dict(COPIES) | {f"{share:.0%} of words edited": edited(share) for share in EDITS}
    planted = {kind: [copy(text) for text in held_out] for kind, copy in copies.items()}

    began = time.perf_counter()
    check = HeldOut([row(str(n), "test", (), text) for n, text in enumerate(held_out)])
    found = {kind: sum(map(leaks(check), texts)) for kind, texts in planted.items()}
    alarms = sum(map(leaks(check), clean))
    ours = time.perf_counter() - began
    close = sum(map(leaks(check), related))

    began = time.perf_counter()
    index = set().union(*map(grams, held_out))
    others = {
        kind: sum(not index.isdisjoint(grams(text)) for text in texts)
        for kind, texts in planted.items()
    }
    other_alarms = sum(not index.isdisjoint(grams(text)) for text in clean)
    peer = time.perf_counter() - began
    other_close = sum(not index.isdisjoint(grams(text)) for text in related)

    print(
        f"{len(held_out):,} held-out passages, {len(clean):,} clean ones, "
        f"{len(related):,} with much in common"
    )
    print(f"{'planted':<24} {'found':>8} {'13-grams':>9}")
    for kind in planted:
        print(
            f"{kind:<24} {found[kind] / len(held_out):>8.2%} {others[kind] / len(held_out):>9.2%}"
        )
    print(f"{'false alarms':<24} {alarms / len(clean):>8.2%} {other_alarms / len(clean):>9.2%}")
    print(
        f"{'of those in common':<24} {close / len(related):>8.2%} "
        f"{other_close / len(related):>9.2%}"
    )
    print(f"{'seconds':<24} {ours:>8.1f} {peer:>9.1f}")
    return verdict(
        {f"each copy found, {kind}": found[kind] == len(held_out) for kind in COPIES}
        | {f"false alarms below {MOST_ALARMS:.1%}": alarms < MOST_ALARMS * len(clean)}
    )


def leaks(check: HeldOut) -> Callable[[str], bool]:
    """Return a test whether a text of training gives a held-out one away."""

    def test(text: str) -> bool:
        suspect: Row = row("suspect", "train", (), text)
        return any(hit.kind == "text" for hit in check.hits(suspect))

    return test


if __name__ == "__main__":
    sys.exit(main())
