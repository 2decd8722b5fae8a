"""Numbers that are quickly had and show that a text keeps a rule, so that it need not be measured.

Where a measure says nothing, its bounds may be anything.
"""

from collections.abc import Callable

from pipeline.documents.clean.quality import measures
from pipeline.documents.clean.quality.measures import LONG_WORD
from pipeline.documents.clean.quality.stats import TextStats, count_words, words_of

Bound = Callable[[TextStats], float]

_START = 1_000
"""Characters from the start of a text that hold the few words that are asked for."""


def words(stats: TextStats) -> float:
    """Words of the start of the text: no more than in all of it."""
    return count_words(stats.text[:_START])


def all_words(stats: TextStats) -> float:
    """Characters: no less than words."""
    return len(stats.text)


def long_words(stats: TextStats) -> float:
    """0 when no word is longer than :data:`LONG_WORD`, else 1."""
    text = stats.text
    at = 0
    while len(text) - at > LONG_WORD:
        window = at, at + LONG_WORD + 1
        space = text.rfind(" ", *window)
        if space < 0 and (space := text.rfind("\n", *window)) < 0:
            return 1.0
        at = space + 1
    return 0.0


def linked_words(stats: TextStats) -> float:
    """Share of linked words when each takes another word of prose along, as in ``so:[link](a)``."""
    texts = len(words_of(" ".join(stats.by_links[1::2])))
    linked = texts + stats.prose.count("http")
    others = max(0, stats.prose_words.total - texts)
    return linked / (linked + others) if linked else 0.0


def shortest_words(stats: TextStats) -> float:
    """Mean length of the words of prose when no mark in them is counted."""
    words = stats.prose_words
    return words.least / words.total if words.total else 0.0


def longest_words(stats: TextStats) -> float:
    """Mean length of the words of prose when all around them is counted."""
    words = stats.prose_words
    return words.most / words.total if words.total else 0.0


def repeated_ngrams(stats: TextStats) -> float:
    """Share of characters of prose in short n-grams of words that occur before."""
    return stats.in_repeated_ngrams


LOWER: dict[Callable[..., float | None], Bound] = {
    measures.words: words,
    measures.word_length: shortest_words,
}
"""By measure, what is no more than it."""

UPPER: dict[Callable[..., float | None], Bound] = {
    measures.all_words: all_words,
    measures.long_words: long_words,
    measures.linked_words: linked_words,
    measures.word_length: longest_words,
    measures.repeated_ngrams: repeated_ngrams,
}
"""By measure, what is no less than it."""
