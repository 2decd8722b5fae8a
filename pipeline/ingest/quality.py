"""Quality rules for technical documents.

The usual numbers were made for web pages (Gopher: Rae et al. 2021, table A1; C4: Raffel et al.
2020; FineWeb: Penedo et al. 2024) and reject manuals for their braces, bullets, tables and short
sections. This profile keeps the measures and looks at prose only: fenced code and tables do not
count, bullets are welcome.
"""

import re
from collections import Counter
from typing import NamedTuple

from pipeline.ingest.prose import prose_of

MIN_WORDS = 20
"""Gopher asks for 50; a ticket or an entry of a FAQ says something in 20."""

MAX_WORDS = 1_000_000
"""Gopher: 100,000, which a reference manual of 300 pages passes; here a bound on memory."""

MEAN_WORD_LENGTH = (3.0, 12.0)
"""Gopher: 3 to 10; identifiers and part numbers make technical words longer."""

MAX_LONG_WORDS = 0.2
"""Share of characters in words of more than :data:`LONG_WORD` characters: encoded data. C4 drops
a line with one such word of 1,000."""

LONG_WORD = 200

MAX_SYMBOLS = 0.25
"""Share of prose characters that are neither letter, digit, space nor common punctuation;
NeMo Curator's non-alphanumeric limit."""

MIN_LETTERS = 0.6
"""Share of prose words that hold a letter; Gopher: 0.8, without tables of numbers in lists."""

MAX_LINKS = 0.6
"""Share of prose words that are the text of links: a site map or an index, not a text."""

REPETITION_FROM = 50
"""Prose words from which repetition is measured; Gopher's numbers are for documents of 50."""

MAX_REPEATED_LINES = 0.3
"""Share of prose lines that occur before (Gopher)."""

MAX_TOP_NGRAM = {4: 0.16}
"""Share of characters in the most frequent n-gram (Gopher). Its limits for n = 2 and 3 are left
out: a manual repeats the name of its product."""

MAX_REPEATED_NGRAMS = {5: 0.30, 6: 0.28, 7: 0.26, 8: 0.24, 9: 0.22, 10: 0.20}
"""Share of characters in n-grams that occur before: twice Gopher's 0.15 to 0.10, which drop API
references for their standing phrases (the manual of libtasn1 has 0.19 for n = 5)."""

LONGEST = 20_000_000
"""Characters: more is not even looked at."""

_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
"""Text between spaces; each character of Chinese, Japanese and Korean counts as a word."""
_LINK = re.compile(
    r"\[((?:[^\[\]\n]|\n(?!\n)){0,500})\]\([^()\s]{0,2000}[^()\n]{0,200}\)|(https?://\S+)"
)
_IMAGE = re.compile(r"!\[[^\[\]\n]{0,500}\]\([^()\n]{0,2000}\)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>")
_ADDRESS = re.compile(r"(?<=\])\([^()\n]{0,2000}\)|https?://\S+")
_INDENTED = re.compile(r"(?: {4}|\t)\s*(?![-*+] |\d{1,3}[.)] )\S")
"""Indented code, or the continuation of a list item, which is read with the rest elsewhere."""
_PUNCTUATION = frozenset(
    ".,;:!?'\"()[]-/%&+_`*#<>=@$\u00b0\u20ac\u00a3\u2013\u2014\u2026\u00b1\u00d7\u00b5\u2192"
)


class Verdict(NamedTuple):
    """The rule that a document broke."""

    reason: str
    value: float
    threshold: float


def too_short(text: str) -> Verdict | None:
    """Return ``too_short`` for a text of fewer than :data:`MIN_WORDS` words, code included."""
    words = sum(1 for word in _WORD.findall(text[:100_000]) if any(map(str.isalnum, word)))
    return Verdict("too_short", words, MIN_WORDS) if words < MIN_WORDS else None


def too_long(text: str) -> Verdict | None:
    """Return ``too_long`` for more than :data:`LONGEST` characters, without looking further."""
    return Verdict("too_long", len(text), LONGEST) if len(text) > LONGEST else None


def judge(text: str) -> Verdict | None:
    """Return the first rule of the technical profile that a cleaned Markdown text breaks.

    Reasons, in order: ``too_short``, ``too_long``, ``long_words``, ``mostly_links``,
    ``few_letters``, ``mean_word_length``, ``symbol_ratio``, ``repeated_lines``,
    ``repeated_ngrams``.
    """
    short = too_short(text)
    if short:
        return short
    words = _WORD.findall(_ADDRESS.sub(" ", text))
    if len(words) > MAX_WORDS:
        return Verdict("too_long", len(words), MAX_WORDS)
    encoded = sum(len(word) for word in words if len(word) > LONG_WORD) / max(
        1, sum(map(len, words))
    )
    if encoded > MAX_LONG_WORDS:
        return Verdict("long_words", encoded, MAX_LONG_WORDS)
    lines = _prose_lines(text)
    prose = "\n".join(lines)
    return _characters(prose) or _repetition(lines)


def _prose_lines(text: str) -> list[str]:
    """Return the lines that are neither code, table, heading, markup nor picture."""
    prose = _TAG.sub("", _IMAGE.sub("", prose_of(text)))
    lines = (line.strip() for line in prose.split("\n") if not _INDENTED.match(line))
    return [
        line
        for line in lines
        if any(map(str.isalnum, line)) and not line.startswith(("|", "#", ".. ", ":"))
    ]


def _characters(prose: str) -> Verdict | None:
    linked = sum(
        len(_WORD.findall(text or "")) + bool(address) for text, address in _LINK.findall(prose)
    )
    plain = _LINK.sub(" ", prose)
    unlinked = sum(1 for word in _WORD.findall(plain) if any(map(str.isalnum, word)))
    if linked and linked / (linked + unlinked) > MAX_LINKS:
        return Verdict("mostly_links", linked / (linked + unlinked), MAX_LINKS)
    words = [word.strip("*_`#>()[]\"'.,;:!?") for word in _WORD.findall(_LINK.sub(r"\1", prose))]
    words = [word for word in words if any(map(str.isalnum, word))]
    if len(words) < MIN_WORDS:
        return None  # code or a table with a caption: the rules below need prose
    letters = sum(any(map(str.isalpha, word)) for word in words) / len(words)
    if letters < MIN_LETTERS:
        return Verdict("few_letters", letters, MIN_LETTERS)
    latin = [word for word in words if word.isascii()]
    length = sum(map(len, latin)) / len(latin) if len(latin) > len(words) / 2 else 0.0
    low, high = MEAN_WORD_LENGTH
    if length and not low <= length <= high:
        return Verdict("mean_word_length", length, low if length < low else high)
    odd = sum(not (char.isalnum() or char.isspace() or char in _PUNCTUATION) for char in prose)
    if odd / len(prose) > MAX_SYMBOLS:
        return Verdict("symbol_ratio", odd / len(prose), MAX_SYMBOLS)
    return None


def _repetition(lines: list[str]) -> Verdict | None:
    # Addresses repeat their host; the text of a link counts.
    words = re.findall(r"\w+", _ADDRESS.sub(" ", " ".join(lines)).casefold())
    if len(words) < REPETITION_FROM:
        return None
    repeated = 1 - len(set(lines)) / len(lines)
    if repeated > MAX_REPEATED_LINES:
        return Verdict("repeated_lines", repeated, MAX_REPEATED_LINES)
    total = sum(map(len, words))
    for size, limit in MAX_TOP_NGRAM.items():
        grams = Counter(zip(*(words[shift:] for shift in range(size)), strict=False))
        count = max(grams.values())
        top = max(sum(map(len, gram)) for gram, seen in grams.items() if seen == count)
        if count > 1 and count * top / total > limit:
            return Verdict("repeated_ngrams", count * top / total, limit)
    for size, limit in MAX_REPEATED_NGRAMS.items():
        share = _repeated_share(words, size) / total
        if share > limit:
            return Verdict("repeated_ngrams", share, limit)
    return None


def _repeated_share(words: list[str], size: int) -> int:
    """Return the characters in n-grams that occur before, each counted once (datatrove's way)."""
    seen: set[tuple[str, ...]] = set()
    characters = 0
    at = 0
    while at + size <= len(words):
        gram = tuple(words[at : at + size])
        if gram in seen:
            characters += sum(map(len, gram))
            at += size
        else:
            seen.add(gram)
            at += 1
    return characters
