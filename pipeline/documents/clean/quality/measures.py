"""What a rule compares with its limit: a number of a text, or None where it says nothing."""

import re
import string
from collections import Counter

from pipeline.documents.clean.quality.ngrams import (
    most_frequent_share,
    repeated_share,
    top_share,
)
from pipeline.documents.clean.quality.stats import (
    ADDRESS,
    BULLET,
    LABEL_WORDS,
    LINK,
    TextStats,
    count_alnum,
    count_words,
    duplicated,
    is_sign,
)
from pipeline.documents.clean.quality.stop_words import STOP_WORDS

PROSE_FROM = 20
"""Words of prose from which its words and characters are measured: below, it is the caption of a
table or of code."""

REPETITION_FROM = 50
"""Words of prose from which repetition is measured: Gopher's numbers are for documents of 50."""

LONG_WORD = 200
"""Characters. A word that is longer is encoded data; C4 drops a line with a word of 1,000."""

SHORT_LINE = 30
"""Characters (FineWeb)."""

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
LINE_END = re.compile(rf"(?:[{_ENDS}][{_CLOSING}]*|[\"'])\Z")  # FineWeb's with other scripts
BRACKETS = "()[]\uff08\uff09\u3010\u3011"
_OUTSIDE = string.punctuation + "\u2018\u2019\u201c\u201d\u2026\u3001\u3002\uff0c\uff08\uff09"
_JOINTS = re.compile(r"[-_.:/'()\[\]<>,=*@+&#|`\\\u2010-\u2015\u2019\u2026]")
_EMPHASIS = re.compile(r"[*`\\]")
_ELLIPSIS = re.compile(r"\.\.\.|\u2026")
_ENCODED = re.compile(rf"[!-~]{{{LONG_WORD + 1},}}")
_THAI_LAO = re.compile("[\u0e01-\u0eff]")


def words(stats: TextStats) -> float:
    """Words of the whole text, code included, of a line that occurs again once."""
    return stats.word_count


def all_words(stats: TextStats) -> float:
    """Words of the whole text, code included, however long it is."""
    return len(stats.words)


def letters_and_digits(stats: TextStats) -> float:
    """Letters and digits of any script in the whole text."""
    return sum(map(str.isalnum, stats.text[:100_000]))


def long_words(stats: TextStats) -> float:
    """Share of characters in runs of more than :data:`LONG_WORD` without a space, ASCII alone.

    That is what encoded data is made of; a paragraph of Thai has no space either.
    """
    if max(map(len, stats.words), default=0) <= LONG_WORD:
        return 0.0
    encoded = sum(map(len, _ENCODED.findall(" ".join(stats.words))))
    return encoded / max(1, sum(map(len, stats.words))) if encoded else 0.0


def linked_words(stats: TextStats) -> float | None:
    """Share of all words that are the text of links: high in a site map or an index.

    Words of code and tables are among all: a page may be one fixed block below a link.
    """
    addresses = len(ADDRESS.findall(" ".join(stats.by_links[::2])))
    linked = count_words(" ".join(stats.by_links[1::2])) + addresses
    return linked / (addresses + count_alnum(stats.words)) if linked else None


def words_with_letter(stats: TextStats) -> float | None:
    """Share of words of prose that hold a letter."""
    words = stats.prose_words
    if len(words) < PROSE_FROM:
        return None
    return sum(any(map(str.isalpha, word)) for word in words) / len(words)


def word_length(stats: TextStats) -> float | None:
    """Mean length of the words of prose in scripts with spaces, when most words are."""
    words = stats.spaced_words
    if len(words) < PROSE_FROM or stats.is_unspaced:
        return None
    return sum(map(len, words)) / len(words)


def broken_words(stats: TextStats) -> float | None:
    """Share of words of prose with a sign inside that neither words nor identifiers have."""
    words = stats.prose_words
    return sum(map(is_broken, words)) / len(words) if len(words) >= PROSE_FROM else None


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


def hashes(stats: TextStats) -> float | None:
    """Signs ``#`` in prose for each word."""
    return _for_each_word(stats, stats.prose.count("#"))


def ellipses(stats: TextStats) -> float | None:
    """Ellipses in prose for each word."""
    return _for_each_word(stats, len(_ELLIPSIS.findall(stats.prose)))


def line_breaks(stats: TextStats) -> float | None:
    """Paragraphs and list items, less one, for each word of prose."""
    return _for_each_word(stats, len(stats.blocks) - 1)


def bullet_lines(stats: TextStats) -> float | None:
    """Share of paragraphs and list items that begin with a bullet or a number."""
    return _of_blocks(stats, sum(BULLET.match(block) is not None for block in stats.blocks))


def ellipsis_lines(stats: TextStats) -> float | None:
    """Share of paragraphs and list items that end with an ellipsis."""
    return _of_blocks(stats, sum(map(is_ellipsis_line, stats.blocks)))


def is_ellipsis_line(block: str) -> bool:
    """Whether a paragraph ends with an ellipsis."""
    return block.endswith(("...", "\u2026"))


def short_lines(stats: TextStats) -> float | None:
    """Share of paragraphs and list items of at most :data:`SHORT_LINE` characters."""
    return _of_blocks(stats, sum(len(block) <= SHORT_LINE for block in stats.blocks))


def ended_lines(stats: TextStats) -> float | None:
    """Share of paragraphs and list items that end as a sentence does, in any script."""
    if _has_no_sentence_mark(stats):
        return None
    return _of_blocks(stats, sum(LINE_END.search(block) is not None for block in stats.blocks))


def sentences(stats: TextStats) -> float | None:
    """Ends of sentences in prose, in any script."""
    if _has_no_sentence_mark(stats):
        return None
    return sum(len(_SENTENCE_END.findall(block)) for block in stats.blocks)


def stop_words(stats: TextStats) -> float | None:
    """Stop words of the text's language in prose; None without a list for the language."""
    known = STOP_WORDS.get(stats.language)
    return None if known is None else sum(token in known for token in stats.tokens)


def lorem_ipsum(stats: TextStats) -> float:
    """Occurrences of the filler text of typesetters."""
    return stats.text.lower().count("lorem ipsum")


def curly_brackets(stats: TextStats) -> float:
    """Signs ``{`` in prose."""
    return stats.prose.count("{")


def repeated_lines(stats: TextStats) -> float | None:
    """Share of lines of prose that occur before, labels of a few words apart."""
    if not _is_long(stats) or not stats.lines:
        return None
    told = [line for line in stats.lines if count_words(line) >= LABEL_WORDS]
    return duplicated(told)[0] * len(told) / len(stats.lines)


def repeated_line_characters(stats: TextStats) -> float | None:
    """Share of characters in lines of prose that occur before."""
    return duplicated(stats.lines)[1] if _is_long(stats) else None


def repeated_paragraphs(stats: TextStats) -> float | None:
    """Share of paragraphs and list items that occur before."""
    return duplicated(stats.blocks)[0] if _is_long(stats) else None


def repeated_paragraph_characters(stats: TextStats) -> float | None:
    """Share of characters in paragraphs and list items that occur before."""
    return duplicated(stats.blocks)[1] if _is_long(stats) else None


def top_ngram(stats: TextStats, size: int) -> float | None:
    """Share of characters of prose in the most frequent n-gram of words."""
    return top_share(stats.phrases, size) if _has_ngrams(stats) else None


def repeated_ngrams(stats: TextStats, size: int) -> float | None:
    """Share of characters of prose in n-grams of words that occur before."""
    return repeated_share(stats.phrases, size) if _has_ngrams(stats) else None


def top_characters(stats: TextStats, size: int) -> float:
    """Share of the most frequent n-grams of characters in prose."""
    return most_frequent_share(stats.prose, size)


def repeated_characters(stats: TextStats, size: int) -> float:
    """Share of characters of prose in n-grams of characters that occur before."""
    return repeated_share(stats.prose, size)


def digits(stats: TextStats) -> float | None:
    """Share of characters of prose that are digits."""
    return _of_prose(stats, sum(map(str.isdigit, stats.prose)))


def address_characters(stats: TextStats) -> float | None:
    """Share of characters of prose in web addresses that stand for themselves."""
    return _of_prose(stats, sum(map(len, ADDRESS.findall(LINK.sub(" ", stats.prose)))))


def parentheses(stats: TextStats) -> float | None:
    """Share of characters of prose that are round or square brackets of any script."""
    return _of_prose(stats, sum(map(stats.prose.count, BRACKETS)))


def _of_prose(stats: TextStats, count: int) -> float | None:
    return count / len(stats.prose) if stats.prose else None


def _of_blocks(stats: TextStats, count: int) -> float | None:
    return count / len(stats.blocks) if stats.blocks else None


def _for_each_word(stats: TextStats, count: int) -> float | None:
    return count / len(stats.prose_words) if len(stats.prose_words) else None


def _has_ngrams(stats: TextStats) -> bool:
    return len(stats.phrases) >= REPETITION_FROM


def _is_long(stats: TextStats) -> bool:
    return len(stats.tokens) >= REPETITION_FROM or stats.is_unspaced


def _has_no_sentence_mark(stats: TextStats) -> bool:
    if not stats.is_unspaced:
        return False
    return 2 * len(_THAI_LAO.findall(stats.prose)) > sum(map(str.isalpha, stats.prose))
