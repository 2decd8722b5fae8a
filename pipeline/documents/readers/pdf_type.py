"""How the letters of a PDF page are set: where each stands, in what size, bold or monospaced."""

import ctypes
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

FIXED_PITCH = 1
"""Bit of a font's flags (PDF 32000-1, table 123) that says that it is monospaced."""

EQUAL = 0.02
"""Share by which the widths of two letters of a monospaced font differ at most: rounding."""

SAMPLED = 8
"""Words of a line whose font is looked at, those at its end among them."""

_MONOSPACED = re.compile(
    rb"courier|mono|typewriter|consol|menlo|monaco|inconsolata|lucidacons|cm(?:sl|it|bx)?tt\d"
    rb"|sftt|ectt|[lt]mtt"
)
"""Names of fonts, in small letters. TeX's (Computer Modern, Latin Modern) set no flag."""

_NARROW = frozenset("ijlftrI.,:;'|!()[]")
_WIDE = frozenset("abdeghnopqumwABCDGHKMNOQRUVWX")
"""Letters that no proportional font sets as wide as the narrow ones."""

_WORD = re.compile(r"\S+")

_EDGES = tuple(ctypes.c_double() for _ in range(4))
"""Where pdfium writes the box of a letter; made once, since it is asked for each of them."""

_LOOSE: list[Any] = []
"""Where it writes the box with the space around the letter."""


class Box(NamedTuple):
    """The edges of a letter, in points from the left and the foot of the page."""

    left: float
    bottom: float
    right: float
    top: float


class Font(NamedTuple):
    """What the font of a letter says of itself."""

    bold: bool
    monospaced: bool


@cache
def _pdfium() -> Any:
    from pypdfium2 import raw  # once: an import inside a function takes as long as what is asked

    return raw


def box_of(textpage: Any, index: int) -> Box:
    """Return the edges of what is printed of a letter."""
    left, right, bottom, top = _EDGES
    _pdfium().FPDFText_GetCharBox(textpage.raw, index, left, right, bottom, top)
    return Box(left.value, bottom.value, right.value, top.value)


def place_of(textpage: Any, index: int) -> tuple[float, float]:
    """Return from where to where a letter moves the writing on, its space included."""
    if not _LOOSE:
        _LOOSE.append(_pdfium().FS_RECTF())
    _pdfium().FPDFText_GetLooseCharBox(textpage.raw, index, _LOOSE[0])
    return _LOOSE[0].left, _LOOSE[0].right


def size_of(textpage: Any, index: int) -> float:
    """Return the type size of a letter in points."""
    return float(_pdfium().FPDFText_GetFontSize(textpage.raw, index))


def baseline_of(textpage: Any, index: int) -> float:
    """Return the height of the line that a letter stands on."""
    _pdfium().FPDFText_GetCharOrigin(textpage.raw, index, *_EDGES[:2])
    return _EDGES[1].value


def font_of(textpage: Any, index: int) -> Font:
    """Return whether a letter is bold and monospaced by the name and the flags of its font."""
    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    _pdfium().FPDFText_GetFontInfo(textpage.raw, index, name, len(name), flags)
    lower = name.value.lower()
    # By name, since the weight of the standard fonts is given as 0; "semibold" is bold too.
    bold = any(word in lower for word in (b"bold", b"black", b"heavy"))
    return Font(bold, bool(flags.value & FIXED_PITCH) or _MONOSPACED.search(lower) is not None)


def pitch_of(textpage: Any, line: str, start: int) -> float:
    """Return the points from letter to letter of a line in monospaced type, else 0.

    A line counts when each of its words is monospaced: by the name or the flags of the font, or,
    where these tell nothing, by letters of equal width that are not so in proportional type.

    Args:
        textpage: The page.
        line: Text of the line.
        start: Number of its first letter on the page.
    """
    narrow = next((number for number, sign in enumerate(line) if sign in _NARROW), None)
    wide = next((number for number, sign in enumerate(line) if sign in _WIDE), None)
    telling = narrow is not None and wide is not None
    compared = [number for number in (narrow, wide) if number is not None]
    if _is_proportional(textpage, line, start, range(len(line))):
        return 0.0
    words = [
        start + found.start() + next((n for n, sign in enumerate(found[0]) if sign.isalnum()), 0)
        for found in _WORD.finditer(line)
        if any(map(str.isalnum, found[0])) or not telling
    ]
    words = [*words[:SAMPLED], *words[SAMPLED:][-SAMPLED:]]
    named = bool(words) and all(font_of(textpage, word).monospaced for word in words)
    if not named and not (telling and _equally_wide(textpage, [start + compared[0], *words])):
        return 0.0
    left, right = place_of(textpage, start + compared[0] if compared else words[0])
    return right - left


def code_in(textpage: Any, line: str, start: int) -> set[int]:
    """Return the places of the monospaced words in a line of other type.

    A font that calls itself so and sets an i as narrow as it is, such as Monotype's, is none.

    Args:
        textpage: The page.
        line: Text of the line.
        start: Number of its first letter on the page.
    """
    places: list[int] = []
    for found in _WORD.finditer(line):
        inside = range(found.start(), found.end())
        letter = next((place for place in inside if line[place].isalnum()), inside[0])
        told = [_is_code(textpage, start + place) for place in (inside[0], letter, inside[-1])]
        if all(told):
            places += inside
        elif any(told):
            places += [place for place in inside if _is_code(textpage, start + place)]
    return set() if _is_proportional(textpage, line, start, places) else set(places)


def _is_code(textpage: Any, index: int) -> bool:
    return font_of(textpage, index).monospaced


def _is_proportional(textpage: Any, line: str, start: int, places: Sequence[int]) -> bool:
    """Return whether a narrow and a wide letter of some places tell that their widths differ."""
    kinds = ([place for place in places if line[place] in kind] for kind in (_NARROW, _WIDE))
    compared = [start + letters[0] for letters in kinds if letters]
    return len(compared) > 1 and not _equally_wide(textpage, compared)


def _equally_wide(textpage: Any, indices: Sequence[int]) -> bool:
    widths = [right - left for left, right in (place_of(textpage, index) for index in indices)]
    return max(widths) - min(widths) <= EQUAL * max(widths)


def angle_of(textpage: Any, index: int) -> float:
    """Return the angle of a letter in radians; 0 is upright."""
    return float(_pdfium().FPDFText_GetCharAngle(textpage.raw, index))
