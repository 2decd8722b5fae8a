"""Evidence: the piece of a text that shows why a measure of it is what it is, for the ledger.

Each function gets what the measure got; a piece is quoted, with how often it occurs.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from pipeline.documents.clean.quality.measures import Fits, Pieces
from pipeline.documents.clean.quality.ngrams import Tokens, most_frequent
from pipeline.documents.clean.quality.stats import ADDRESS, LABEL_WORDS, TextStats, count_words
from pipeline.text.language import judged

SHOWN = 3
"""Pieces that are quoted, of several."""

LONGEST = 60
"""Characters of one piece that are quoted."""

Evidence = Callable[[TextStats], str]


def start(stats: TextStats) -> str:
    """Return the start of the text, where all of it is the reason."""
    return stats.text[:LONGEST]


def language(stats: TextStats) -> str:
    """Return the likeliest languages and the passage that told them."""
    passage, found = judged(stats.text)
    odds = ", then ".join(f"{each.code} {each.probability:.2f}" for each in found)
    return f"{odds} of {quoted([passage])}"


def longest_words(stats: TextStats) -> str:
    """Return the longest words of prose."""
    return quoted(sorted(dict.fromkeys(stats.prose_words), key=len, reverse=True)[:SHOWN])


def encoded(stats: TextStats) -> str:
    """Return the start of the longest run of the text without a space."""
    return quoted([max(stats.words, key=len, default="")])


def words_that(fits: Fits) -> Evidence:
    """Return evidence: the first words of prose of a kind."""
    return lambda stats: quoted(list(dict.fromkeys(filter(fits, stats.prose_words)))[:SHOWN])


def blocks_that(fits: Fits) -> Evidence:
    """Return evidence: the first paragraphs and list items of a kind."""
    return lambda stats: quoted(list(filter(fits, stats.blocks))[:SHOWN])


def line_with_most(count: Callable[[str], float]) -> Evidence:
    """Return evidence: the line of prose of which most is counted."""
    return lambda stats: quoted([max(stats.lines, key=count, default="")])


def most_repeated(pieces: Pieces) -> Evidence:
    """Return evidence: the most frequent of some pieces."""
    return lambda stats: counted(pieces(stats), 1)


def ngram_of(size: int, tokens: Callable[[TextStats], Tokens]) -> Evidence:
    """Return evidence: the most frequent n-gram of words, or of the characters of a text."""

    def evidence(stats: TextStats) -> str:
        ngram, count = most_frequent(tokens(stats), size)
        return f"{count} times {quoted([ngram if isinstance(ngram, str) else ' '.join(ngram)])}"

    return evidence


def frequent_words(stats: TextStats) -> str:
    """Return the most frequent words of prose."""
    return counted(stats.spaced_words)


def repeated_line(stats: TextStats) -> str:
    """Return the most repeated line that is no label."""
    return counted((line for line in stats.lines if count_words(line) >= LABEL_WORDS), 1)


def links(stats: TextStats) -> str:
    """Return the first texts of links, or addresses that stand for themselves."""
    labels = [*stats.by_links[1::2], *ADDRESS.findall(" ".join(stats.by_links[::2]))]
    return quoted(labels[:SHOWN])


def addresses(stats: TextStats) -> str:
    """Return the longest addresses that stand for themselves."""
    found = dict.fromkeys(ADDRESS.findall(stats.prose))  # a set has another order in each process
    return quoted(sorted(found, key=len, reverse=True)[:SHOWN])


def lorem_ipsum(stats: TextStats) -> str:
    """Return the filler text that was found."""
    at = stats.text.lower().find("lorem ipsum")
    return quoted([stats.text[at:]])


def quoted(pieces: Iterable[str]) -> str:
    """Return pieces on one line, each cut and between quotation marks."""
    lines = (" ".join(piece[: 4 * LONGEST].split()) for piece in pieces)
    return ", ".join(f'"{line[:LONGEST]}{"…" * (len(line) > LONGEST)}"' for line in lines)


def counted(pieces: Iterable[str], shown: int = SHOWN) -> str:
    """Return the most frequent pieces and how often each occurs."""
    most = Counter(pieces).most_common(shown)
    return ", ".join(f"{count} times {quoted([piece])}" for piece, count in most)
