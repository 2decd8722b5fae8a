"""Right-to-left text of a PDF page: from where the letters stand to the order they are read in.

A page holds glyphs at places. Programs that print write those of Arabic or Hebrew from left to
right or from right to left, word by word as they like; only the places tell.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from unicodedata import bidirectional

from pipeline.documents.readers.pdf_type import Box

SPACE = -1  # in place of the number of a letter: a space between words
WORD_SPACE = 0.2  # heights of the tallest letter, at least; where pdfium puts it is often wrong
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LETTERS = ("R", "AL", "NSM")
_NUMBERS = ("EN", "AN")
_JOINS = {"R": ("ES", "CS", "ET"), "AL": ("CS",)}
"""Signs that belong to the numbers around them, in Hebrew and in Arabic (rules W4 to W6)."""
_UNIT_AND_NUMBER = re.compile(r"([^\W\d_]{1,3}|[^\W\d_]{1,3}/[^\W\d_]{1,3}) (\d[\d.,]*)")
"""A short word stands behind its number (``3 bar``), a longer one before it (``version 3``): on the
page they look the same."""
_OPENS = re.compile(r"(?<!\S)[)\]\u00bb](?=\S)")
_CLOSES = re.compile(r"(?<=\S)[(\[\u00ab](?=[\s.,;:!?\u060c\u061b\u061f]|\Z)")
_MIRRORED = str.maketrans("()[]\u00ab\u00bb", ")(][\u00bb\u00ab")


def is_right_to_left(line: str) -> bool:
    """Return whether a line has letters that are written from right to left."""
    return not line.isascii() and _RIGHT_TO_LEFT.search(line) is not None


def reading_order(line: str, boxes: Sequence[Box]) -> list[int]:
    """Return the numbers of the letters of a line in the order in which they are read.

    The reverse of what a program that prints does (Unicode Annex 9), without levels inside each
    other: the line runs as most of its letters do, and runs of the other direction, with the
    signs between them, the other way. Numbers run from left to right. Spaces are :data:`SPACE`.
    """
    classes = {place: bidirectional(sign) for place, sign in enumerate(line) if sign > " "}
    backwards = sum(kind in _LETTERS for kind in classes.values()) > Counter(classes.values())["L"]
    least = WORD_SPACE * max((box.top - box.bottom for box in boxes), default=0)
    order: list[int] = []
    for place in sorted(
        classes, key=lambda place: boxes[place].left + boxes[place].right, reverse=backwards
    ):
        if order:
            one, other = sorted((boxes[order[-1]], boxes[place]))
            order += [SPACE] * (other.left - one.right > least)
        order.append(place)
    sides = _sides([classes.get(place, "WS") for place in order], backwards)
    turned: list[int] = []
    for backward, run in groupby(zip(sides, order, strict=True), lambda pair: pair[0]):
        places = [place for _, place in run]
        turned += places if backward == backwards else _number_first(line, places[::-1])
    return turned


def _sides(classes: Sequence[str], backwards: bool) -> list[bool]:
    """Return of each letter, from the first that is read on, whether it runs from the right."""
    joins = _JOINS["AL" if "AL" in classes else "R"]
    sides = [
        kind in _LETTERS if kind in _LETTERS or kind in ("L", *_NUMBERS) else None
        for kind in classes
    ]
    for number, kind in enumerate(classes):
        around = classes[max(0, number - 1)], classes[min(len(classes) - 1, number + 1)]
        numbers = sum(one in _NUMBERS for one in around)
        if kind in joins and numbers > (kind != "ET"):
            sides[number] = False
    # What stands between two runs of the other direction belongs to them, save between numbers.
    last: int | None = None
    for number, side in enumerate(sides):
        if side is None:
            continue
        if side != backwards and last is not None and sides[last] == side:
            both = all(classes[place] in _NUMBERS for place in (last, number))
            sides[last:number] = [None if both else side] * (number - last)
            sides[last] = side
        last = number
    return [backwards if side is None else side for side in sides]


def _number_first(line: str, places: list[int]) -> list[int]:
    """Put a number before the unit behind which the page shows it."""
    text = "".join(" " if place == SPACE else line[place] for place in places)
    found = _UNIT_AND_NUMBER.fullmatch(text)
    if found is None:
        return places
    return [*places[found.end() - len(found[2]) :], SPACE, *places[: len(found[1])]]


def mirrored(text: str) -> str:
    """Return a text in reading order with brackets that open and close as their spaces tell.

    On the page a bracket that opens looks like one that closes, and files name it by either.
    """
    text = _OPENS.sub(lambda sign: sign[0].translate(_MIRRORED), text)
    return _CLOSES.sub(lambda sign: sign[0].translate(_MIRRORED), text)
