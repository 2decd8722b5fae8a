"""Repetition of n-grams: runs of words, or of the characters of a text."""

from collections import Counter
from math import isqrt

Tokens = tuple[str, ...] | str


def _ngrams(tokens: Tokens, size: int) -> list[Tokens]:
    return [tokens[at : at + size] for at in range(len(tokens) - size + 1)]


def _length(tokens: Tokens) -> int:
    return len("".join(tokens))


def top_share(tokens: Tokens, size: int) -> float:
    """Return the share of characters in the most frequent n-gram (Gopher); 0 when none repeats."""
    ngram, count = most_frequent(tokens, size)
    return count * _length(ngram) / _length(tokens) if count > 1 else 0.0


def most_frequent(tokens: Tokens, size: int) -> tuple[Tokens, int]:
    """Return the most frequent n-gram, of several the longest, and how often it occurs."""
    # Occurrences that share tokens count once: "a a a a a" holds "a a" twice.
    counts: Counter[Tokens] = Counter()
    free: dict[Tokens, int] = {}
    for at, ngram in enumerate(_ngrams(tokens, size)):
        if free.get(ngram, 0) <= at:
            counts[ngram] += 1
            free[ngram] = at + size
    most = max(counts.values(), default=0)
    longest = max((ngram for ngram in counts if counts[ngram] == most), key=_length, default="")
    return longest, most


def repeated_share(tokens: Tokens, size: int) -> float:
    """Return the share of characters in n-grams that occur before, each character once.

    Gopher's measure as datatrove takes it: a repeated n-gram counts and is stepped over.
    """
    seen: set[Tokens] = set()
    characters = free = 0
    for at, ngram in enumerate(_ngrams(tokens, size)):
        if at < free:
            continue
        if ngram in seen:
            characters += _length(ngram)
            free = at + size
        seen.add(ngram)
    return characters / max(1, _length(tokens))


def most_frequent_share(tokens: Tokens, size: int) -> float:
    """Return the share of the most frequent n-grams among all.

    The measure of the ROOTS corpus (Laurencon et al. 2022), as Data-Juicer takes it: of the
    distinct n-grams that repeat, the most frequent, as many as the root of all distinct ones.
    """
    counts = sorted(Counter(_ngrams(tokens, size)).values(), reverse=True)
    top = [count for count in counts[: isqrt(len(counts))] if count > 1]
    return sum(top) / max(1, sum(counts))
