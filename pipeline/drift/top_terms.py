"""Terms of texts (words, pairs of words, character n-grams), and those that tell samples apart."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.drift.evidence import Gram
from pipeline.drift.features import words

MAX_WORDS = 2_000
"""Words read of a text: a book is told from a page by its shape."""

MAX_CHARACTERS = 4_000
"""Characters read of a text for its character n-grams."""

CHARACTERS = 4
"""Length of a character n-gram: parts of words, and marks with what stands beside them."""

MAX_TERMS = 20

SMALL_DIFFERENCE = 0.1
"""Difference of shares below which words explain little, and character n-grams are shown."""


@dataclass(frozen=True, slots=True)
class Terms:
    """TF-IDF of texts at one level: rows of length 1, one column for each term."""

    level: str
    """``word`` (words and pairs of words) or ``character``."""
    rows: sparse.csr_matrix
    names: NDArray[np.object_]


def tfidf(texts: Sequence[str]) -> tuple[Terms, Terms]:
    """Return the terms of texts at both levels, presence only: a repeated term counts once.

    The weights come from all texts together and do not know which text is on which side.
    """
    levels = []
    for level, analyzer in (("word", _word_terms), ("character", _character_terms)):
        vectorizer = TfidfVectorizer(analyzer=analyzer, binary=True, dtype=np.float32)
        rows = vectorizer.fit_transform(texts)
        levels.append(Terms(level, rows, vectorizer.get_feature_names_out()))
    return levels[0], levels[1]


def top_terms(
    levels: tuple[Terms, Terms], weights: NDArray[np.float64], split: int
) -> tuple[Gram, ...]:
    """Return the terms that moved, most telling first.

    A term tells as much as its weight times the difference of its shares; one that shares a
    word (or most characters) with a better one is left out.

    Args:
        levels: words and characters, rows below ``split`` from the reference.
        weights: of the classifier, one for each column of both levels side by side.
        split: rows of the reference.
    """
    word, character = levels
    by_word = _ranked(word, weights[: len(word.names)], split)
    if any(abs(gram.share_window - gram.share_reference) >= SMALL_DIFFERENCE for gram in by_word):
        return by_word
    return (_ranked(character, weights[len(word.names) :], split) + by_word)[:MAX_TERMS]


def _word_terms(text: str) -> list[str]:
    """Return words and pairs of neighbouring words; a text without words has one empty term."""
    single = ["<number>" if word == "0" else word for word in words(text)[:MAX_WORDS]]
    return single + [" ".join(pair) for pair in itertools.pairwise(single)] or [""]


def _character_terms(text: str) -> list[str]:
    """Return runs of :data:`CHARACTERS` characters in lower case; white space is one space."""
    plain = " ".join(text[:MAX_CHARACTERS].lower().split())
    return [plain[at : at + CHARACTERS] for at in range(len(plain) - CHARACTERS + 1)] or [""]


def _ranked(terms: Terms, weights: NDArray[np.float64], split: int) -> tuple[Gram, ...]:
    before, after = _shares(terms.rows[:split]), _shares(terms.rows[split:])
    telling = weights * (after - before)
    chosen: list[Gram] = []
    taken: set[str] = set()
    for column in np.argsort(-telling, kind="stable"):
        if telling[column] <= 0 or len(chosen) == MAX_TERMS:
            break
        name = str(terms.names[column])
        parts = _parts(terms.level, name)
        if taken & parts or not name.strip():
            continue
        taken |= parts
        chosen.append(
            Gram(
                text=name,
                level=terms.level,
                weight=round(float(weights[column]), 6),
                share_reference=round(float(before[column]), 6),
                share_window=round(float(after[column]), 6),
            )
        )
    return tuple(chosen)


def _shares(rows: sparse.csr_matrix) -> NDArray[np.float64]:
    """Return the share of rows that have each term."""
    return np.asarray(rows.getnnz(axis=0) / rows.shape[0], dtype=np.float64)


def _parts(level: str, name: str) -> set[str]:
    """Return what another term may not have in common with this one."""
    if level == "word":
        return set(name.split(" "))
    return {name[at : at + 2] for at in range(len(name) - 1)}
