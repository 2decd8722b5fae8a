"""Evidence: the piece of a text that shows why a measure of it is what it is, for the ledger.

Each function gets what the measure got; a piece is quoted, with how often it occurs.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from pipeline.documents.clean.quality.measures import (
    LINE_END,
    SHORT_LINE,
    is_broken,
    is_ellipsis_line,
    sign_share,
)
from pipeline.documents.clean.quality.ngrams import most_frequent
from pipeline.documents.clean.quality.stats import (
    ADDRESS,
    BULLET,
    LABEL_WORDS,
    TextStats,
    count_words,
)
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


def frequent_words(stats: TextStats) -> str:
    """Return the most frequent words of prose."""
    return counted(stats.spaced_words)


def words_without_letter(stats: TextStats) -> str:
    """Return the first words of prose that hold no letter."""
    words = (word for word in stats.prose_words if not any(map(str.isalpha, word)))
    return quoted(list(dict.fromkeys(words))[:SHOWN])


def broken_words(stats: TextStats) -> str:
    """Return the first words of prose with a sign inside."""
    return quoted(list(dict.fromkeys(filter(is_broken, stats.prose_words)))[:SHOWN])


def links(stats: TextStats) -> str:
    """Return the first texts of links, or addresses that stand for themselves."""
    labels = [*stats.by_links[1::2], *ADDRESS.findall(" ".join(stats.by_links[::2]))]
    return quoted(labels[:SHOWN])


def addresses(stats: TextStats) -> str:
    """Return the longest addresses that stand for themselves."""
    return quoted(sorted(set(ADDRESS.findall(stats.prose)), key=len, reverse=True)[:SHOWN])


def line_of(*marks: str) -> Evidence:
    """Return a function that returns the line of prose with most of some marks."""
    return lambda stats: _line_with_most(stats, lambda line: sum(map(line.count, marks)))


def line_of_digits(stats: TextStats) -> str:
    """Return the line of prose with most digits."""
    return _line_with_most(stats, lambda line: sum(map(str.isdigit, line)))


def line_of_symbols(stats: TextStats) -> str:
    """Return the line of prose with the largest share of signs."""
    return _line_with_most(stats, sign_share)


def bullets(stats: TextStats) -> str:
    """Return the first list items."""
    return _blocks(stats, lambda block: BULLET.match(block) is not None)


def cut_lines(stats: TextStats) -> str:
    """Return the first paragraphs that end with an ellipsis."""
    return _blocks(stats, is_ellipsis_line)


def short_lines(stats: TextStats) -> str:
    """Return the first paragraphs that are short."""
    return _blocks(stats, lambda block: len(block) <= SHORT_LINE)


def unended_lines(stats: TextStats) -> str:
    """Return the first paragraphs that do not end as a sentence does."""
    return _blocks(stats, lambda block: LINE_END.search(block) is None)


def repeated_line(stats: TextStats) -> str:
    """Return the most repeated line that is no label."""
    return counted((line for line in stats.lines if count_words(line) >= LABEL_WORDS), 1)


def repeated_line_of_any_length(stats: TextStats) -> str:
    """Return the most repeated line."""
    return counted(stats.lines, 1)


def repeated_paragraph(stats: TextStats) -> str:
    """Return the most repeated paragraph or list item."""
    return counted(stats.blocks, 1)


def ngram_of(size: int) -> Evidence:
    """Return a function that returns the most frequent n-gram of words."""

    def evidence(stats: TextStats) -> str:
        ngram, count = most_frequent(stats.phrases, size)
        return f"{count} times {quoted([' '.join(ngram)])}"

    return evidence


def characters_of(size: int) -> Evidence:
    """Return a function that returns the most frequent n-gram of characters."""

    def evidence(stats: TextStats) -> str:
        ngram, count = most_frequent(stats.prose, size)
        return f"{count} times {quoted([''.join(ngram)])}"

    return evidence


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


def _line_with_most(stats: TextStats, count: Callable[[str], float]) -> str:
    return quoted([max(stats.lines, key=count, default="")])


def _blocks(stats: TextStats, fits: Callable[[str], bool]) -> str:
    return quoted([block for block in stats.blocks if fits(block)][:SHOWN])
