"""The true similarity of texts that share buckets, and the clusters that it makes of them."""

from typing import NamedTuple

import numpy as np

from pipeline.dedup.arrays import Duplicates, Hashing, Limits, Texts
from pipeline.dedup.covering import is_copy
from pipeline.dedup.facts import Facts
from pipeline.dedup.hash_sets import EMPTY_SHIFT, cleared, common, filled_with, insert, jaccard
from pipeline.dedup.kernel import Array, Scalar, compiled, copy_key
from pipeline.dedup.signature import shingles, sign, with_room

FEW = 8  # texts of a component up to which all are compared, without estimates

_1 = np.uint64(1)


class _Sets(NamedTuple):
    """The shingles of the texts of a component, one set behind the other."""

    values: Array
    bounds: Array  # where each set begins in ``values``, and the end of the last
    signatures: Array  # of each text; a single row where similarities are not estimated


@compiled
def verify(
    texts: Texts,
    facts: Facts,
    components: Array,
    order: Array,
    hashing: Hashing,
    limits: Limits,
    out: Duplicates,
) -> None:
    """Cluster the texts of components, each by itself, by their true similarity; write ``out``.

    Two texts are joined when the Jaccard similarity of their shingles reaches the threshold and
    each may be a copy of the other (:func:`pipeline.dedup.covering.is_copy`). The work stops at a
    cluster above the limit, whose texts get -1 as survivor. For texts, components (int64) and
    order (int64) see :func:`pipeline.dedup.minhash.verify_slice`; facts are of these texts.
    """
    for component in range(len(components) - 1):
        begin, end = components[component], components[component + 1]
        part = Texts(texts.data, texts.offsets[begin : end + 1])
        sets = _sets(part, hashing)
        parent = np.arange(end - begin)
        plain = Texts(facts.plain.data, facts.plain.offsets[begin : end + 1])
        own_facts = Facts(facts.values, facts.bounds[begin : end + 1], plain, facts.tell)
        oversized = _join(sets, own_facts, hashing, parent, limits)
        if oversized >= 0:
            for text in range(end - begin):
                if _find(parent, text) == oversized:
                    out.survivor[begin + text] = -1
            return
        own = Duplicates(
            out.survivor[begin:end],
            out.similarity[begin:end],
            out.exact[begin:end],
            out.contained[begin:end],
            out.nearest[begin:end],
            out.nearest_similarity[begin:end],
        )
        _survive(sets, parent, order[begin:end], own)
        _look_around(sets, limits, own)
        for text in range(end - begin):
            other = own.survivor[text]
            if other != text and own.similarity[text] == 1.0:
                own.exact[text] = _key(part, text, hashing) == _key(part, other, hashing)
            own.survivor[text] += begin
            if own.nearest[text] >= 0:
                own.nearest[text] += begin


@compiled
def _key(texts: Texts, text: int, hashing: Hashing) -> tuple[Scalar, Scalar]:
    return copy_key(texts.data, texts.offsets[text], texts.offsets[text + 1], hashing.copies)


@compiled
def _sets(texts: Texts, hashing: Hashing) -> _Sets:
    """Return the distinct shingles of all texts, and their signatures where they are many."""
    count = len(texts.offsets) - 1
    # In a small component a comparison costs less than the estimates that would spare it.
    estimated = count > FEW
    signatures = np.zeros((count if estimated else 1, len(hashing.factors)), dtype=np.uint32)
    bounds = np.zeros(count + 1, dtype=np.int64)
    values = np.empty(1024, dtype=np.uint64)
    scratch = np.empty(1, dtype=np.uint64)
    table = np.zeros(2, dtype=np.uint64)
    for text in range(count):
        size, scratch = shingles(texts, text, hashing, scratch)
        if estimated:
            sign(scratch[:size], hashing.factors, hashing.summands, signatures[text])
        table, shift = cleared(table, size)
        filled = bounds[text]
        values = with_room(values, filled, filled + size)
        for place in range(size):
            value = max(scratch[place], _1)  # 0 marks an empty place of a table
            if insert(table, shift, value):
                values[filled] = value
                filled += 1
        bounds[text + 1] = filled
    return _Sets(values, bounds, signatures)


@compiled
def _set(sets: _Sets, text: int) -> Array:
    return sets.values[sets.bounds[text] : sets.bounds[text + 1]]


@compiled
def _join(sets: _Sets, facts: Facts, hashing: Hashing, parent: Array, limits: Limits) -> int:
    """Join similar texts in ``parent``; return -1, or the root of a cluster above the limit."""
    size = np.ones(len(parent), dtype=np.int64)
    table = np.zeros(2, dtype=np.uint64)
    shift = EMPTY_SHIFT
    for one in range(len(parent)):
        mine = _set(sets, one)
        filled = False
        for other in range(one + 1, len(parent)):
            root, second = _find(parent, one), _find(parent, other)
            if root == second or not _may_agree(sets.signatures, one, other, limits.agreeing):
                continue
            if not filled:
                table, shift = filled_with(table, mine)
                filled = True
            others = _set(sets, other)
            shared = common(table, shift, others)
            alike = shared >= limits.threshold * (len(mine) + len(others) - shared)
            if (
                alike
                and is_copy(facts, one, other, len(mine) - shared, len(mine), hashing)
                and is_copy(facts, other, one, len(others) - shared, len(others), hashing)
            ):
                # The smaller root stays, so that it does not matter which pair came first.
                first, second = min(root, second), max(root, second)
                parent[second] = first
                size[first] += size[second]
                if size[first] > limits.cluster_size:
                    return first
    return -1


@compiled
def _survive(sets: _Sets, parent: Array, order: Array, out: Duplicates) -> None:
    """Write the survivor of the cluster of each text, and its similarity with it."""
    texts = len(parent)
    best = np.full(texts, -1, dtype=np.int64)
    for text in range(texts):
        root = _find(parent, text)
        if best[root] < 0 or order[text] < order[best[root]]:
            best[root] = text
    table = np.zeros(2, dtype=np.uint64)
    for text in range(texts):
        survivor = best[_find(parent, text)]
        out.survivor[text] = survivor
        if survivor != text:
            table, shift = filled_with(table, _set(sets, text))
            out.similarity[text] = jaccard(table, shift, _set(sets, text), _set(sets, survivor))


@compiled
def _look_around(sets: _Sets, limits: Limits, out: Duplicates) -> None:
    """Write the most similar text of another cluster for each text."""
    texts = len(out.survivor)
    table = np.zeros(2, dtype=np.uint64)
    shift = EMPTY_SHIFT
    for one in range(texts):
        mine = _set(sets, one)
        filled = False
        for other in range(one + 1, texts):
            if out.survivor[one] == out.survivor[other] or not _may_agree(
                sets.signatures, one, other, limits.agreeing
            ):
                continue
            if not filled:
                table, shift = filled_with(table, mine)
                filled = True
            similarity = jaccard(table, shift, mine, _set(sets, other))
            if similarity < limits.near_from:
                continue
            if similarity > out.nearest_similarity[one]:
                out.nearest[one], out.nearest_similarity[one] = other, similarity
            if similarity > out.nearest_similarity[other]:
                out.nearest[other], out.nearest_similarity[other] = one, similarity


@compiled
def _find(parent: Array, text: int) -> int:
    """Return the root of the cluster of a text (union-find, with path halving)."""
    while parent[text] != text:
        parent[text] = parent[parent[text]]
        text = parent[text]
    return text


@compiled
def _may_agree(signatures: Array, one: int, other: int, agreeing: int) -> bool:
    """Tell whether two signatures agree in enough places; true where there are none."""
    if len(signatures) == 1:
        return True
    count = 0
    for k in range(signatures.shape[1]):
        count += signatures[one, k] == signatures[other, k]
    return count >= agreeing
