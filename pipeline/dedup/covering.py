"""Hash sets, how much of a text another holds, and whether it is its copy or sibling; compiled."""

from math import lgamma

import numpy as np

from pipeline.dedup.arrays import Hashing, Texts
from pipeline.dedup.facts import UNEXPLAINED, Facts
from pipeline.dedup.kernel import BASE, Array, Scalar, compiled
from pipeline.dedup.signature import shingles

_1 = np.uint64(1)
_64 = np.uint64(64)
NAMING = 3
"""How many times as often as the other a text has a word that names what it is about, page by page
of a template. Edits of a word in twenty change all three uses of a word once in 8,000 words."""


@compiled
def common(table: Array, shift: Scalar, others: Array) -> int:
    """Return how many values of a set are in the one that fills the table."""
    mask = len(table) - 1
    count = 0
    for value in others:
        slot = np.int64((value * BASE) >> shift)
        while table[slot] != 0:
            if table[slot] == value:
                count += 1
                break
            slot = (slot + 1) & mask
    return count


@compiled
def jaccard(table: Array, shift: Scalar, mine: Array, others: Array) -> float:
    """Return the Jaccard similarity of a set, which fills the table, with another one."""
    shared = common(table, shift, others)
    return shared / (len(mine) + len(others) - shared)


@compiled
def filled_with(table: Array, values: Array) -> tuple[Array, Scalar]:
    """Return a hash table that holds distinct values, and the shift that finds their place."""
    table, shift = cleared(table, len(values))
    for value in values:
        insert(table, shift, value)
    return table, shift


@compiled
def cleared(table: Array, count: int) -> tuple[Array, Scalar]:
    """Return an empty hash table for a number of values, in the memory of the one before."""
    bits = 1
    while (1 << bits) < 2 * count:
        bits += 1
    size = 1 << bits
    if size > len(table):
        table = np.zeros(size, dtype=np.uint64)
    else:
        table = table[:size]
        table[:] = 0
    return table, _64 - np.uint64(bits)


@compiled
def insert(table: Array, shift: Scalar, value: Scalar) -> bool:
    """Put a value into a hash table with open addressing; tell whether it was new."""
    mask = len(table) - 1
    slot = np.int64((value * BASE) >> shift)
    while table[slot] != 0:
        if table[slot] == value:
            return False
        slot = (slot + 1) & mask
    table[slot] = value
    return True


@compiled
def cover(texts: Texts, facts: Facts, hashing: Hashing, out: Array) -> None:
    """Write the share of each text's words that stand in shingles of the other of its pair.

    A lost word costs all shingles that hold it, so that a copy with one word in twenty changed
    shares three shingles in four. Of its words nine in ten still stand in a run of shared ones.
    The texts are pairs, one behind the other. ``out`` (float64) gets 0 where one is no copy of
    the other, or the other has more facts of its own than words: C++ where this has C.
    """
    added = np.empty(len(out), dtype=np.int64)
    table = np.zeros(2, dtype=np.uint64)
    mine = np.empty(1, dtype=np.uint64)
    others = np.empty(1, dtype=np.uint64)
    ngram = hashing.ngram
    for text in range(len(out)):
        other = text ^ 1
        size, others = shingles(texts, other, hashing, others)
        table, shift = filled_with(table, np.maximum(others[:size], _1))
        count, mine = shingles(texts, text, hashing, mine)
        shared = covered = until = 0
        for place in range(count):
            if common(table, shift, np.maximum(mine[place : place + 1], _1)):
                shared += 1
                covered += place + ngram - max(until, place)
                until = place + ngram
        words = count + ngram - 1
        out[text] = covered / words
        if not is_copy(facts, text, other, count - shared, count, hashing):
            out[text] = 0.0
        added[text] = missing_facts(facts, text, other)[0] - (words - covered)
    for text in range(len(out)):
        if added[text ^ 1] > 0:
            out[text] = 0.0


@compiled
def is_copy(
    facts: Facts, one: int, other: int, lost: Scalar, shingles: Scalar, hashing: Hashing
) -> bool:
    """Tell whether a text that is much like another is its copy with edits, and no sibling.

    ``one`` may go for ``other``, which has not the ``lost`` ones of its ``shingles``.
    """
    if not facts.tell:
        return True
    return explained(facts, one, other, lost, shingles, hashing.ngram) and not names_more(
        facts.plain, one, other, hashing
    )


@compiled
def explained(
    facts: Facts, one: int, other: int, lost: Scalar, shingles: Scalar, ngram: int
) -> bool:
    """Tell whether edits explain how many facts of one text the other does not have.

    Of edits that fall anywhere, facts are hit no more often than shingles are: the number of
    missing facts is binomial, with at most the share of shingles lost. Pages of a template miss
    more. One shingle holds several words, so the bound is a generous one. A missing fact with
    letters has itself cost ``ngram`` shingles.
    """
    missing, worded = missing_facts(facts, one, other)
    lost -= ngram * worded
    count = facts.bounds[one + 1] - facts.bounds[one]
    rate = max(0.0, lost / shingles)
    if missing <= count * rate:
        return True
    if rate == 0:
        return False
    # The chance of as many or more, term by term from the largest.
    chance = 0.0
    term = np.exp(
        lgamma(count + 1)
        - lgamma(missing + 1)
        - lgamma(count - missing + 1)
        + missing * np.log(rate)
        + (count - missing) * np.log1p(-rate)
    )
    for hit in range(missing, count + 1):
        chance += term
        term *= (count - hit) / (hit + 1) * rate / (1 - rate)
    return chance >= UNEXPLAINED


@compiled
def names_more(texts: Texts, one: int, other: int, hashing: Hashing) -> bool:
    """Tell whether a text has a word :data:`NAMING` times as often as the other, or only it."""
    words = Hashing(1, hashing.words, hashing.copies, hashing.factors, hashing.summands)
    size, others = shingles(texts, other, words, np.empty(1, dtype=np.uint64))
    others = np.sort(others[:size])
    size, mine = shingles(texts, one, words, np.empty(1, dtype=np.uint64))
    mine = np.sort(mine[:size])
    begin = theirs = 0
    for place in range(1, size + 1):
        if place < size and mine[place] == mine[begin]:
            continue
        word, times = mine[begin], place - begin
        begin = place
        if times < NAMING:
            continue
        while theirs < len(others) and others[theirs] < word:
            theirs += 1
        last = theirs
        while last < len(others) and others[last] == word:
            last += 1
        if (last - theirs) * NAMING < times:
            return True
    return False


@compiled
def missing_facts(facts: Facts, one: int, other: int) -> tuple[int, int]:
    """Return how many facts of one text the other does not have, and those that are words."""
    place, stop = facts.bounds[other], facts.bounds[other + 1]
    missing = worded = 0
    for own in range(facts.bounds[one], facts.bounds[one + 1]):
        value = facts.values[own]
        while place < stop and facts.values[place] < value:
            place += 1
        if place < stop and facts.values[place] == value:
            place += 1
        else:
            missing += 1
            worded += int(value & _1)
    return missing, worded
