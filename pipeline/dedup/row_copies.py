"""Rows that training must not see: streams of words, the index that finds them, and its trial.

Before the index is believed, copies are planted, and all must be found.
"""

import html
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from heapq import nsmallest
from typing import NamedTuple

from pipeline.core.errors import TrainingError
from pipeline.text.words import words

LONG, SHORT = 13, 8
"""Words of the n-gram that makes a row a candidate: 13 (GPT-3, lm-eval), 8 for a row of fewer
than 13 words (open-r1); a row below 8 words has to be equal."""
RUN = 5  # shortest run of common words that is copied; shorter ones are the product's phrases
MAX_COPIED = 0.5  # share of a row that may be copied (Cosmopedia: n-gram hit first, then this)
FEWEST_QUESTION_WORDS = 3  # a question is compared by itself from this length: "Why?" is no leak
MOST_ROWS = 64  # noted for one n-gram: one in more is boilerplate, a copy shares rarer ones too
MOST_COMPARED = 16  # rows compared with one word by word: those with the most n-grams in common

_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
"""Soft hyphens, joiners and other signs without width, which a copy may have lost or gained."""
_HYPHEN = re.compile(r"(?<=\w)[-\u2010\u2011](?:[^\S\n]*\n\s*)?(?=\w)")
"""A hyphen inside a word, with the line break that may stand behind it. All are taken out: of one
at the end of a line nobody can tell whether the word had it before."""

SAMPLE = 32  # held-out rows of which copies are planted: shortest, longest, and some between
WIDTH = 24  # characters of a line of a re-wrapped copy: nearly each line ends inside a sentence
BEFORE, BEHIND = "Here is what somebody wrote about it. ", " That is all there is to say here."


class Row(NamedTuple):
    """A row to compare."""

    id: str
    split: str  # ``train``, ``validation``, ``test`` or ``benchmark``
    questions: tuple[str, ...]  # words of each question, joined by spaces; short ones are left out
    text: list[str]  # all words in order
    written: str  # the text as it is written


class Hit(NamedTuple):
    """What a row gives away of a held-out one."""

    id: str
    kind: str  # ``question`` (equal words) or ``text``
    value: float  # share of the held-out row that is copied; 1 for a question
    threshold: float


def stream(text: str) -> list[str]:
    """Return the words of a text as they survive re-wrapping.

    Without case, accents, punctuation and markup signs; words that a line break parted are whole
    again, and HTML's references are the signs they stand for.
    """
    if "&" in text:
        text = html.unescape(text)
    return words(_HYPHEN.sub("", _INVISIBLE.sub("", text)))


def row(identifier: str, split: str, questions: Iterable[str], text: str) -> Row:
    """Make a row of its questions and its whole text."""
    streams = (stream(question) for question in questions)
    asked = tuple(" ".join(one) for one in streams if len(one) >= FEWEST_QUESTION_WORDS)
    return Row(identifier, split, asked, stream(text), text)


class HeldOut:
    """An index of held-out rows by their questions, texts and n-grams."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self._questions: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        # Places of rows by the hash of the n-gram: what it finds is compared word by word.
        self._ngrams: dict[int, dict[int, list[int]]] = {
            width: defaultdict(list) for width in (LONG, SHORT)
        }
        for place, one in enumerate(rows):
            for question in one.questions:
                self._questions.setdefault(question, one.id)
            if one.text:
                self._texts.setdefault(" ".join(one.text), one.id)
            width = LONG if len(one.text) >= LONG else SHORT
            for ngram in set(_ngrams(one.text, width)):
                noted = self._ngrams[width][ngram]
                if len(noted) < MOST_ROWS:
                    noted.append(place)

    def hits(self, suspect: Row) -> Iterator[Hit]:
        """Yield what a row gives away."""
        for question in suspect.questions:
            asked = self._questions.get(question)
            if asked is not None:
                yield Hit(asked, "question", 1.0, 0.0)
        equal = self._texts.get(" ".join(suspect.text))
        if equal is not None:
            yield Hit(equal, "text", 1.0, MAX_COPIED)
            return
        common: Counter[int] = Counter()
        for width, index in self._ngrams.items():
            for ngram in _ngrams(suspect.text, width):
                common.update(index.get(ngram, ()))
        found = [(-count, self.rows[place]) for place, count in common.items()]
        for _, one in nsmallest(MOST_COMPARED, found):
            match = SequenceMatcher(None, suspect.text, one.text, autojunk=False)
            runs = (block.size for block in match.get_matching_blocks() if block.size >= RUN)
            copied = sum(runs) / len(one.text)
            if copied > MAX_COPIED:
                yield Hit(one.id, "text", copied, MAX_COPIED)


def _ngrams(text: Sequence[str], width: int) -> Iterator[int]:
    return map(hash, zip(*(text[offset:] for offset in range(width)), strict=False))


def prove(held_out: Sequence[Row], check: HeldOut) -> int:
    """Plant copies of held-out rows and return how many; TrainingError for one not found."""
    rows = sorted((one for one in held_out if one.text), key=lambda one: (len(one.text), one.id))
    step = max(1, -(-len(rows) // SAMPLE))
    sample = [*rows[::step], *rows[-1:]]
    planted = 0
    for one in sample:
        for name, copy in COPIES.items():
            text = copy(one.written)
            if name == "inside another text" and len(one.text) < SHORT:
                continue  # so few words stand in many a text
            planted += 1
            suspect = row("planted", "train", (), text)
            if not any(hit.kind == "text" and hit.value > 0.9 for hit in check.hits(suspect)):
                raise TrainingError(
                    f"leak check: a {name} copy of {one.id} was planted and not found; expected "
                    "each planted copy to be found; this is a bug, please report it with that row"
                )
    return planted


def rewrapped(text: str) -> str:
    """Return a text on short lines, words hyphenated at their ends, in capitals, without commas."""
    lines = textwrap.wrap(text, WIDTH, break_on_hyphens=False, break_long_words=False)
    parted = []
    for line in lines:
        first, _, last = line.rpartition(" ")
        middle = len(last) // 2
        # A word is parted as a typesetter does, inside a run of letters.
        if last.isalpha() and middle > 1:
            line = f"{first} {last[:middle]}-\n{last[middle:]}"
        parted.append(line)
    # Capitals, but for letters that are no longer the same in small ones.
    capitals = (
        sign.upper() if sign.upper().casefold() == sign.casefold() else sign
        for sign in "\n".join(parted)
    )
    return "".join(capitals).replace(", ", " -- ")


COPIES: dict[str, Callable[[str], str]] = {
    "verbatim": str,
    "re-wrapped": rewrapped,
    "inside another text": lambda text: BEFORE + rewrapped(text) + BEHIND,
}
