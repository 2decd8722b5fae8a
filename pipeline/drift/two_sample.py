"""Classifier two-sample test (C2ST): can new texts be told from the reference by their words?

Half of each side trains a ridge classifier, the other half is ranked by its scores; the AUC is the
test statistic, and permuting the labels of that half gives an exact p-value. With the kernel of the
reference factored once, all splits of the reference against itself, which give the null
distribution of the AUC, are one solve.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import rankdata
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.drift.evidence import Gram, TwoSample
from pipeline.drift.features import words
from pipeline.settings import MonitorSettings

RIDGE = 0.3  # weight of the penalty for rows of length 1
DENSE = 0.01  # share of rows from which a column is multiplied faster as a dense one
DIGITS = 9  # of a score: equal texts are equal, whatever the order in which products were summed
MAX_FARTHEST = 200
MAX_WORDS = 2_000  # read of a text: a book is told from a page by its shape
MAX_CHARACTERS = 4_000  # read of a text for its character n-grams
CHARACTERS = 4  # of an n-gram: parts of words, and marks with what stands beside them
MAX_TERMS = 20
SMALL_DIFFERENCE = 0.1  # of shares, below which words explain little: character n-grams are shown

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Label = TypeVar("Label", np.float64, np.bool_)


class Terms(NamedTuple):
    """TF-IDF of texts at one level: rows of length 1, one column for each term."""

    level: str
    rows: sparse.csr_matrix
    names: NDArray[np.object_]


def two_sample(
    reference: Sequence[str], window: Sequence[str], ids: Sequence[str], settings: MonitorSettings
) -> tuple[TwoSample, tuple[str, ...]]:
    """Test whether two samples of two texts or more come from one source.

    The test has what tells the sides apart when p is at most alpha. Behind it are ``ids`` of the
    window's texts least like the reference, each scored by the classifier trained without it.
    """
    generator = np.random.default_rng(settings.seed)
    texts = [*reference, *window]
    split = len(reference)
    labels = (np.arange(len(texts)) >= split).astype(np.float64)
    levels = tfidf(texts)
    rows = sparse.csr_matrix(sparse.hstack([level.rows for level in levels]) * np.sqrt(0.5))
    kernel = _kernel(rows)
    halves = _halves(generator, split, len(texts))
    coefficients = [_fit(kernel, half, labels[half][:, None]) for half in halves]
    scores = [
        (kernel[np.ix_(other, half)] @ fitted)[:, 0].round(DIGITS)
        for half, other, fitted in zip(halves, reversed(halves), coefficients, strict=True)
    ]
    held_out = labels[halves[1]]
    ranks = rankdata(scores[0])
    permuted_auc = _auc(ranks, permutations(generator, held_out, settings.permutations))
    auc = float(_auc(ranks, held_out[None])[0])
    p_value = (1 + int((permuted_auc >= auc - 1e-12).sum())) / (1 + settings.permutations)
    null_auc = permuted_auc
    if split >= 2 * len(window):
        null_auc = _null_auc(kernel[:split, :split], halves, len(window), generator, settings)
    threshold = max(settings.min_auc, float(np.quantile(null_auc, 1 - settings.alpha)))
    significant = p_value <= settings.alpha
    weights = rows[halves[0]].T @ coefficients[0][:, 0]
    test = TwoSample(
        auc=round(auc, 4),
        threshold=round(threshold, 4),
        p_value=p_value,
        drifted=significant and auc > threshold,
        grams=_top_terms(levels, weights, split) if significant else (),
    )
    return test, _farthest(scores, halves, split, ids)


def _kernel(rows: sparse.csr_matrix) -> Floats:
    """Return the products of all pairs of rows; columns that many rows have go by dense blocks."""
    columns = rows.tocsc()
    share = np.diff(columns.indptr) / rows.shape[0]
    dense = columns[:, share >= DENSE].toarray()
    rest = columns[:, (share > 0) & (share < DENSE)].tocsr()
    return np.asarray(dense @ dense.T + (rest @ rest.T).toarray(), dtype=np.float64)


def _halves(generator: np.random.Generator, split: int, size: int) -> tuple[Rows, Rows]:
    """Return two halves of the rows, each with half of the reference and half of the window."""
    sides = (generator.permutation(split), split + generator.permutation(size - split))
    first = np.concatenate([side[: (len(side) + 1) // 2] for side in sides])
    second = np.concatenate([side[(len(side) + 1) // 2 :] for side in sides])
    return np.sort(first), np.sort(second)


def _fit(kernel: Floats, half: Rows, labels: Floats) -> Floats:
    """Return the dual coefficients of a ridge with intercept, one column for each labelling."""
    own = kernel[np.ix_(half, half)]
    own = own - own.mean(axis=0) - own.mean(axis=1)[:, None] + own.mean()
    own[np.diag_indices_from(own)] += RIDGE
    solved = cho_solve(
        cho_factor(own, lower=True, check_finite=False), labels - labels.mean(axis=0)
    )
    return np.asarray(solved - solved.mean(axis=0))


def _null_auc(
    kernel: Floats,
    halves: tuple[Rows, Rows],
    window: int,
    generator: np.random.Generator,
    settings: MonitorSettings,
) -> Floats:
    """Return the AUC of draws of the window's size out of the reference against its rest."""
    split = len(kernel)
    train, test = (half[half < split] for half in halves)
    labels_train, labels_test = (
        permutations(
            generator,
            (np.arange(len(half)) < max(1, round(window * len(half) / split))).astype(np.float64),
            settings.calibration_draws,
        )
        for half in (train, test)
    )
    fitted = _fit(kernel, train, labels_train.T)
    scores = (kernel[np.ix_(test, train)] @ fitted).round(DIGITS)
    return _auc(rankdata(scores, axis=0).T, labels_test)


def permutations(
    generator: np.random.Generator, labels: NDArray[Label], count: int
) -> NDArray[Label]:
    """Return random permutations of the labels, one a row."""
    return generator.permuted(np.tile(labels, (count, 1)), axis=1)


def _auc(ranks: Floats, labels: Floats) -> Floats:
    """Return the area under the ROC curve of each row of labels, by Mann and Whitney's U."""
    positive = labels.sum(axis=1)
    negative = labels.shape[1] - positive
    sums = (labels * ranks).sum(axis=1)
    return np.asarray((sums - positive * (positive + 1) / 2) / (positive * negative))


def _farthest(
    scores: Sequence[Floats], halves: tuple[Rows, Rows], split: int, ids: Sequence[str]
) -> tuple[str, ...]:
    """Return ids by falling score, in deviations of the reference's scores in the same half."""
    distances = []
    for half, values in zip(reversed(halves), scores, strict=True):
        of_reference = values[half < split]
        scale = max(float(of_reference.std()), 1e-12)
        distances += [
            (-(value - float(of_reference.mean())) / scale, ids[row - split])
            for row, value in zip(half, values, strict=True)
            if row >= split
        ]
    return tuple(identifier for _, identifier in sorted(distances)[:MAX_FARTHEST])


def tfidf(texts: Sequence[str]) -> tuple[Terms, Terms]:
    """Return the terms of texts at both levels, presence only, weighted whatever their side."""
    levels = []
    for level, analyzer in (("word", _word_terms), ("character", _character_terms)):
        vectorizer = TfidfVectorizer(analyzer=analyzer, binary=True, dtype=np.float32)
        rows = vectorizer.fit_transform(texts)
        levels.append(Terms(level, rows, vectorizer.get_feature_names_out()))
    return levels[0], levels[1]


def _top_terms(levels: tuple[Terms, Terms], weights: Floats, split: int) -> tuple[Gram, ...]:
    """Return the terms that moved, by weight times difference of shares, most telling first."""
    word, character = levels
    by_word = _ranked(word, weights[: len(word.names)], split)
    if any(abs(gram.share_window - gram.share_reference) >= SMALL_DIFFERENCE for gram in by_word):
        return by_word
    return (_ranked(character, weights[len(word.names) :], split) + by_word)[:MAX_TERMS]


def _word_terms(text: str) -> list[str]:
    """Return words and pairs of neighbouring words; a text without words has one empty term."""
    single = ["<number>" if word == "0" else word for word in words(text)[:MAX_WORDS]]
    return single + [" ".join(pair) for pair in pairwise(single)] or [""]


def _character_terms(text: str) -> list[str]:
    """Return runs of :data:`CHARACTERS` characters in lower case; white space is one space."""
    plain = " ".join(text[:MAX_CHARACTERS].lower().split())
    return [plain[at : at + CHARACTERS] for at in range(len(plain) - CHARACTERS + 1)] or [""]


def _ranked(terms: Terms, weights: Floats, split: int) -> tuple[Gram, ...]:
    sides = (terms.rows[:split], terms.rows[split:])
    before, after = (side.getnnz(axis=0) / side.shape[0] for side in sides)
    telling = weights * (after - before)
    chosen: list[Gram] = []
    taken: set[str] = set()
    for column in np.argsort(-telling, kind="stable"):
        if telling[column] <= 0 or len(chosen) == MAX_TERMS:
            break
        name = str(terms.names[column])
        # What another term may not have in common with this one: a word, or two characters.
        pairs = {name[at : at + 2] for at in range(len(name) - 1)}
        parts = set(name.split(" ")) if terms.level == "word" else pairs
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
