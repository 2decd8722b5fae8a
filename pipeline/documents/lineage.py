"""From a chunk back to the page or the characters of the original.

Cleaning removes running headers, joins hyphenated words and strips tags, so a chunk is no run of
characters of the raw text. Both are reduced to their letters and digits; the place is where
most runs of the chunk stand together.
"""

import re
import unicodedata
from array import array
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import cache
from html import unescape
from typing import Any, NamedTuple

from rapidfuzz.fuzz import partial_ratio_alignment

from pipeline.documents.readers.formats import READERS

ANCHOR = 24
"""Letters and digits of a run, about five words: shorter ones occur by chance, longer ones are cut
by a page break or a redacted name. A shorter chunk is one run."""
LEAST_SHARE = 0.5  # of a chunk that must be found; what is redacted, mended or left out is missing
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
    matches = _matches(chunk, document)
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


def _matches(chunk: str, document: str) -> list[tuple[int, int]]:
    """Return place and length in the document of runs of the chunk, in the order of both."""
    near = partial_ratio_alignment(chunk, document)
    assert near is not None, "it is None below a cutoff alone"
    slack = max(len(chunk), LEAST_SLACK)
    start = max(0, near.dest_start - slack)
    around = document[start : near.dest_end + slack]
    runs = SequenceMatcher(None, chunk, around, autojunk=False).get_matching_blocks()
    least = max(1, min(ANCHOR, len(chunk)))
    return [(start + run.b, run.size) for run in runs if run.size >= least]
