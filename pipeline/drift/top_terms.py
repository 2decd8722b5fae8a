"""Which words tell two samples of texts apart, in a form that a person can read."""

import numpy as np
from numpy.typing import NDArray

from pipeline.drift.evidence import Gram
from pipeline.drift.grams import Grams

MOST = 20

SMALL = 0.1
"""Difference of shares below which words do not tell, and character n-grams are shown."""

Floats = NDArray[np.float64]


def telling_grams(
    grams: tuple[Grams, Grams], weights: tuple[Floats, Floats], split: int, texts: int
) -> tuple[Gram, ...]:
    """Return the grams that moved, most telling first.

    A gram tells as much as its weight times the difference of its shares; one that shares a
    word (or most characters) with a better one is left out.

    Args:
        grams: words and characters, rows below ``split`` from the reference.
        weights: of the classifier, one for each bucket, for both levels.
        split: rows of the reference.
        texts: rows of both.
    """
    by_word = _ranked(grams[0], weights[0], split, texts)
    if any(abs(gram.share_window - gram.share_reference) >= SMALL for gram in by_word):
        return by_word
    return (_ranked(grams[1], weights[1], split, texts) + by_word)[:MOST]


def _ranked(found: Grams, weights: Floats, split: int, texts: int) -> tuple[Gram, ...]:
    keys, first, inverse = np.unique(found.keys, return_index=True, return_inverse=True)
    if not len(keys):
        return ()
    places = np.unique(inverse.astype(np.int64) * texts + found.rows)
    counts = [
        np.bincount(places[side] // texts, minlength=len(keys))
        for side in (places % texts < split, places % texts >= split)
    ]
    before, after = counts[0] / split, counts[1] / (texts - split)
    weight = weights[(keys % np.uint64(len(weights))).astype(np.int64)]
    telling = weight * (after - before)
    chosen: list[Gram] = []
    taken: set[str] = set()
    for place in np.lexsort((first, -telling)):
        if telling[place] <= 0 or len(chosen) == MOST:
            break
        occurrence = int(first[place])
        text = found.text(occurrence)
        parts = _parts(found, text)
        if taken & parts or not text.strip():
            continue
        taken |= parts
        chosen.append(
            Gram(
                text=text,
                level=found.level,
                weight=round(float(weight[place]), 6),
                share_reference=round(float(before[place]), 6),
                share_window=round(float(after[place]), 6),
            )
        )
    return tuple(chosen)


def _parts(found: Grams, text: str) -> set[str]:
    """Return what another gram may not have in common with this one."""
    if found.level == "word":
        return set(text.split(" "))
    return {text[at : at + 2] for at in range(len(text) - 1)}
