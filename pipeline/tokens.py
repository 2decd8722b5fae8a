"""How many tokens a text has, and each part of it, by a tokenizer file."""

import json
from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CountTokens = Callable[[str], int]

Ruler = Callable[[int, int], int]
"""Returns the tokens of ``text[start:end]``, cut out and alone."""

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
        return len(_tokenizer(self._path).encode(text, add_special_tokens=False))

    def ruler(self, text: str) -> Ruler:
        """Return what counts the tokens of any part of a text.

        The text is read once. Of a part that ends with a line, what tokens start in its whole
        lines is counted, and only the rest of its first line is read again.
        """
        if not _separates_lines(self._path):
            return _slices(self, text)
        encoded = _tokenizer(self._path).encode(text, add_special_tokens=False)
        starts = [start for start, _ in encoded.offsets]

        def tokens(start: int, end: int) -> int:
            part = text[start:end]
            whole = not part[:1].isspace() and not part[-1:].isspace()
            if not part or not whole or text[end : end + 1] not in ("", "\n"):
                return self(part)
            if start == 0 or text[start - 1] == "\n":
                return bisect_left(starts, end) - bisect_left(starts, start)
            line, _, rest = part.partition("\n")
            if not rest or line[-1].isspace():
                return self(part)
            first = bisect_left(starts, start + len(line))
            return self(line) + bisect_left(starts, end) - first

        return tokens


def ruler_of(count_tokens: CountTokens, text: str) -> Ruler:
    """Return what counts the tokens of the parts of a text, by any function of a text."""
    if isinstance(count_tokens, TokenCounter):
        return count_tokens.ruler(text)
    return _slices(count_tokens, text)


def _slices(count_tokens: CountTokens, text: str) -> Ruler:
    return lambda start, end: count_tokens(text[start:end])


@lru_cache(maxsize=4)
def _tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    # Without the post-processor, which adds special tokens and moves where tokens start.
    data = json.loads(path.read_text("utf-8")) | {"post_processor": None}
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@lru_cache(maxsize=4)
def _separates_lines(path: Path) -> bool:
    """Whether no token, and no choice of tokens, reaches over the end of a line.

    So it is with the byte-level tokenizers of GPT-2 and its heirs, but not with SentencePiece.
    """
    tokenizer = _tokenizer(path)

    def ids(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    alone = {line: ids(line) for line in _LINES}
    for one, gap, other in product(_LINES, _GAPS, _LINES):
        found, before, after = ids(one + gap + other), alone[one], alone[other]
        if found[: len(before)] != before or found[-len(after) :] != after:
            return False
        if len(found) < len(before) + len(after):
            return False
    return True
