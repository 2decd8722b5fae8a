"""Specifics of a text: texts that name different numbers, identifiers or names are no duplicates.

An embedding is nearly blind to them: by the mean of their word vectors the pages of two pumps that
differ in the model number are more alike than two wordings of one page (``python -m
tests.pipeline.dedup.passages`` prints both).
"""

import re
from typing import NamedTuple

from rapidfuzz.distance import Indel

from pipeline.text.fences import fenced, prose_of

SAME_WORDING = 0.8
"""Share of words in the same order from which two texts are one wording with edits (in the passages
of the tests: up to 0.69 for the same in other words, from 0.94 for pages of sibling products).
Whether those are copies, deduplication has decided by their shingles."""
_WORD = re.compile(r"[^\W_]+(?:[-._:,/@][^\W_]+|_+[^\W_]+)*")
"""A word; ``P-20``, ``4.2.1``, ``retry_limit`` and ``app.conf`` stay in one piece."""
_CODE = re.compile(r"`([^`\n]+)`")  # code within a line
_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")  # an option of a command
_ORDINAL = re.compile(r"^[ \t]*(?:[-*+]|\d+[.)])[ \t]+", re.MULTILINE)
"""The mark of a list item: its number says only where it stands."""
_NEGATIVE = re.compile(r"(?<!\S)[-\N{MINUS SIGN}]([0-9]+(?:[.,][0-9]+)*)")  # a number below zero
_INNER_CAPITAL = re.compile(r"(?<=[^\W_])[A-Z]")  # ``MQTT``, ``maxSize``
_BEGIN = re.compile(r"[.!?:;|(]|\n\s*[\n#>*+-]")
"""Between two words: the next one begins a sentence or block, and its capital says nothing."""


class Facts(NamedTuple):
    """A text as it is compared."""

    words: list[str]  # all of them, in lower case
    known: frozenset[str]  # the same and code, without order
    named: frozenset[str]  # those that another text has to have as well when it says the same


def facts(text: str) -> Facts:
    """Return the words of a Markdown text, and which of them are facts.

    Facts are words with a digit, an underscore or a capital inside (``A17``, ``2.5``,
    ``retry_limit``, ``MQTT``), negative numbers, options of commands, code, and words with a
    capital within a sentence: names, in German each noun.
    """
    text = _ORDINAL.sub("\n", text)
    code = [text[start:end].partition("\n")[2] for start, end in fenced(text)]
    code += _CODE.findall(prose_of(text))
    named = {" ".join(piece.rstrip("`~ ").split()) for piece in code}
    named |= {option.casefold() for option in _OPTION.findall(text)}
    named |= {f"-{number}" for number in _NEGATIVE.findall(text)}
    words = []
    before = 0
    for found in _WORD.finditer(text):
        word = found[0]
        words.append(word.casefold())
        first = before == 0 or _BEGIN.search(text, before, found.start()) is not None
        before = found.end()
        telling = (
            any(sign.isdigit() or sign == "_" for sign in word)
            or _INNER_CAPITAL.search(word) is not None
            or (word[0].isupper() and not first)
        )
        if telling:
            named.add(words[-1])
    return Facts(words, frozenset(words) | named, frozenset(named - {""}))


def same_facts(one: Facts, other: Facts) -> bool:
    """Tell whether each fact of the one stands in the other, in whatever case."""
    return one.named <= other.known and other.named <= one.known


def same_wording(one: Facts, other: Facts) -> bool:
    """Tell whether two texts have nearly the same words in the same order."""
    alike = Indel.normalized_similarity(one.words, other.words, score_cutoff=SAME_WORDING)
    return alike >= SAME_WORDING
