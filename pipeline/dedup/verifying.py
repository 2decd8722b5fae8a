"""The true similarity of texts that share buckets, and the clusters that it makes of them."""

import numpy as np

from pipeline.dedup.compiling import compiled
from pipeline.dedup.folding import Folding
from pipeline.dedup.hash_table import EMPTY_SHIFT, cleared, filled_with, insert, jaccard
from pipeline.dedup.kernel import Array, copy_key, room
from pipeline.dedup.signature import sign
from pipeline.dedup.signing import shingles

FEW = 8
"""Texts of a component up to which all are compared, without estimates."""

_1 = np.uint64(1)


@compiled
def verify(
    data: Array,
    offsets: Array,
    components: Array,
    order: Array,
    ngram: int,
    words: Folding,
    copies: Folding,
    a: Array,
    b: Array,
    threshold: float,
    agreeing: int,
    near_from: float,
    limit: int,
    survivor: Array,
    similarity: Array,
    copied: Array,
    nearest: Array,
    nearest_similarity: Array,
) -> int:
    """Cluster the texts of components, each by itself, by their true similarity.

    Two texts are joined when the Jaccard similarity of their shingles reaches the threshold;
    those whose signatures agree in fewer than ``agreeing`` places are not compared.

    Args:
        data: uint8, UTF-8 bytes of all texts.
        offsets: int64, texts + 1 places in ``data``.
        components: int64, where each component begins among the texts, and the end.
        order: int64, place in the order of survival: the smallest of a cluster survives, the
            first of equal ones.
        ngram: words of an n-gram.
        words: folding of words.
        copies: folding of copies.
        a: uint32, factors of the permutations.
        b: uint32, their summands.
        threshold: Jaccard similarity that joins.
        agreeing: places of two signatures that must be equal.
        near_from: similarity from which a text of another cluster is worth a look.
        limit: texts that a cluster may have.
        survivor: int64, written: the text that stays for each.
        similarity: float64, written: its similarity with the survivor.
        copied: bool, written: whether it is the survivor's text but for case and white space.
        nearest: int64, written: the most similar text of another cluster, -1 when there is none.
        nearest_similarity: float64, written: the similarity with that one.

    Returns:
        -1, or the component with a cluster above the limit. The work stops there, and the texts
        of the cluster have -1 as survivor.
    """
    for component in range(len(components) - 1):
        begin, end = components[component], components[component + 1]
        places = offsets[begin : end + 1]
        # In a small component a comparison costs less than the estimates that would spare it.
        estimated = end - begin > FEW
        signatures = np.zeros((end - begin if estimated else 1, len(a)), dtype=np.uint32)
        values, bounds = _sets(data, places, ngram, words, copies, a, b, estimated, signatures)
        parent = np.arange(end - begin)
        oversized = _join(values, bounds, signatures, parent, threshold, agreeing, limit)
        if oversized >= 0:
            for text in range(end - begin):
                survivor[begin + text] = -1 if _find(parent, text) == oversized else begin
            return component
        stays = survivor[begin:end]
        close = nearest[begin:end]
        _survive(values, bounds, parent, order[begin:end], stays, similarity[begin:end])
        _look_around(
            values,
            bounds,
            signatures,
            stays,
            near_from,
            agreeing,
            close,
            nearest_similarity[begin:end],
        )
        for text in range(end - begin):
            other = stays[text]
            copied[begin + text] = False
            if other != text and similarity[begin + text] == 1.0:
                key = copy_key(data, places[text], places[text + 1], copies)
                copied[begin + text] = key == copy_key(
                    data, places[other], places[other + 1], copies
                )
            stays[text] += begin
            if close[text] >= 0:
                close[text] += begin
    return -1


@compiled
def _sets(
    data: Array,
    offsets: Array,
    ngram: int,
    words: Folding,
    copies: Folding,
    a: Array,
    b: Array,
    estimated: bool,
    signatures: Array,
) -> tuple[Array, Array]:
    """Return the distinct shingles of all texts one behind another, and where each set begins.

    Writes the signatures as well when similarities are ``estimated``.
    """
    bounds = np.zeros(len(offsets), dtype=np.int64)
    values = np.empty(1024, dtype=np.uint64)
    scratch = np.empty(1, dtype=np.uint64)
    table = np.zeros(2, dtype=np.uint64)
    for text in range(len(offsets) - 1):
        at, stop = offsets[text], offsets[text + 1]
        need = room(data, at, stop, words)
        if need > len(scratch):
            scratch = np.empty(need, dtype=np.uint64)
        count = shingles(data, at, stop, ngram, words, copies, scratch)
        if estimated:
            sign(scratch[:count], a, b, signatures[text])
        table, shift = cleared(table, count)
        filled = bounds[text]
        if filled + count > len(values):
            grown = np.empty(2 * (filled + count), dtype=np.uint64)
            grown[:filled] = values[:filled]
            values = grown
        for place in range(count):
            value = max(scratch[place], _1)  # 0 marks an empty place of a table
            if insert(table, shift, value):
                values[filled] = value
                filled += 1
        bounds[text + 1] = filled
    return values, bounds


@compiled
def _join(
    values: Array,
    bounds: Array,
    signatures: Array,
    parent: Array,
    threshold: float,
    agreeing: int,
    limit: int,
) -> int:
    """Join similar texts in ``parent``; return -1, or the root of a cluster above the limit."""
    texts = len(parent)
    size = np.ones(texts, dtype=np.int64)
    table = np.zeros(2, dtype=np.uint64)
    shift = EMPTY_SHIFT
    for one in range(texts):
        mine = values[bounds[one] : bounds[one + 1]]
        filled = False
        for other in range(one + 1, texts):
            root, second = _find(parent, one), _find(parent, other)
            if root == second or not _may_agree(signatures, one, other, agreeing):
                continue
            if not filled:
                table, shift = filled_with(table, mine)
                filled = True
            others = values[bounds[other] : bounds[other + 1]]
            if jaccard(table, shift, mine, others) >= threshold:
                # The smaller root stays, so that it does not matter which pair came first.
                first, second = min(root, second), max(root, second)
                parent[second] = first
                size[first] += size[second]
                if size[first] > limit:
                    return first
    return -1


@compiled
def _survive(
    values: Array,
    bounds: Array,
    parent: Array,
    order: Array,
    survivor: Array,
    similarity: Array,
) -> None:
    """Write the survivor of the cluster of each text, and its similarity with it."""
    texts = len(parent)
    best = np.full(texts, -1, dtype=np.int64)
    for text in range(texts):
        root = _find(parent, text)
        if best[root] < 0 or order[text] < order[best[root]]:
            best[root] = text
    table = np.zeros(2, dtype=np.uint64)
    for text in range(texts):
        stays = best[_find(parent, text)]
        survivor[text] = stays
        similarity[text] = 1.0
        if stays != text:
            mine = values[bounds[text] : bounds[text + 1]]
            table, shift = filled_with(table, mine)
            others = values[bounds[stays] : bounds[stays + 1]]
            similarity[text] = jaccard(table, shift, mine, others)


@compiled
def _look_around(
    values: Array,
    bounds: Array,
    signatures: Array,
    survivor: Array,
    near_from: float,
    agreeing: int,
    nearest: Array,
    nearest_similarity: Array,
) -> None:
    """Write the most similar text of another cluster for each text."""
    texts = len(survivor)
    nearest[:] = -1
    nearest_similarity[:] = 0.0
    table = np.zeros(2, dtype=np.uint64)
    shift = EMPTY_SHIFT
    for one in range(texts):
        mine = values[bounds[one] : bounds[one + 1]]
        filled = False
        for other in range(one + 1, texts):
            if survivor[one] == survivor[other]:
                continue
            if not _may_agree(signatures, one, other, agreeing):
                continue
            if not filled:
                table, shift = filled_with(table, mine)
                filled = True
            found = jaccard(table, shift, mine, values[bounds[other] : bounds[other + 1]])
            if found < near_from:
                continue
            if found > nearest_similarity[one]:
                nearest[one], nearest_similarity[one] = other, found
            if found > nearest_similarity[other]:
                nearest[other], nearest_similarity[other] = one, found


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
