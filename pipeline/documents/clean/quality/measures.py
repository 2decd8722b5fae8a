"""What a rule compares with its limit (None: it says nothing), and what of a text shows why."""

import re
import string
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from math import isqrt
from pathlib import Path

from pipeline.documents.clean.quality.stats import (
    ADDRESS,
    LABEL_WORDS,
    LINK,
    TextStats,
    count_alnum,
    count_words,
    is_sign,
)
from pipeline.text.language import judged

Measure = Callable[[TextStats], float | None]
Evidence = Callable[[TextStats], str]
Pieces = Callable[[TextStats], Sequence[str]]
Fits = Callable[[str], object]
Tokens = tuple[str, ...] | str
"""Of which n-grams are made: words, or the characters of a text."""
_WRITTEN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
STOP_WORDS = {language: frozenset(words.split()) for language, words in _WRITTEN.items()}
"""By ISO 639-1."""
PROSE_FROM = 20
"""Words of prose from which they are measured: below, it is the caption of a table or of code."""
REPETITION_FROM = 50
"""Words of prose from which repetition is measured: Gopher's numbers are for documents of 50."""
LONG_WORD = 200
"""Characters. A word that is longer is encoded data; C4 drops a line with a word of 1,000."""
SHORT_LINE = 30
"""Characters (FineWeb)."""
SHOWN = 3
"""Pieces that are quoted, of several."""
LONGEST = 60
"""Characters of one piece that are quoted."""
_ENDS = (
    ".!?\u2026"
    "\u3002\uff01\uff1f\uff61\uff0e"  # Chinese, Japanese
    "\u061f\u06d4\u0589\u05c3"  # Arabic, Urdu, Armenian, Hebrew
    "\u0964\u0965\u104b\u17d4\u1362\u0f0d"  # Indic, Burmese, Khmer, Ethiopic, Tibetan
)
"""Marks that end a sentence. Thai and Lao have none."""
_CLOSING = "\"'*_`)\\]\u201d\u2019\u00bb\u300d\u300f\uff09"
_SENTENCE_END = re.compile(
    rf"[{_ENDS}]+[{_CLOSING}]*(?=\s|\Z)|[\u3002\uff01\uff1f\uff61\u0964\u104b\u17d4]"
)
LINE_END = re.compile(rf"(?:[{_ENDS}][{_CLOSING}]*|[\"'])\Z")
"""End of a paragraph that ends as a sentence does: FineWeb's with other scripts."""
BRACKETS = "()[]\uff08\uff09\u3010\u3011"
_OUTSIDE = string.punctuation + "\u2018\u2019\u201c\u201d\u2026\u3001\u3002\uff0c\uff08\uff09"
_JOINTS = re.compile(r"[-_.:/'()\[\]<>,=*@+&#|`\\\u2010-\u2015\u2019\u2026]")
_EMPHASIS = re.compile(r"[*`\\]")
ELLIPSES = ("...", "\u2026")
_ENCODED = re.compile(rf"[!-~]{{{LONG_WORD + 1},}}")
_THAI_LAO = re.compile("[\u0e01-\u0eff]")


def long_words(stats: TextStats) -> float:
    """Share of characters in long runs of ASCII: a paragraph of Thai has no space either."""
    words = (word for word in stats.words if len(word) > LONG_WORD)
    encoded = sum(map(len, _ENCODED.findall(" ".join(words))))
    return encoded / max(1, sum(map(len, stats.words)))


def linked_words(stats: TextStats) -> float | None:
    """Share of all words, those of code and tables too, that are the text of links."""
    addresses = len(ADDRESS.findall(" ".join(stats.by_links[::2])))
    linked = count_words(" ".join(stats.by_links[1::2])) + addresses
    return linked / (addresses + count_alnum(stats.words)) if linked else None


def word_length(stats: TextStats) -> float | None:
    """Mean length of the words of prose in scripts with spaces, when most words are."""
    words = stats.spaced_words
    if len(words) < PROSE_FROM or stats.is_unspaced:
        return None
    return sum(map(len, words)) / len(words)


def is_broken(word: str) -> bool:
    """Whether a sign that is no joint of words or identifiers stands between letters or digits."""
    return not word.isalnum() and any(map(is_sign, _JOINTS.sub("", word.strip(_OUTSIDE))))


def signs(stats: TextStats) -> float | None:
    """Share of characters of prose that are signs; those of markup and addresses do not count."""
    return sign_share(stats.unlinked) if len(stats.prose_words) >= PROSE_FROM else None


def sign_share(text: str) -> float:
    """Return the share of characters that are no letter, digit or space, nor emphasis or code."""
    plain = _EMPHASIS.sub("", text)
    count = sum(count for char, count in Counter(plain).items() if is_sign(char))
    return count / max(1, len(plain))


def is_short(block: str) -> bool:
    """Whether a paragraph has at most :data:`SHORT_LINE` characters."""
    return len(block) <= SHORT_LINE


def lines_that_end(stats: TextStats) -> Sequence[str]:
    """Paragraphs and list items, in a script that marks where a sentence ends."""
    return () if _has_no_sentence_mark(stats) else stats.blocks


def line_breaks(stats: TextStats) -> float | None:
    """Ends of paragraphs and list items for each word of prose."""
    return (len(stats.blocks) - 1) / len(stats.prose_words) if stats.prose_words else None


def sentences(stats: TextStats) -> float | None:
    """Ends of sentences in prose, in any script."""
    if _has_no_sentence_mark(stats):
        return None
    return sum(len(_SENTENCE_END.findall(block)) for block in stats.blocks)


def stop_words(stats: TextStats) -> float | None:
    """Stop words of the text's language in prose; None without a list for the language."""
    known = STOP_WORDS.get(stats.language)
    return None if known is None else sum(token in known for token in stats.tokens)


def repeated_lines(stats: TextStats) -> float | None:
    """Share of lines of prose that occur before, labels of a few words apart."""
    if not is_long(stats) or not stats.lines:
        return None
    told = told_lines(stats)
    return repeated(told) * len(told) / len(stats.lines)


def told_lines(stats: TextStats) -> list[str]:
    """Lines of prose that are no labels."""
    return [line for line in stats.lines if count_words(line) >= LABEL_WORDS]


def address_characters(prose: str) -> int:
    """Characters in web addresses that stand for themselves."""
    return sum(map(len, ADDRESS.findall(LINK.sub(" ", prose))))


def marks(signs: Iterable[str]) -> Callable[[str], int]:
    """Return a function that counts some signs in a text."""
    return lambda text: sum(map(text.count, signs))


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
    best = max((ngram for ngram in counts if counts[ngram] == most), key=_length, default="")
    return best, most


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


def start(stats: TextStats) -> str:
    """Return the start of the text, where all of it is the reason."""
    return stats.text[:LONGEST]


def language(stats: TextStats) -> str:
    """Return the likeliest languages and the passage that told them."""
    passage, found = judged(stats.text)
    odds = ", then ".join(f"{each.code} {each.probability:.2f}" for each in found)
    return f"{odds} of {quoted([passage])}"


def line_with_most(count: Callable[[str], float]) -> Evidence:
    """Return evidence: the line of prose of which most is counted."""
    return lambda stats: quoted([max(stats.lines, key=count, default="")])


def links(stats: TextStats) -> str:
    """Return the first texts of links, or addresses that stand for themselves."""
    return quoted([*stats.by_links[1::2], *ADDRESS.findall(" ".join(stats.by_links[::2]))])


def quoted(pieces: Iterable[str]) -> str:
    """Return the first pieces on one line, each cut and between quotation marks."""
    lines = (" ".join(piece[: 4 * LONGEST].split()) for piece in islice(pieces, SHOWN))
    return ", ".join(f'"{line[:LONGEST]}{"…" * (len(line) > LONGEST)}"' for line in lines)


def longest(pieces: Iterable[str]) -> str:
    """Return the longest of some pieces, each once."""
    return quoted(sorted(dict.fromkeys(pieces), key=len, reverse=True))


def counted(pieces: Iterable[str], shown: int = 1) -> str:
    """Return the most frequent pieces and how often each occurs."""
    most = Counter(pieces).most_common(shown)
    return ", ".join(f"{count} times {quoted([piece])}" for piece, count in most)


def is_long(stats: TextStats) -> bool:
    """Whether there is enough of a text to measure repetition."""
    return len(stats.tokens) >= REPETITION_FROM or stats.is_unspaced


def _has_no_sentence_mark(stats: TextStats) -> bool:
    if not stats.is_unspaced:
        return False
    return 2 * len(_THAI_LAO.findall(stats.prose)) > sum(map(str.isalpha, stats.prose))


def repeated(items: Sequence[str], *, characters: bool = False) -> float:
    """Return the share of items that occur before, by number or by characters."""
    size: Callable[[str], int] = len if characters else lambda item: 1
    return 1 - sum(map(size, set(items))) / max(1, sum(map(size, items))) if items else 0.0


def _ngrams(tokens: Tokens, size: int) -> list[Tokens]:
    return [tokens[at : at + size] for at in range(len(tokens) - size + 1)]


def _length(tokens: Tokens) -> int:
    return len("".join(tokens))
