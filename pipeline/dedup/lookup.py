"""Find keys among millions of sorted ones."""

import numpy as np

from pipeline.dedup.compiling import compiled
from pipeline.dedup.kernel import Array


@compiled
def first_places(entries: Array, wanted: Array, places: Array) -> None:
    """Write for each wanted value the place of the first entry that is not smaller.

    Each search goes on from where the last one ended, in steps that double, and then halve
    (exponential search; Bentley and Yao 1976): the entries are read in one direction, where
    searches by halves alone would jump about in all of them.

    Args:
        entries: uint64, sorted.
        wanted: uint64, sorted.
        places: int64, one a wanted value, written.
    """
    low = np.int64(0)
    for number in range(len(wanted)):
        value = wanted[number]
        high, step = low, np.int64(1)
        while high < len(entries) and entries[high] < value:
            low = high + 1
            high += step
            step *= 2
        high = min(high, np.int64(len(entries)))
        while low < high:
            middle = (low + high) // 2
            if entries[middle] < value:
                low = middle + 1
            else:
                high = middle
        places[number] = low
