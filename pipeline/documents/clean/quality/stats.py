"""What rules measure of a text, each part computed when the first rule asks for it.

The text is cleaned Markdown. Fenced code and tables do not count in what is called prose.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import filterfalse
from typing import TYPE_CHECKING, NamedTuple

from pipeline.text.fences import prose_of

if TYPE_CHECKING:
    from pipeline.documents.clean.quality.ngrams import Ngrams

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"  # Japanese, Chinese; Korean has some spaces
)
"""For a character class: scripts without a space after each word. Each of their characters
counts as a word, so that a minimum of words lets their texts pass rather than drops them."""

_UNSPACED = re.compile(f"[{UNSPACED}]")
_WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
LINK = re.compile(r"\[((?:[^\[\]\n]|\n(?!\n)){0,500})\]\([^()\s]{0,2000}[^()\n]{0,200}\)")
ADDRESS = re.compile(r"https?://\S+")
"""An address that stands for itself. A pattern of its own: each begins with what re looks for at
the speed of memory, and the two in one take five times as long."""
_IMAGE = re.compile(r"!\[[^\[\]\n]{0,500}\]\([^()\n]{0,2000}\)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>")
_TARGET = re.compile(r"\]\([^()\n]{0,2000}\)")
_INDENTED = re.compile(r"(?: {4}|\t)\s*(?![-*+] |\d{1,3}[.)] )\S")
"""Indented code, or the continuation of a list item, which is read with the rest elsewhere."""
BULLET = re.compile(r"(?:[-*+\u2022\u2023\u25aa\u25cf\u30fb]|\d{1,3}[.)])[ \t]")
_ALNUM = re.compile(r"[^\W_]")
_EDGES = "*_`#>()[]\"'.,;:!?"
_PUNCTUATION = frozenset(
    ".,;:!?'\"()[]-/%&+_`*#<>=@$\u00b0\u20ac\u00a3\u2013\u2014\u2026\u00b1\u00d7\u00b5\u2192"
)
_FOREIGN_MARKS = "\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u2022\u2192"
"""Marks in the English of most documents: without them it is ASCII, whose words are soon found."""
_ASCII = bytes(range(128))
_NO_SPACE = bytes(byte for byte in _ASCII if not chr(byte).isspace())
_NO_ALNUM = bytes(byte for byte in _NO_SPACE if not chr(byte).isalnum())
_NO_LETTER = bytes(byte for byte in _NO_SPACE if not chr(byte).isalpha())
_TOKENS = "".join(
    char if char == "_" or char.isalnum() else " " for char in _ASCII.decode().lower()
)
"""For str.translate: what is no part of a token becomes a space."""

_SPACES = bytes(32 if chr(byte).isspace() else byte for byte in range(256))
"""For bytes.translate: separators of ASCII, which bytes.split() does not know, become spaces."""

SHORTEST_NGRAM = 4
"""Words. Larger n-grams that repeat are covered by those of this size."""


class WordCounts(NamedTuple):
    """What is counted of words, those without a letter or a digit left out."""

    total: int
    with_letter: int
    least: int
    """Characters without any mark."""
    most: int
    """Characters with all marks around the words, and of words that are left out."""


class TextStats:
    """A text and what is counted of it."""

    def __init__(self, text: str, language: str = "") -> None:
        self.text = text
        self.language = language
        """ISO 639-1, empty when it is not known."""

    @cached_property
    def word_count(self) -> int:
        """Words of the whole text, code included; of a book, those of its start."""
        return count_words(self.text[:100_000])

    @cached_property
    def words(self) -> list[str]:
        """Text between spaces, of the whole text without the addresses of links."""
        return words_of(_without_addresses(self.text))

    @cached_property
    def _outside_code(self) -> str:
        return prose_of(self.text)

    @cached_property
    def lines(self) -> list[str]:
        """Lines of prose: neither code, table, heading, markup nor picture."""
        prose = self._outside_code
        if "<" in prose or "![" in prose:
            prose = _TAG.sub("", _IMAGE.sub("", prose))
        lines = (
            line.strip()
            for line in prose.split("\n")
            if line and not (line[0] in " \t" and _INDENTED.match(line))
        )
        return [
            line
            for line in lines
            if line
            and not line.startswith(("|", "#", ".. ", ":"))
            and (line[0].isalnum() or has_alnum(line))
        ]

    @cached_property
    def prose(self) -> str:
        """The lines of prose as one text."""
        return "\n".join(self.lines)

    @cached_property
    def foreign(self) -> str:
        """The lines of prose that are not ASCII alone."""
        return "" if self.prose.isascii() else "\n".join(filterfalse(str.isascii, self.lines))

    @cached_property
    def by_links(self) -> list[str]:
        """Prose, cut at links: what is before a link, its text, what is before the next, ..."""
        return LINK.split(self.prose) if "](" in self.prose else [self.prose]

    @cached_property
    def blocks(self) -> list[str]:
        """Paragraphs and list items, each as one line, however it was wrapped.

        The numbers of C4 and FineWeb are for lines of extracted web pages, which are that.
        """
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
    def _unlinked(self) -> str:
        """Prose without addresses; of a link, its text."""
        return ADDRESS.sub("", "".join(self.by_links))

    @cached_property
    def prose_words(self) -> WordCounts:
        """Words of prose; of a link, the words of its text."""
        text = _without_foreign_marks(self._unlinked, "")
        if text.isascii():
            # Marks taken out, what is left between spaces are the words.
            plain = text.encode().translate(_SPACES)
            words = plain.translate(None, _NO_ALNUM).split()
            with_letter = len(plain.translate(None, _NO_LETTER).split())
            most = len(self._unlinked)
            return WordCounts(len(words), with_letter, len(b"".join(words)), most)
        cores = self._cores
        with_letter = sum(core.isalpha() or any(map(str.isalpha, core)) for core in cores)
        return WordCounts(len(cores), with_letter, self.word_characters, self.word_characters)

    @cached_property
    def _cores(self) -> list[str]:
        """Words of prose with a letter or a digit, without the marks around them."""
        words = filter(has_alnum, words_of(self._unlinked))
        return [word.strip(_EDGES) for word in words]

    @cached_property
    def word_characters(self) -> int:
        """Characters of the words of prose without the marks around them."""
        return sum(map(len, self._cores))

    @cached_property
    def tokens(self) -> list[str]:
        """Words of prose for n-grams: small letters, digits and letters alone.

        Addresses repeat their host and are left out; the text of a link counts.
        """
        text = _without_foreign_marks(_without_addresses(" ".join(self.lines)), " ")
        if text.isascii():
            return text.translate(_TOKENS).split()
        return re.findall(r"\w+", text.casefold())

    @cached_property
    def ngrams(self) -> "Ngrams":
        """N-grams of the tokens."""
        from pipeline.documents.clean.quality.ngrams import (
            Ngrams,  # numpy: settings load without it
        )

        return Ngrams(self.tokens)

    @cached_property
    def in_repeated_ngrams(self) -> float:
        """Share of characters of prose in n-grams of :data:`SHORTEST_NGRAM` that occur before."""
        return self.ngrams.covered_share(SHORTEST_NGRAM)

    @cached_property
    def is_unspaced(self) -> bool:
        """Whether most letters are of a script that does not put spaces between words."""
        found = len(_UNSPACED.findall(self.foreign))
        return found > 0 and 2 * found > sum(map(str.isalpha, self.prose))

    @cached_property
    def odd_characters(self) -> int:
        """Characters of prose that are no letter, mark, digit, space or punctuation mark."""
        foreign = self.foreign
        return len(self.prose.encode("ascii", "ignore").translate(None, _PLAIN_ASCII)) + sum(
            foreign.count(char) for char in set(foreign) if not char.isascii() and _is_odd(char)
        )


def _without_addresses(text: str) -> str:
    return ADDRESS.sub(" ", _TARGET.sub("] ", text))


def _without_foreign_marks(text: str, instead: str) -> str:
    if not text.isascii():
        for mark in _FOREIGN_MARKS:
            text = text.replace(mark, instead)
    return text


def words_of(text: str) -> list[str]:
    """Return the text between spaces; in scripts without spaces, each character."""
    if text.isascii() or not _UNSPACED.search(text):
        return text.split()
    return _WORD.findall(text)


def count_words(text: str) -> int:
    """Return how many words have a letter or a digit."""
    counts = Counter(words_of(text)).items()
    return sum(count for word, count in counts if word.isalnum() or has_alnum(word))


def has_alnum(word: str) -> bool:
    """Whether there is a letter or a digit."""
    return word.isalnum() or _ALNUM.search(word) is not None


@lru_cache(maxsize=65_536)
def _is_odd(char: str) -> bool:
    # Vowel signs of Indic and Thai scripts are marks (M), not letters to isalnum().
    plain = char.isalnum() or char.isspace() or char in _PUNCTUATION
    return not plain and unicodedata.category(char)[0] not in "MP"


_PLAIN_ASCII = bytes(byte for byte in _ASCII if not _is_odd(chr(byte)))


def duplicated(items: Sequence[str]) -> tuple[float, float]:
    """Return the share of items that occur before, by count and by characters."""
    distinct = set(items)
    if len(distinct) == len(items):
        return 0.0, 0.0
    characters = sum(map(len, items))
    return 1 - len(distinct) / len(items), 1 - sum(map(len, distinct)) / max(1, characters)
