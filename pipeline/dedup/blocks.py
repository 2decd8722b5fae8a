"""The blocks of Markdown texts and a key of each, from their UTF-8 bytes, compiled by numba.

A block is what blank lines, headings and code fences set apart: a paragraph, a list without
blank lines, a table, a heading, or code. It is a reading of Markdown by lines, as fast as the
signatures of deduplication; where the lines leave it open whether something is code, it is code.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.dedup.compiling import compiled
from pipeline.dedup.folding import Folding, copy_folding, word_folding
from pipeline.dedup.kernel import Array, Scalar, copy_key, ngram_hashes, room
from pipeline.dedup.minhash import utf8

TEXT = 0
"""Kind of a paragraph, list, quotation or table; 1 to 6 is the level of a heading."""
CODE = 7
"""Fenced or indented code, and what is indented like it."""

NO_KEY = 0
"""Key of a block that is not to be compared."""

_NEWLINE, _SPACE, _TAB, _RETURN = 10, 32, 9, 13
_HASH, _TICK, _TILDE, _QUOTE = 35, 96, 126, 62
_INDENT = 4
"""Columns from which a line is indented code (CommonMark 4.4)."""
_FENCE = 3
"""Backticks or tildes that open a fence (CommonMark 4.5)."""
_LEVELS = 6
_PRE = np.frombuffer(b"<pre", dtype=np.uint8)
_PRE_END = np.frombuffer(b"</pre>", dtype=np.uint8)


class Blocks(NamedTuple):
    """Blocks of a slice of texts in order; arrays by block."""

    rows: NDArray[np.int32]
    """Which of the texts it is of."""
    starts: NDArray[np.int64]
    """First byte, in :attr:`data`."""
    stops: NDArray[np.int64]
    """Byte behind the last one."""
    kinds: NDArray[np.uint8]
    """TEXT, CODE, or the level of a heading."""
    words: NDArray[np.int32]
    """Of a TEXT block."""
    keys: NDArray[np.uint64]
    """Equal for TEXT blocks that differ in case and white space only; else NO_KEY."""
    data: NDArray[np.uint8]
    """UTF-8 bytes of the texts."""

    def text(self, block: int) -> str:
        """Return the text of a block."""
        return self.data[self.starts[block] : self.stops[block]].tobytes().decode()


def blocks_of(texts: pl.Series, least_words: int) -> Blocks:
    """Return the blocks of Markdown texts.

    Args:
        texts: strings.
        least_words: words of a TEXT block from which it has a key.
    """
    data, offsets = utf8(texts)
    size = int(np.count_nonzero(data[offsets[0] : offsets[-1]] == _NEWLINE)) + len(texts)
    rows, words = (np.empty(size, dtype=np.int32) for _ in range(2))
    starts, stops = (np.empty(size, dtype=np.int64) for _ in range(2))
    kinds, keys = np.empty(size, dtype=np.uint8), np.empty(size, dtype=np.uint64)
    count = _read(data, offsets, rows, starts, stops, kinds)
    found = (rows[:count], starts[:count], stops[:count], kinds[:count])
    _key(data, *found[1:], least_words, word_folding(), copy_folding(), words, keys)
    return Blocks(*found, words[:count], keys[:count], data)


@compiled
def _read(
    data: Array, offsets: Array, rows: Array, starts: Array, stops: Array, kinds: Array
) -> int:
    """Write row, place and kind of each block, and return how many there are."""
    count = 0
    for row in range(len(offsets) - 1):
        at, stop = offsets[row], offsets[row + 1]
        fence, length = 0, 0  # of the code that is open, when there is some
        pre = is_open = False
        while at < stop:
            end = at
            while end < stop and data[end] != _NEWLINE:
                end += 1
            first, indent = _indent(data, at, end)
            begins, closes, kind = False, False, TEXT
            if fence:
                closes = _run(data, first, end, fence) >= length and _only(data, first, end, fence)
                if closes:
                    fence = 0
            elif pre:
                closes = _has(data, at, end, _PRE_END)
                pre = not closes
            elif first == end:
                is_open = False
            else:
                sign, size = _opened(data, first, end)
                level = _level(data, first, end) if indent < _INDENT else 0
                if sign:
                    fence, length, kind, begins = sign, size, CODE, True
                elif level:
                    begins, closes, kind = True, True, level
                elif indent < _INDENT and _begins(data, first, end, _PRE):
                    begins, kind = True, CODE
                    closes = _has(data, first, end, _PRE_END)
                    pre = not closes
                elif not is_open:
                    begins, kind = True, CODE if indent >= _INDENT else TEXT
            if begins:
                rows[count], starts[count], kinds[count] = row, at, kind
                count += 1
                is_open = True
            if is_open and first < end:
                stops[count - 1] = end
            if closes:
                is_open = False
            at = end + 1
    return count


@compiled
def _key(
    data: Array,
    starts: Array,
    stops: Array,
    kinds: Array,
    least_words: int,
    words_folding: Folding,
    copies: Folding,
    words: Array,
    keys: Array,
) -> None:
    """Write how many words each TEXT block has, and the key of those that have enough."""
    scratch = np.empty(1, dtype=np.uint64)
    for block in range(len(starts)):
        words[block], keys[block] = 0, NO_KEY
        at, stop = starts[block], stops[block]
        if kinds[block] != TEXT:
            continue
        need = room(data, at, stop, words_folding)
        if need > len(scratch):
            scratch = np.empty(need, dtype=np.uint64)
        words[block] = ngram_hashes(data, at, stop, 1, words_folding, scratch)
        if words[block] >= least_words:
            keys[block] = max(copy_key(data, at, stop, copies)[0], np.uint64(1))


@compiled
def _indent(data: Array, at: int, end: int) -> tuple[Scalar, Scalar]:
    """Return where a line begins behind its white space, and the columns of that."""
    columns = 0
    while at < end and (data[at] == _SPACE or data[at] == _TAB or data[at] == _RETURN):
        columns += _INDENT - columns % _INDENT if data[at] == _TAB else 1
        at += 1
    return at, columns


@compiled
def _run(data: Array, at: int, end: int, sign: int) -> int:
    """Return how many of a sign stand at a place."""
    stop = at
    while stop < end and data[stop] == sign:
        stop += 1
    return stop - at


@compiled
def _only(data: Array, at: int, end: int, sign: int) -> bool:
    """Tell whether nothing but white space stands behind a run of a sign."""
    behind: int = _indent(data, at + _run(data, at, end, sign), end)[0]
    return behind == end


@compiled
def _opened(data: Array, at: int, end: int) -> tuple[Scalar, Scalar]:
    """Return sign and length of the fence that a line opens, behind marks of lists and quotes."""
    while at < end:
        sign = data[at]
        if sign in (_TICK, _TILDE):
            size = _run(data, at, end, sign)
            if size < _FENCE:
                return 0, 0
            if sign == _TICK:  # its language has no backtick, else it is code within a line
                for place in range(at + size, end):
                    if data[place] == _TICK:
                        return 0, 0
            return sign, size
        behind = at
        while behind < end and 48 <= data[behind] <= 57:
            behind += 1
        if behind > at:  # "1." or "1)"
            if behind == end or (data[behind] != 46 and data[behind] != 41):
                return 0, 0
        elif sign not in (_QUOTE, 42, 43, 45):  # * + -
            return 0, 0
        at = _indent(data, behind + 1, end)[0]
        if at == behind + 1 and sign != _QUOTE:
            return 0, 0
    return 0, 0


@compiled
def _level(data: Array, at: int, end: int) -> int:
    """Return the level of the heading that a line is, 0: none (CommonMark 4.2)."""
    level = _run(data, at, end, _HASH)
    if level > _LEVELS or (at + level < end and _indent(data, at + level, end)[0] == at + level):
        return 0
    return level


@compiled
def _begins(data: Array, at: int, end: int, what: Array) -> bool:
    """Tell whether bytes stand at a place, in lower case or capitals."""
    if end - at < len(what):
        return False
    for place in range(len(what)):
        if data[at + place] | np.uint8(0x20) != what[place] | np.uint8(0x20):
            return False
    return True


@compiled
def _has(data: Array, at: int, end: int, what: Array) -> bool:
    """Tell whether bytes stand in a line."""
    while at < end and not _begins(data, at, end, what):
        at += 1
    return at < end
