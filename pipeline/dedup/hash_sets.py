"""Hash sets of shingles with open addressing, compiled."""

import numpy as np

from pipeline.dedup.kernel import BASE, Array, Scalar, compiled

_64 = np.uint64(64)
EMPTY_SHIFT = _64  # the shift of a hash table that was not made yet


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
