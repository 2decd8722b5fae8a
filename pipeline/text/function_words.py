"""Function words by language: what the rules on a pair must know of the language it is in.

They are in ``function_words.toml``, where each key is explained: no library that works offline has
negations, number words and refusals. Rules let pairs of a language that is not there pass.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from pipeline.text.language import identify
from pipeline.text.terms import folded, stem, terms

VALUES = [*map(str, range(1, 21)), *map(str, range(30, 100, 10)), "100", "1000"]
"""What the number words of a language stand for, in their order."""
SAY_NOTHING = ("links", "stop", "more_stop", "joints", "yes", "no", "questions")
BEHIND = 5
"""Words behind a relation that may be what it is to: "before the end of the month"."""
HIRAGANA = re.compile("[\u3040-\u309f]")
"""Japanese: endings and particles are written in it, what they belong to in Han and katakana."""


class FunctionWords:
    """What the file says of a language: sets of terms, and patterns for folded text."""

    def __init__(self, written: Mapping[str, str]) -> None:
        found = {key: folded(text) for key, text in written.items()}
        lists = {key: text.split() for key, text in found.items()}
        # A script without spaces has no bounds of words.
        bound = r"\b" if "joints" in lists else ""

        def any_of(*keys: str) -> str:
            return "|".join(word for key in keys for word in lists.get(key, ())) or "(?!)"

        def words(*keys: str) -> re.Pattern[str]:
            return re.compile(f"{bound}(?:{any_of(*keys)}){bound}")

        def pattern(key: str, without: str = "(?!)") -> re.Pattern[str]:
            return re.compile(found.get(key, without).replace("\n", ""))

        second = (any_of("joints"), any_of("links"), any_of("questions"))
        values = (zip(lists.get(key, ()), VALUES, strict=False) for key in ("ordinals", "numbers"))
        silent = " ".join(word for key in SAY_NOTHING for word in lists.get(key, ()))
        self.links = frozenset(lists.get("links", ()))
        self.stop = frozenset(terms(silent))
        """All words that say nothing of a subject."""
        self.common_stop = frozenset(lists.get("stop", ()))
        """The commonest of them, question words apart."""
        self.questions = frozenset(lists.get("questions", ()))
        self.numbers = {word: digits for pairs in values for word, digits in pairs}
        """Number word -> digits."""
        self.joint = words("joints")
        self.choice = words("choice")
        self.neutral = words("neutral")
        self.asking = words("questions", "requests")
        """A question word, or a word of a request."""
        self.several = pattern("several", r"(?<=\W)(?:{}),? (?:(?:{}) )?(?:{})\b".format(*second))
        self.negative = re.compile(f"{bound}(?:{pattern('negative').pattern}){bound}")
        self.yes_no = re.compile(rf"\W*(?:(?:{any_of('yes')})|(?P<no>{any_of('no')}))(?!\w)")
        """A yes or no that begins an answer; ``no`` is the latter."""
        self.declines = pattern("declines")
        self.abstains = pattern("abstains")
        self.refers = pattern("refers")
        self.orders = pattern("orders")
        self.opposites = re.compile(f"{bound}(?:{_opposites(found)}){bound}")
        """Words that have an opposite; the group says which, see :func:`poles`."""


def _opposites(found: dict[str, str]) -> str:
    """Return the words of both sides of each pair, each side in a group with a name of its own."""
    groups = []
    for key in ("opposites", "relations"):
        for number, line in enumerate(found.get(key, "").strip().splitlines()):
            sides = zip("ab", line.split(" / "), strict=True)
            groups += [f"(?P<{key}{number}{side}>{words})" for side, words in sides]
    return "|".join(groups) or "(?!)"


@cache
def _languages() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


@cache
def function_words(language: str) -> FunctionWords:
    """Return what is known of a language (ISO 639-1)."""
    return FunctionWords(_languages().get(language, {}))


@lru_cache(4096)
def language_of(text: str) -> str:
    """Return the language of a text; those that have function words are likelier."""
    return identify(text, tuple(_languages())).code


@lru_cache(8192)
def content(text: str, language: str = "en") -> frozenset[str]:
    """Return the stems of the terms of a text that say something of its subject."""
    stop = function_words(language).stop
    return frozenset(
        stem(term, language)
        for term in terms(text)
        if term not in stop and (len(term) > 1 or not term.isascii()) and not HIRAGANA.match(term)
    )


@lru_cache(8192)
def poles(text: str, language: str) -> frozenset[tuple[str, str]]:
    """Return the words of a text that have an opposite: what the pair is of, and which side."""
    # A relation is one of each word behind it: "before A" is opposed by "after A", not "after B".
    known, text = function_words(language), folded(text)
    found: set[tuple[str, str]] = set()
    for match in known.opposites.finditer(text):
        pair, side = str(match.lastgroup)[:-1], str(match.lastgroup)[-1]
        if pair.startswith("relations"):
            behind = [content(term, language) for term in terms(text[match.end() :])[:BEHIND]]
            found |= {(f"{pair} {word}", side) for words in behind for word in words}
        else:
            found.add((pair, side))
    return frozenset(found)


def opposed(one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> bool:
    """Tell whether two texts, by their :func:`poles`, have one side each of a pair."""
    flipped = [{(pair, "ab".strip(side)) for pair, side in words} for words in (one, other)]
    return bool((one & flipped[1]) - other - flipped[0])
