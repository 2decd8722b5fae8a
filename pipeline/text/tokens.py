"""How many tokens a text has, and each part of it, by a tokenizer file."""

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import regex
from tokenizers import Tokenizer

CountTokens = Callable[[str], int]

Ruler = Callable[[int, int], int]
"""Returns the tokens of ``text[start:end]``, cut out and alone."""

_WORDS = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
"""What GPT-2 (Radford et al. 2019, encoder.py) cuts a text into before it looks for tokens, and
the default of the byte-level tokenizers of Hugging Face."""

_RARE = re.compile(
    "[^\x00-\x1b\x20-\x7f\xa1-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\u2010-\u2027\u2030-\u205e"
    "\u2190-\u23ff\u2500-\u26ff]"
)
"""What is neither ASCII nor one of the punctuation marks and symbols beyond it."""

_SPACE = r" \t\n\r\f\v"
_COMMON_WORDS = re.compile(
    rf" ?[A-Za-z]+|'(?:[stmd]|re|ve|ll)| ?[0-9]+| ?[^A-Za-z0-9{_SPACE}]+"
    rf"|[{_SPACE}]+(?![^{_SPACE}])|[{_SPACE}]+"
)
"""The same as :data:`_WORDS` in a text without :data:`_RARE`, by Python's re in half the time."""

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}

_LETTERS = {
    byte: 256 + number for number, byte in enumerate([*range(0x21), *range(0x7F, 0xA1), 0xAD])
}
"""The characters that GPT-2 takes for bytes that are none by themselves (encoder.py)."""

_MOST_WORDS = 500_000
"""Words remembered at most, about 60 MB."""

_LINES = (
    *("word", "Word of", "2 x", "A17.", "x = {", "}", "- item", "1. one", "# H", "| a | b |"),
    *("```", "> q", "*b*", "'s", '"quoted"', "(a)", "[l](u)", "<E_1>", "--all", "\u2014 dash"),
    *("\u00e9t\u00e9", "\u65e5\u672c", "\u0434\u0430", "\ud55c", "\U0001f600", "..."),
)
"""Beginnings and ends of lines as documents have them."""

_GAPS = ("\n", "\n\n")


class TokenCounter:
    """Counts tokens, without special tokens; small when pickled, since it holds a path alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return _open(self._path).count(text)

    def ruler(self, text: str) -> Ruler:
        """Return what counts the tokens of any part of a text.

        The text is read once. Of a part that ends with a line, what tokens start in its whole
        lines is counted, and only the rest of its first line is read again.
        """
        tokenizer = _open(self._path)
        if not tokenizer.separates_lines:
            return _slices(self, text)
        starts, totals = tokenizer.starts(text)

        def between(start: int, end: int) -> int:
            return totals[bisect_left(starts, end)] - totals[bisect_left(starts, start)]

        def tokens(start: int, end: int) -> int:
            if start >= end or text[start].isspace() or text[end - 1].isspace():
                return self(text[start:end])
            if end < len(text) and text[end] != "\n":
                return self(text[start:end])
            if start == 0 or text[start - 1] == "\n":
                return between(start, end)
            line = text.find("\n", start, end)
            if line < 0 or text[line - 1].isspace():
                return self(text[start:end])
            return self(text[start:line]) + between(line, end)

        return tokens


def ruler_of(count_tokens: CountTokens, text: str) -> Ruler:
    """Return what counts the tokens of the parts of a text, by any function of a text."""
    if isinstance(count_tokens, TokenCounter):
        return count_tokens.ruler(text)
    return _slices(count_tokens, text)


def _slices(count_tokens: CountTokens, text: str) -> Ruler:
    return lambda start, end: count_tokens(text[start:end])


def _words_of(text: str) -> list[str]:
    pattern: Any = _WORDS if _RARE.search(text) else _COMMON_WORDS
    return list(pattern.findall(text))


class _Tokenizer:
    """A tokenizer, and how it may be asked quickly."""

    def __init__(self, path: Path) -> None:
        # Read by its own library alone: json takes as long for the vocabulary.
        self._tokenizer = Tokenizer.from_file(str(path))
        # It adds special tokens and moves where tokens start.
        self._tokenizer.post_processor = None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        added = self._tokenizer.get_added_tokens_decoder().values()
        self._names = sorted((token.content for token in added), key=len, reverse=True)
        self._added = (
            regex.compile(f"({'|'.join(map(regex.escape, self._names))})") if self._names else None
        )
        """Tokens that are taken out of a text before all else; the longest that fits."""
        cuts = self._tokenizer.pre_tokenizer
        self._by_words = (
            self._tokenizer.normalizer is None
            and cuts is not None
            and _BYTE_LEVEL.items() <= json.loads(cuts.__getstate__()).items()
            and not any(token.lstrip or token.rstrip or token.single_word for token in added)
        )
        """Whether it looks for tokens in each of :data:`_WORDS` alone: most words of a text
        occurred before, and the tokenizer takes ten times as long as a dictionary."""
        self._known = dict.fromkeys(self._names, 1)
        """Words and their tokens."""
        self._model = self._tokenizer.model
        self.separates_lines = self._by_words or self._lines_are_apart()

    def count(self, text: str) -> int:
        if self._by_words:
            return sum(self._counts(self._words(text)))
        return len(self._encode(text))

    def starts(self, text: str) -> tuple[Sequence[int], Sequence[int]]:
        """Return places in a text, and the tokens before each and before the end."""
        if self._by_words:
            words = self._words(text)
            places = list(accumulate(map(len, words), initial=0))
            return places[:-1], list(accumulate(self._counts(words), initial=0))
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return [start for start, _ in encoded.offsets], range(len(encoded) + 1)

    def _words(self, text: str) -> list[str]:
        if self._added is None or not self._added.search(text):
            return _words_of(text)
        pieces = self._added.split(text)
        return [
            word
            for place, piece in enumerate(pieces)
            for word in ((piece,) if place % 2 else _words_of(piece))
        ]

    def _counts(self, words: list[str]) -> list[int]:
        known = self._known
        if len(known) > _MOST_WORDS:
            known.clear()
            known.update(dict.fromkeys(self._names, 1))
        try:
            return list(map(known.__getitem__, words))
        except KeyError:
            for word in set(words).difference(known):
                # What encode() does with a word, but for marking where its tokens are.
                letters = word.encode().decode("latin-1").translate(_LETTERS)
                known[word] = len(self._model.tokenize(letters))
            return list(map(known.__getitem__, words))

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _lines_are_apart(self) -> bool:
        """Whether no token, and no choice of tokens, reaches over the end of a line.

        So it is with most byte-level tokenizers, but not with SentencePiece.
        """
        alone = {line: self._encode(line) for line in _LINES}
        for one, gap, other in product(_LINES, _GAPS, _LINES):
            found, before, after = self._encode(one + gap + other), alone[one], alone[other]
            if found[: len(before)] != before or found[-len(after) :] != after:
                return False
            if len(found) < len(before) + len(after):
                return False
        return True


@lru_cache(maxsize=4)
def _open(path: Path) -> _Tokenizer:
    return _Tokenizer(path)
