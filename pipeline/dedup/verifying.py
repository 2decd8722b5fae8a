"""The true similarity of texts that share buckets, and the clusters that it makes of them."""

from typing import NamedTuple

import numpy as np

from pipeline.dedup.arrays import Duplicates, Hashing, Limits, Texts
from pipeline.dedup.covering import cleared, common, filled_with, insert, is_copy, jaccard
from pipeline.dedup.facts import Facts
from pipeline.dedup.kernel import Array, compiled
from pipeline.dedup.signature import key, shingles, sign, with_room

FEW = 8  # texts of a component up to which all are compared, without estimates
_1 = np.uint64(1)


class _Sets(NamedTuple):
    """The shingles of the texts of a component, one set behind the other."""

    begin: int  # the texts: their rows, and the one behind the last
    end: int
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
    cluster above the limit, whose texts get -1 as survivor. ``out`` says before that all are
    distinct; for components and order (int64) see :func:`pipeline.dedup.minhash.verify_slice`.
    """
    parent, size = np.arange(len(order)), np.ones(len(order), dtype=np.int64)
    for component in range(len(components) - 1):
        sets = _sets(texts, components[component], components[component + 1], hashing)
        oversized = _join(sets, facts, hashing, limits, parent, size)
        if oversized >= 0:
            for text in range(sets.begin, sets.end):
                if _find(parent, text) == oversized:
                    out.survivor[text] = -1
            return
        _survive(sets, parent, order, out)
        _look_around(sets, limits, out)
        for text in range(sets.begin, sets.end):
            other = out.survivor[text]
            if other != text and out.similarity[text] == 1.0:
                copies = hashing.copies
                out.exact[text] = key(texts, text, copies) == key(texts, other, copies)


@compiled
def _sets(texts: Texts, begin: int, end: int, hashing: Hashing) -> _Sets:
    """Return the distinct shingles of texts, and their signatures where they are many."""
    count = end - begin
    # In a small component a comparison costs less than the estimates that would spare it.
    estimated = count > FEW
    signatures = np.zeros((count if estimated else 1, len(hashing.factors)), dtype=np.uint32)
    bounds = np.zeros(count + 1, dtype=np.int64)
    values = np.empty(1024, dtype=np.uint64)
    scratch = np.empty(1, dtype=np.uint64)
    table = np.zeros(2, dtype=np.uint64)
    for text in range(count):
        size, scratch = shingles(texts, begin + text, hashing, scratch)
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
    return _Sets(begin, end, values, bounds, signatures)


@compiled
def _set(sets: _Sets, text: int) -> Array:
    place = text - sets.begin
    return sets.values[sets.bounds[place] : sets.bounds[place + 1]]


@compiled
def _join(
    sets: _Sets, facts: Facts, hashing: Hashing, limits: Limits, parent: Array, size: Array
) -> int:
    """Join similar texts in ``parent``; return -1, or the root of a cluster above the limit."""
    table, shift = cleared(np.zeros(2, dtype=np.uint64), 0)
    for one in range(sets.begin, sets.end):
        mine = _set(sets, one)
        filled = False
        for other in range(one + 1, sets.end):
            root, second = _find(parent, one), _find(parent, other)
            if root == second or not _may_agree(sets, one, other, limits.agreeing):
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
    # The root of a cluster is its first text: its place holds the best one so far.
    for text in range(sets.begin, sets.end):
        root = _find(parent, text)
        if order[text] < order[out.survivor[root]]:
            out.survivor[root] = text
    table = np.zeros(2, dtype=np.uint64)
    for text in range(sets.begin, sets.end):
        survivor = out.survivor[_find(parent, text)]
        out.survivor[text] = survivor
        if survivor != text:
            table, shift = filled_with(table, _set(sets, text))
            out.similarity[text] = jaccard(table, shift, _set(sets, text), _set(sets, survivor))


@compiled
def _look_around(sets: _Sets, limits: Limits, out: Duplicates) -> None:
    """Write the most similar text of another cluster for each text."""
    table, shift = cleared(np.zeros(2, dtype=np.uint64), 0)
    for one in range(sets.begin, sets.end):
        mine = _set(sets, one)
        filled = False
        for other in range(one + 1, sets.end):
            same = out.survivor[one] == out.survivor[other]
            if same or not _may_agree(sets, one, other, limits.agreeing):
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
def _may_agree(sets: _Sets, one: int, other: int, agreeing: int) -> bool:
    """Tell whether the signatures of two texts agree in enough places; true where none are."""
    if len(sets.signatures) == 1:
        return True
    first, second = one - sets.begin, other - sets.begin
    count = 0
    for k in range(sets.signatures.shape[1]):
        count += sets.signatures[first, k] == sets.signatures[second, k]
    return count >= agreeing
