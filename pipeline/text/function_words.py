"""Function words by language: what the rules on a pair must know of the language it is in.

They are in ``function_words.toml``: no library that works offline has negations, number words and
refusals beside stop words. Of a language that is not there nothing is known, and rules that need a
word of it let its pairs pass.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from pipeline.text.language import identify
from pipeline.text.terms import folded, stem, terms

VALUES = [*map(str, range(1, 21)), *map(str, range(30, 100, 10)), "100", "1000"]
"""What the number words of a language stand for, in their order."""

SAY_NOTHING = ("links", "stop", "joints", "yes", "no", "questions")

HIRAGANA = re.compile("[\u3040-\u309f]")
"""Japanese: endings and particles are written in it, what they belong to in Han and katakana."""


@dataclass(frozen=True, slots=True)
class FunctionWords:
    """What is known of a language: terms, and patterns for folded text."""

    links: frozenset[str]
    """Articles, prepositions, conjunctions: something must follow."""
    stop: frozenset[str]
    """All words that say nothing of a subject."""
    questions: frozenset[str]
    asking: re.Pattern[str]
    """A question word, or a verb with which a request begins."""
    joint: re.Pattern[str]
    """A conjunction between parts of a sentence."""
    choice: re.Pattern[str]
    """A question that offers its answers: "..., this one or that?"."""
    several: re.Pattern[str]
    """A second question within one: "..., and which"."""
    negative: re.Pattern[str]
    yes_no: re.Pattern[str]
    """A yes or no that begins an answer; ``no`` is the latter."""
    neutral: re.Pattern[str]
    """Words beside which a negation cannot be told from none: unless, without."""
    numbers: dict[str, str]
    """Number word -> digits."""
    declines: re.Pattern[str]
    """An answer that refuses a task."""
    abstains: re.Pattern[str]
    """An answer that says that the text does not say it."""


def _entry(words: dict[str, str]) -> FunctionWords:
    found = {key: folded(text).replace("\n", "") for key, text in words.items()}
    lists = {key: folded(text).split() for key, text in words.items()}
    # A script without spaces has no bounds of words.
    bound = r"\b" if "joints" in lists else ""

    def pattern(*keys: str) -> re.Pattern[str]:
        choice = "|".join(word for key in keys for word in lists.get(key, ()))
        return re.compile(f"{bound}(?:{choice}){bound}" if choice else "(?!)")

    questions, links = "|".join(lists["questions"]), "|".join(lists["links"])
    joints = "|".join(lists.get("joints", ()))
    several = rf"(?<=\W)(?:{joints}),? (?:(?:{links}) )?(?:{questions})\b" if joints else "(?!)"
    said = [word for key in SAY_NOTHING for word in lists.get(key, ())]
    return FunctionWords(
        links=frozenset(lists["links"]),
        stop=frozenset(term for word in said for term in terms(word)),
        questions=frozenset(lists["questions"]),
        asking=pattern("questions", "requests"),
        joint=pattern("joints"),
        choice=pattern("choice"),
        several=re.compile(found.get("several", several)),
        negative=re.compile(f"{bound}(?:{found['negative']}){bound}"),
        yes_no=re.compile(
            rf"\W*(?:(?:{'|'.join(lists['yes'])})|(?P<no>{'|'.join(lists['no'])}))(?!\w)"
        ),
        neutral=pattern("neutral"),
        numbers=dict(zip(lists.get("ordinals", ()), VALUES, strict=False))
        | dict(zip(lists.get("numbers", ()), VALUES, strict=False)),
        declines=re.compile(found.get("declines", "(?!)")),
        abstains=re.compile(found["abstains"]),
    )


@cache
def _languages() -> dict[str, FunctionWords]:
    text = Path(__file__).with_suffix(".toml").read_text("utf-8")
    return {code: _entry(words) for code, words in tomllib.loads(text).items()}


NOTHING = {
    "links": "",
    "questions": "",
    "negative": "(?!)",
    "yes": "",
    "no": "",
    "abstains": "(?!)",
}


@cache
def function_words(language: str) -> FunctionWords:
    """Return what is known of a language (ISO 639-1)."""
    return _languages().get(language) or _entry(NOTHING)


@lru_cache(4096)
def language_of(text: str) -> str:
    """Return the language of a text; those that have function words are likelier."""
    return identify(text, tuple(_languages())).code


def content(text: str, language: str = "en") -> set[str]:
    """Return the stems of the terms of a text that say something of its subject."""
    stop = function_words(language).stop
    return {
        stem(term, language)
        for term in terms(text)
        if term not in stop and (len(term) > 1 or not term.isascii()) and not HIRAGANA.match(term)
    }
