"""From a chunk back to the page or the characters of the original.

Cleaning removes running headers, joins hyphenated words and strips tags, so a chunk is no run of
characters of the raw text. Both are reduced to their letters and digits; the place is where
most runs of the chunk stand together.
"""

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import unescape
from itertools import takewhile
from typing import Any, NamedTuple

from pipeline.documents.readers.formats import READERS

ANCHOR = 24
"""Letters and digits of an anchor, about five words: shorter ones occur by chance, longer ones
are cut by a page break or a redacted name. A shorter chunk is one anchor."""
LEAST_SHARE = 0.5  # of a chunk that must be found; what is redacted, mended or left out is missing
MOST_PLACES = 64  # places of one anchor that are looked at: a phrase on each page tells nothing
LEAST_SLACK = 200  # letters between the words of a short chunk: a running header, tags, a caption
_WORD = re.compile(r"[^\W_]+")
_HTML = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1|\Z)|<[a-zA-Z/!?][^<>]*>|&(?:#\w{1,8}|\w{1,31});|[^\W_]+",
    re.DOTALL | re.IGNORECASE,
)


class Place(NamedTuple):
    """The range of a chunk in a raw text, from its first word that was found behind its last."""

    start: int
    end: int
    pages: tuple[int, int] | None = None  # first and last page or slide from 1, where it has any
    share: float = 1.0  # of the chunk's letters and digits that were found


def locate(raw: Mapping[str, Any], chunk_text: str) -> Place | None:
    """Find a chunk in the raw document it comes from; None when less than half of it is there."""
    document, places = _letters(raw["text"], html=raw["format"] in ("html", "epub"))
    chunk, _ = _letters(chunk_text)
    matches = list(_matches(chunk, document))
    share = sum(length for _, length in matches) / max(1, len(chunk))
    if share < LEAST_SHARE:
        return None
    start, end = places[matches[0][0]], places[sum(matches[-1]) - 1] + 1
    pages = None
    if READERS[raw["format"]].pages:
        first = raw["text"].count("\f", 0, start) + 1
        pages = (first, first + raw["text"].count("\f", start, end))
    return Place(start, end, pages, min(1.0, share))


def describe(raw: Mapping[str, Any], place: Place) -> str:
    """Return a place in words: ``guide.pdf, page 12``; ``a.html, characters 310-940``."""
    reader = READERS[raw["format"]]
    where = f"characters {place.start}-{place.end}{' of its text' if reader.converted else ''}"
    if place.pages:
        first, last = place.pages
        where = f"{reader.pages} {first}" if first == last else f"{reader.pages}s {first}-{last}"
    return f"{raw['source']}, {where}"


def _letters(text: str, *, html: bool = False) -> tuple[str, Sequence[int]]:
    """Return the letters and digits of a text without case, and where each stands in it."""
    letters: list[str] = []
    places = array("Q")
    for match in (_HTML if html else _WORD).finditer(text):
        word, start = match[0], match.start()
        if html and word[0] == "<":
            continue
        parts = [unescape(word)] if html and word[0] == "&" else word
        for at, part in enumerate(parts, start):
            folded = _fold(part)
            letters.append(folded)
            places.extend([at] * len(folded))
    return "".join(letters), places


@cache
def _fold(part: str) -> str:
    """Take case, accents, ligatures and what is no letter or digit out of a letter."""
    decomposed = unicodedata.normalize("NFKD", part.casefold())
    return "".join(filter(str.isalnum, decomposed))


def _matches(chunk: str, document: str) -> Iterator[tuple[int, int]]:
    """Yield place and length in the document of runs of the chunk, in the order of both."""
    size = min(ANCHOR, len(chunk))
    reached, limit = _window(chunk, document, size)
    at = 0
    while size and at + size <= len(chunk):
        found = document.find(chunk[at : at + size], reached, limit)
        if found < 0:
            at += 1
            continue
        pairs = zip(chunk[at:], document[found : found + len(chunk) - at], strict=False)
        length = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        yield found, length
        at += length
        reached = found + length


def _window(chunk: str, document: str, size: int) -> tuple[int, int]:
    """Return where in the document most anchors of the chunk stand: one may be elsewhere too."""
    begins: list[tuple[int, int]] = []  # of the chunk, if an anchor's place were the right one
    for at in range(0, len(chunk) - size + 1, max(1, size // 2)):
        anchor = chunk[at : at + size]
        found = document.find(anchor) if size else -1
        for _ in range(MOST_PLACES):
            if found < 0:
                break
            begins.append((found - at, at))
            found = document.find(anchor, found + 1)
    begins.sort()
    slack = max(len(chunk), LEAST_SLACK)
    inside: Counter[int] = Counter()
    best, place, last = 0, 0, 0
    for begin, at in begins:
        while last < len(begins) and begins[last][0] <= begin + slack:
            inside[begins[last][1]] += 1
            last += 1
        if len(inside) >= best:  # the latest such: the shortest way to the last anchor
            best, place = len(inside), begin
        inside[at] -= 1
        if not inside[at]:
            del inside[at]
    return max(0, place), place + slack + len(chunk)
