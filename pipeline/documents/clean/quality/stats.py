"""What rules measure of a text, each part computed when the first rule asks for it.

The text is cleaned Markdown. Fenced code and tables do not count in what is called prose.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

from pipeline.text.fences import prose_of

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"  # Japanese, Chinese; Korean has some spaces
)
"""For a character class: scripts without a space after each word. Each of their characters
counts as a word, so that a minimum of words lets their texts pass rather than drops them."""

_UNSPACED = re.compile(f"[{UNSPACED}]")
_WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
_TOKEN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
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


LABEL_WORDS = 5
"""Words from which a line that occurs again is a repetition and no label."""


class TextStats:
    """A text and what is counted of it."""

    def __init__(self, text: str, language: str = "") -> None:
        self.text = text
        self.language = language
        """ISO 639-1, empty when it is not known."""

    @cached_property
    def word_count(self) -> int:
        """Words of the whole text, code included, of a line that occurs again once.

        Of a book, those of its start.
        """
        return count_words("\n".join(dict.fromkeys(self.text[:100_000].split("\n"))))

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
    def by_links(self) -> list[str]:
        """All but code, cut at links: what is before a link, its text, what is before the next."""
        text = self._outside_code
        return LINK.split(_IMAGE.sub("", text)) if "](" in text else [text]

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
    def unlinked(self) -> str:
        """Prose without addresses; of a link, its text."""
        return ADDRESS.sub("", LINK.sub(r"\1", self.prose) if "](" in self.prose else self.prose)

    @cached_property
    def prose_words(self) -> list[str]:
        """Words of prose with a letter or a digit, without the marks around them.

        Of a link, the words of its text.
        """
        words = filter(has_alnum, words_of(self.unlinked))
        return [word.strip(_EDGES) for word in words]

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Words of prose for n-grams: small letters, digits and letters alone, as words are.

        Addresses repeat their host and are left out; the text of a link counts.
        """
        return _tokens(self.lines)

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """The tokens of each distinct line: what whole lines repeat has rules of its own."""
        return _tokens(dict.fromkeys(self.lines))

    @cached_property
    def spaced_words(self) -> list[str]:
        """The words of prose without the single characters of scripts without spaces."""
        if not _UNSPACED.search(self.prose):
            return self.prose_words
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
    return sum(count for word, count in Counter(words).items() if has_alnum(word))


def has_alnum(word: str) -> bool:
    """Whether there is a letter or a digit."""
    return word.isalnum() or _ALNUM.search(word) is not None


def is_sign(char: str) -> bool:
    """Whether a character is no letter, mark, digit, space or joiner."""
    # Vowel signs of Indic and Thai scripts are marks (M), not letters to isalnum(); joiners are C.
    return not (char.isalnum() or char.isspace() or unicodedata.category(char)[0] in "MC")


def duplicated(items: Sequence[str]) -> tuple[float, float]:
    """Return the share of items that occur before, by count and by characters."""
    distinct = set(items)
    if len(distinct) == len(items):
        return 0.0, 0.0
    characters = sum(map(len, items))
    return 1 - len(distinct) / len(items), 1 - sum(map(len, distinct)) / max(1, characters)
