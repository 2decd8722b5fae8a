"""What rules measure of a text, each part computed when the first rule asks for it.

The text is cleaned Markdown. Fenced code and tables do not count in what is called prose.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pipeline.text.fences import prose_of
from pipeline.text.terms import FEW_SPACES

_UNSPACED = re.compile(f"[{FEW_SPACES}]")
"""Each counts as a word: a minimum of words lets their texts pass rather than drops them."""
_WORD = re.compile(rf"[{FEW_SPACES}]|[^\s{FEW_SPACES}]+")
_TOKEN = re.compile(rf"[{FEW_SPACES}]|[^\W{FEW_SPACES}]+")
LINK = re.compile(r"\[((?:[^\[\]\n]|\n(?!\n)){0,500})\]\([^()\s]{0,2000}[^()\n]{0,200}\)")
ADDRESS = re.compile(r"https?://\S+")
"""An address that stands for itself."""
_IMAGE = re.compile(r"!\[[^\[\]\n]{0,500}\]\([^()\n]{0,2000}\)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>")
_TARGET = re.compile(r"\]\([^()\n]{0,2000}\)")
_INDENTED = re.compile(r"(?: {4}|\t)\s*(?![-*+] |\d{1,3}[.)] )\S")
"""Indented code, or the continuation of a list item, which is read with the rest elsewhere."""
BULLET = re.compile(r"(?:[-*+\u2022\u2023\u25aa\u25cf\u30fb]|\d{1,3}[.)])[ \t]")
_ALNUM = re.compile(r"[^\W_]")
_EDGES = "*_`#>()[]\"'.,;:!?"
LABEL_WORDS = 5
"""Words from which a line that occurs again is a repetition and no label."""


@dataclass
class TextStats:
    """A text, its language (ISO 639-1; empty: not known), and what is counted of it."""

    text: str
    language: str = ""

    @cached_property
    def word_count(self) -> int:
        """Words, code included, of a line that occurs again once; of a book, of its start."""
        return count_words("\n".join(dict.fromkeys(self.text[:100_000].split("\n"))))

    @cached_property
    def words(self) -> list[str]:
        """Text between spaces, code included, without the addresses of links."""
        return words_of(_without_addresses(self.text))

    @cached_property
    def _outside_code(self) -> str:
        return prose_of(self.text)

    @cached_property
    def lines(self) -> list[str]:
        """Lines of prose: neither code, table, heading, markup nor picture."""
        lines = _TAG.sub("", _IMAGE.sub("", self._outside_code)).split("\n")
        prose = (line.strip() for line in lines if not _INDENTED.match(line))
        return [
            line
            for line in prose
            if _ALNUM.search(line) and not line.startswith(("|", "#", ".. ", ":"))
        ]

    @cached_property
    def prose(self) -> str:
        """The lines of prose as one text."""
        return "\n".join(self.lines)

    @cached_property
    def by_links(self) -> list[str]:
        """All but code, cut at links: what is before a link, its text, what is before the next."""
        return LINK.split(_IMAGE.sub("", self._outside_code))

    @cached_property
    def blocks(self) -> list[str]:
        """Paragraphs and list items, each as one line: what C4 and FineWeb call a line."""
        blocks: list[list[str]] = []
        kept = set(self.lines)
        for part in self._outside_code.split("\n\n"):
            fresh = True
            for line in map(str.strip, _TAG.sub("", _IMAGE.sub("", part)).split("\n")):
                if line not in kept:
                    fresh = True
                elif fresh or BULLET.match(line):
                    blocks.append([line])
                    fresh = False
                else:
                    blocks[-1].append(line)
        return [" ".join(block) for block in blocks]

    @cached_property
    def unlinked(self) -> str:
        """Prose without addresses; of a link, its text."""
        return ADDRESS.sub("", LINK.sub(r"\1", self.prose))

    @cached_property
    def prose_words(self) -> list[str]:
        """Words of prose with a letter or a digit, without the marks around them."""
        return [word.strip(_EDGES) for word in words_of(self.unlinked) if _ALNUM.search(word)]

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Words of prose for n-grams: small letters and digits alone, without addresses."""
        return _tokens(self.lines)

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """The tokens of each distinct line: what whole lines repeat has rules of its own."""
        return _tokens(dict.fromkeys(self.lines))

    @cached_property
    def spaced_words(self) -> list[str]:
        """The words of prose without the single characters of scripts without spaces."""
        return [word for word in self.prose_words if not _UNSPACED.match(word)]

    @cached_property
    def is_unspaced(self) -> bool:
        """Whether most letters are of a script that does not put spaces between words."""
        unspaced = len(_UNSPACED.findall(self.prose))
        return unspaced > 0 and 2 * unspaced > sum(map(str.isalpha, self.prose))


def _tokens(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(_without_addresses(" ".join(lines)).casefold()))


def _without_addresses(text: str) -> str:
    return ADDRESS.sub(" ", _TARGET.sub("] ", text))


def words_of(text: str) -> list[str]:
    """Return the text between spaces; in scripts without spaces, each character."""
    return _WORD.findall(text) if _UNSPACED.search(text) else text.split()


def count_words(text: str) -> int:
    """Return how many words have a letter or a digit."""
    return count_alnum(words_of(text))


def count_alnum(words: Iterable[str]) -> int:
    """Return how many of some words have a letter or a digit."""
    return sum(1 for word in words if _ALNUM.search(word))


def is_sign(char: str) -> bool:
    """Whether a character is no letter, mark, digit, space or joiner."""
    # Vowel signs of Indic and Thai scripts are marks (M), not letters to isalnum(); joiners are C.
    return not (char.isalnum() or char.isspace() or unicodedata.category(char)[0] in "MC")
