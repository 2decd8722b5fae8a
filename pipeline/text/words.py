"""Words: what two texts have in common when they say the same thing.

A shingle is a run of five words, or a shorter text, each number as the word "0": a changed date or
page number does not hide a copy. So it is in datatrove: no case, no accents, no punctuation.
:mod:`pipeline.dedup.kernel` makes them of bytes; here is what it has to agree with.
"""

import re
import unicodedata
from collections.abc import Sequence

WORD = re.compile(r"[^\W_]++(?:(?<=\d)[.,:]\d++)*+")
"""A run of letters and digits; ``4.2.1``, ``10:30`` and ``1,250`` stay in one piece."""
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
"""Kana and Han: written without spaces, so that each sign counts as a word."""


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without accents and punctuation."""
    if text.isascii():
        folded = text.lower()
    else:
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        folded = "".join(sign for sign in decomposed if unicodedata.category(sign) != "Mn")
        folded = UNSPACED.sub(r" \g<0> ", folded)
    return WORD.findall(folded)


def same_text(text: str) -> str:
    """Return the text in the form in which exact duplicates are equal: case, white space."""
    return " ".join(text.casefold().split())


def contains(stream: Sequence[str], part: Sequence[str]) -> bool:
    """Tell whether the words of ``part`` occur one after another in ``stream``."""
    return f" {' '.join(part)} " in f" {' '.join(stream)} "
