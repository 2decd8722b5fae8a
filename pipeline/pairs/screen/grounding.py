"""Rules on a grounded pair beside its chunk: what the response says must stand there."""

import re

from pipeline.pairs.screen.form import Candidate, Finding
from pipeline.settings import ScreenSettings
from pipeline.text.stop_words import QUESTION_WORDS, STOP_WORDS
from pipeline.text.words import contains, words

NUMBER_WORDS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
    "fifteen": "15", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50",
    "sixty": "60", "ninety": "90", "hundred": "100", "thousand": "1000",
    "first": "1st", "second": "2nd", "third": "3rd", "once": "1", "twice": "2",
}  # fmt: skip
"""A teacher may write digits where the chunk has words, and the other way round."""

UNCHECKED = frozenset({"zero", "one", "two", "first", "second", "third", "once", "twice"})
"""Words that a response uses without meaning a number of the chunk: "one of the two"."""

THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
QUOTED = re.compile(
    r"\"([^\"\n]+)\"|\u201c([^\u201d\n]+)\u201d|«([^»\n]+)»|\u2018([^\u2019\n]+)\u2019|`([^`\n]+)`"
)
"""Double, curly, pointed and code quotes; a straight single quote is an apostrophe too often."""

NAME = re.compile(r"[^\W_](?:[^\W_]|['\u2019-])*")
"""A word with its apostrophes and hyphens; one with a digit is a code and left to the numbers."""

LAYOUT = re.compile(r"^[ \t]*(?:\d{1,3}[.)][ \t]+|(?:```|~~~)[^\n]*)", re.MULTILINE)
"""The number of an item and the fence of a code block: nothing that the response says."""

OPENS = re.compile(r"(?:^|[.!?:;\n]|[-*•>|]\s)[\s\"'\u201c\u2018«`*_(\[#>|-]*$")
"""What stands before a word that is capitalised for being first, not for being a name."""

PLAIN_CAPITALS = frozenset({"i", "i'm", "i'll", "i've", "ok", "yes", "no"})
"""Capitalised anywhere without being a name."""


def unknown_chunk(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a pair whose chunk is not there, or has no split."""
    return None if pair.known else Finding("unknown_chunk", 0, 1)


def not_grounded_number(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a number, date or code of the response that is not in the chunk or the question."""
    source = f"{pair.source}\n{pair.instruction}"
    spelled = {word for word in words(source) if word in NUMBER_WORDS}
    known = _numbers(source)
    known |= spelled | {NUMBER_WORDS[word] for word in spelled}
    response = LAYOUT.sub("", pair.response)
    missing = _numbers(response) - known
    for word in set(words(response)) - spelled - UNCHECKED:
        if word in NUMBER_WORDS and NUMBER_WORDS[word] not in known:
            missing.add(word)
    return _missing("not_grounded_number", sorted(missing))


def not_grounded_quote(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a quoted span of the response that is not in the chunk or the question."""
    source, asked = words(pair.source), words(pair.instruction)
    spans = ["".join(groups) for groups in QUOTED.findall(pair.response)]
    missing = [
        span
        for span in spans
        if not (contains(source, words(span)) or contains(asked, words(span)))
    ]
    return _missing("not_grounded_quote", missing)


def not_grounded_name(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a capitalised word inside a sentence that is not in the chunk or the question."""
    known = {stem(word) for word in words(f"{pair.source}\n{pair.instruction}")}
    missing = [
        name
        for name in _names(LAYOUT.sub("", pair.response))
        if not {stem(word) for word in words(name)} <= known
    ]
    return _missing("not_grounded_name", missing)


def not_grounded(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a response of which too few content words occur in the chunk."""
    said = content(LAYOUT.sub("", pair.response))
    if not said:
        return None
    known = content(pair.source)
    recall = len(said & known) / len(said)
    if recall < settings.min_content_recall:
        unknown = " ".join(sorted(said - known))
        return Finding("not_grounded", recall, settings.min_content_recall, unknown)
    return None


def off_topic(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a question that shares no content word with its chunk: it cannot be answered."""
    asked = content(pair.instruction) - QUESTION_WORDS
    return None if asked & content(pair.source) else Finding("off_topic", 0, 1)


def question_does_not_help(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a question that makes its answer no likelier, where a weak teacher measured it."""
    if pair.score is not None and pair.score <= settings.min_score:
        return Finding("question_does_not_help", pair.score, settings.min_score)
    return None


def in_two_splits(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a pair whose evidence stands in sections of several splits."""
    return Finding("in_two_splits", pair.splits, 1, pair.evidence) if pair.splits > 1 else None


def content(text: str) -> set[str]:
    """Return the stems of the words of a text that are not stop words."""
    return {stem(word) for word in words(text) if word not in STOP_WORDS and len(word) > 1}


def stem(word: str) -> str:
    """Return a word without the commonest English endings: opens, opened and opening are one.

    Both sides of a comparison go through it, so that it need not give real words.
    """
    for ending in ("ing", "ies", "ied", "es", "ed", "ly", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and word.isalpha():
            word = word.removesuffix(ending)
            break
    # "stopped" and "stop"
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word.isalpha() else word


def _numbers(text: str) -> set[str]:
    """Return the words of a text that hold a digit, without thousands separators."""
    return {word for word in words(THOUSANDS.sub("", text)) if any(map(str.isdigit, word))}


def _names(text: str) -> list[str]:
    found = []
    for match in NAME.finditer(text):
        word = match.group().strip("'\u2019-")
        capitals = sum(map(str.isupper, word))
        first = bool(OPENS.search(text[max(0, match.start() - 12) : match.start()]))
        first = first or match.start() == 0
        if word.casefold() in PLAIN_CAPITALS or any(map(str.isdigit, word)):
            continue
        # WiFi and PIN are names wherever they stand.
        if capitals > 1 or (word[0].isupper() and not first):
            found.append(word)
    return found


def _missing(reason: str, missing: list[str]) -> Finding | None:
    return Finding(reason, len(missing), 0, ", ".join(missing)) if missing else None
