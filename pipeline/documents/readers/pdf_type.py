"""How the letters of a PDF page are set: where each stands, in what size, bold or monospaced."""

import ctypes
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pypdfium2 import raw

FIXED_PITCH = 1  # bit of a font's flags (PDF 32000-1, table 123) that says that it is monospaced
EQUAL = 0.02  # share by which letters of a monospaced font differ in width: rounding
SAMPLED = 8  # words of a line whose font is looked at, those at its end among them
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
_LOOSE = raw.FS_RECTF()  # where pdfium writes the box of a letter; made once, it is asked so often


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


class Letters:
    """The letters of a page by their numbers: where each stands, and how it is set."""

    def __init__(self, textpage: Any) -> None:
        self._page = textpage.raw

    def box(self, index: int) -> Box:
        """Return the edges of what is printed of a letter."""
        left, right, bottom, top = _EDGES
        raw.FPDFText_GetCharBox(self._page, index, left, right, bottom, top)
        return Box(left.value, bottom.value, right.value, top.value)

    def place(self, index: int) -> tuple[float, float]:
        """Return from where to where a letter moves the writing on, its space included."""
        raw.FPDFText_GetLooseCharBox(self._page, index, _LOOSE)
        return _LOOSE.left, _LOOSE.right

    def size(self, index: int) -> float:
        """Return the type size of a letter in points."""
        return float(raw.FPDFText_GetFontSize(self._page, index))

    def baseline(self, index: int) -> float:
        """Return the height of the line that a letter stands on."""
        raw.FPDFText_GetCharOrigin(self._page, index, *_EDGES[:2])
        return _EDGES[1].value

    def angle(self, index: int) -> float:
        """Return the angle of a letter in radians; 0 is upright."""
        return float(raw.FPDFText_GetCharAngle(self._page, index))

    def font(self, index: int) -> Font:
        """Return whether a letter is bold and monospaced by the name and the flags of its font."""
        name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
        raw.FPDFText_GetFontInfo(self._page, index, name, len(name), flags)
        lower = name.value.lower()
        # By name, since the weight of the standard fonts is given as 0; "semibold" is bold too.
        bold = any(word in lower for word in (b"bold", b"black", b"heavy"))
        return Font(bold, bool(flags.value & FIXED_PITCH) or _MONOSPACED.search(lower) is not None)

    def pitch(self, line: str, start: int) -> float:
        """Return the points from letter to letter of a line in monospaced type, else 0.

        A line, whose first letter has the number ``start``, counts when each of its words is
        monospaced: by the name or the flags of the font, or, where these tell nothing, by letters
        of equal width that are not so in proportional type.
        """
        compared = self._compared(line, start, range(len(line)))
        telling = len(compared) > 1
        if telling and not self._equally_wide(compared):
            return 0.0
        words = [
            start + word.start() + next((n for n, sign in enumerate(word[0]) if sign.isalnum()), 0)
            for word in _WORD.finditer(line)
            if any(map(str.isalnum, word[0])) or not telling
        ]
        words = [*words[:SAMPLED], *words[SAMPLED:][-SAMPLED:]]
        named = bool(words) and all(self.font(word).monospaced for word in words)
        if not named and not (telling and self._equally_wide([compared[0], *words])):
            return 0.0
        left, right = self.place((compared or words)[0])
        return right - left

    def code(self, line: str, start: int) -> set[int]:
        """Return the places of the monospaced words in a line of other type.

        A font that calls itself so and sets an i as narrow as it is, such as Monotype's, is none.
        """

        def is_code(place: int) -> bool:
            return self.font(start + place).monospaced

        places: list[int] = []
        for word in _WORD.finditer(line):
            inside = range(word.start(), word.end())
            letter = next((place for place in inside if line[place].isalnum()), inside[0])
            told = [is_code(place) for place in (inside[0], letter, inside[-1])]
            if any(told):
                places += inside if all(told) else filter(is_code, inside)
        compared = self._compared(line, start, places)
        proportional = len(compared) > 1 and not self._equally_wide(compared)
        return set() if proportional else set(places)

    def _compared(self, line: str, start: int, places: Sequence[int]) -> list[int]:
        """Return the numbers of the first narrow and the first wide letter of some places."""
        kinds = ([place for place in places if line[place] in kind] for kind in (_NARROW, _WIDE))
        return [start + found[0] for found in kinds if found]

    def _equally_wide(self, indices: Sequence[int]) -> bool:
        widths = [right - left for left, right in map(self.place, indices)]
        return max(widths) - min(widths) <= EQUAL * max(widths)
