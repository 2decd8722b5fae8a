"""What rules measure of a text, each part computed when the first rule asks for it.

The text is cleaned Markdown. Fenced code and tables do not count in what is called prose.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from pipeline.ingest.prose import prose_of

if TYPE_CHECKING:
    from pipeline.ingest.quality.ngrams import Ngrams

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
_TOKEN = re.compile(r"\w+")
_EDGES = "*_`#>()[]\"'.,;:!?"
_PUNCTUATION = frozenset(
    ".,;:!?'\"()[]-/%&+_`*#<>=@$\u00b0\u20ac\u00a3\u2013\u2014\u2026\u00b1\u00d7\u00b5\u2192"
)


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
        return words_of(_without_targets(self.text))

    @cached_property
    def lines(self) -> list[str]:
        """Lines of prose: neither code, table, heading, markup nor picture."""
        prose = prose_of(self.text)
        if "<" in prose or "![" in prose:
            prose = _TAG.sub("", _IMAGE.sub("", prose))
        lines = (line.strip() for line in prose.split("\n") if not _INDENTED.match(line))
        return [
            line
            for line in lines
            if line and not line.startswith(("|", "#", ".. ", ":")) and has_alnum(line)
        ]

    @cached_property
    def prose(self) -> str:
        """The lines of prose as one text."""
        return "\n".join(self.lines)

    @cached_property
    def linked(self) -> list[str]:
        """Prose cut at its links: at odd places the text of a link, at even ones what is between.

        The addresses of the links are in none of them.
        """
        return LINK.split(self.prose) if "](" in self.prose else [self.prose]

    @cached_property
    def blocks(self) -> list[str]:
        """Paragraphs and list items, each as one line, however it was wrapped.

        The numbers of C4 and FineWeb are for lines of extracted web pages, which are that.
        """
        blocks: list[list[str]] = []
        kept = set(self.lines)
        for part in prose_of(self.text).split("\n\n"):
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
    def prose_words(self) -> Counter[str]:
        """Words of prose without the marks around them; of a link, the words of its text."""
        prose = without_addresses("".join(self.linked), "")
        words: dict[str, int] = {}
        for word, count in Counter(words_of(prose)).items():
            if not word.isalnum():
                word = word.strip(_EDGES)
                if not has_alnum(word):
                    continue
            words[word] = words.get(word, 0) + count
        return Counter(words)

    @cached_property
    def tokens(self) -> list[str]:
        """Words of prose for n-grams: small letters, digits and letters alone.

        Addresses repeat their host and are left out; the text of a link counts.
        """
        return _TOKEN.findall(_without_targets(" ".join(self.lines)).casefold())

    @cached_property
    def ngrams(self) -> "Ngrams":
        """N-grams of the tokens."""
        from pipeline.ingest.quality.ngrams import Ngrams  # numpy: settings load without it

        return Ngrams(self.tokens)

    @cached_property
    def is_unspaced(self) -> bool:
        """Whether most letters are of a script that does not put spaces between words."""
        found = 0 if self.prose.isascii() else len(_UNSPACED.findall(self.prose))
        return found > 0 and 2 * found > sum(map(str.isalpha, self.prose))

    @cached_property
    def odd_characters(self) -> int:
        """Characters of prose that are no letter, mark, digit, space or punctuation mark."""
        return sum(self.prose.count(char) for char in set(self.prose) if _is_odd(char))


def without_addresses(text: str, stead: str = " ") -> str:
    """Return a text without the addresses that stand for themselves."""
    return ADDRESS.sub(stead, text) if "://" in text else text


def _without_targets(text: str) -> str:
    return without_addresses(_TARGET.sub("] ", text) if "](" in text else text)


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


def duplicated(items: Sequence[str]) -> tuple[float, float]:
    """Return the share of items that occur before, by count and by characters."""
    counts = Counter(items)
    if len(counts) == len(items):
        return 0.0, 0.0
    characters = sum(map(len, items))
    distinct = sum(map(len, counts))
    return 1 - len(counts) / len(items), 1 - distinct / max(1, characters)
