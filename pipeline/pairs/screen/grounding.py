"""Rules on a grounded pair beside its chunk: what the response says must stand there."""

import re
from collections import defaultdict
from itertools import pairwise
from unicodedata import numeric

from pipeline.pairs.screen.candidate import Candidate, Finding
from pipeline.settings import ScreenSettings
from pipeline.text.fences import prose_of
from pipeline.text.function_words import content, function_words
from pipeline.text.quantities import THOUSANDS, misstated, restated
from pipeline.text.terms import folded, stem, terms
from pipeline.text.words import UNSPACED, contains, words

HAN_NUMBER = re.compile(
    "[\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341\u767e\u5343\u4e07\u4e24\u96f6\u3007]+"
)
HAN_ONE = re.compile("一[般些定起样旦直下切致并律部覧緒様]|[统唯同統]一")
"""Chinese and Japanese words with a one that counts nothing: "in general", "the same"."""
UNCHECKED = frozenset({"1", "2"})
"""What a response says in words without meaning a number of the chunk: "one of the two"."""
QUOTED = re.compile(
    r"\"([^\"\n]+)\"|\u201c([^\u201d\n]+)\u201d|«([^»\n]+)»|\u2018([^\u2019\n]+)\u2019|`([^`\n]+)`"
)
"""Double, curly, pointed and code quotes; a straight single quote is an apostrophe too often."""
_LETTER = rf"(?:(?!{UNSPACED.pattern})[^\W_])"
NAME = re.compile(rf"{_LETTER}(?:{_LETTER}|['\u2019-])*")
"""A word with its apostrophes and hyphens; one with a digit is a code and left to the numbers."""
OPENS = re.compile(r"(?:^|[.!?:;\n]|[-*•>|]\s)[\s\"'\u201c\u2018«`*_(\[#>|-]*$")
"""What stands before a word that is capitalised for being first, not for being a name."""
SENTENCE_PART = re.compile(r"[.,;:!?()](?:\s|$)|\n")
LEAD = re.compile(r"^[^\n]*:[ \t]*$", re.MULTILINE)
"""The line above a list: "The page shows the following information:"."""
CAPITAL_NOUNS = ("de", "lb")  # languages whose nouns all have a capital
PLAIN_CAPITALS = frozenset({"i", "i'm", "i'll", "i've", "ok", "yes", "no"})
"""Capitalised anywhere without being a name."""


def unknown_chunk(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a pair whose chunk is not there, or has no split."""
    return None if pair.known else Finding("unknown_chunk", 0, 1)


def not_grounded_number(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a number or code that neither chunk nor question has, or has of other things alone."""
    there = f"{pair.source}\n{pair.asked}"
    claims = restated(pair.claims, there, pair.language)
    known: dict[str, set[str]] = defaultdict(set)
    for _, number, thing in stated_numbers(there, pair.language):
        known[number].add(thing)
        if "." in number:
            known[number.rstrip("0").rstrip(".")].add(thing)
    things = set().union(*known.values()) - {""}
    missing = misstated(claims, there, pair.language)
    for word, number, thing in stated_numbers(claims, pair.language):
        if number in UNCHECKED and not word[0].isdecimal():
            continue
        if number not in known:
            missing.append(word)
        elif thing in things and not known[number] & {thing, ""}:
            missing.append(f"{word} {thing}")
    return _missing("not_grounded_number", sorted(set(missing)))


def not_grounded_quote(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a quoted span of the response that is not in the chunk or the question."""
    known = words(pair.source), words(pair.asked)
    spans = ["".join(groups) for groups in QUOTED.findall(pair.claims)]
    missing = [span for span in spans if not any(contains(text, words(span)) for text in known)]
    return _missing("not_grounded_quote", missing)


def not_grounded_name(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a capitalised word inside a sentence that is not in the chunk or the question."""
    if pair.language in CAPITAL_NOUNS:
        return None
    known = {stem(term, pair.language) for term in terms(f"{pair.source}\n{pair.asked}")}
    missing = [
        name
        for name in stated_names(prose_of(pair.claims))
        if not {stem(term, pair.language) for term in terms(name)} <= known
    ]
    return _missing("not_grounded_name", missing)


def not_grounded(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a response of whose new words too few are in the chunk; numbers are left out."""
    told = content(LEAD.sub("", pair.claims), pair.language) - content(pair.asked, pair.language)
    known = content(pair.source, pair.language)
    told -= {word for word in told - known if word[:1].isdigit()}
    if not told:
        return None
    recall = len(told & known) / len(told)
    least = settings.min_content_recall
    if all(map(UNSPACED.match, told)):
        least = (1 + least) / 2  # signs are in more texts than words are
    detail = " ".join(sorted(told - known))
    return Finding("not_grounded", recall, least, detail) if recall < least else None


def off_topic(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a question that shares no content word with its chunk: it cannot be answered."""
    asked = content(pair.instruction, pair.language)
    known = content(pair.source, pair.language)
    return None if asked & known else Finding("off_topic", 0, 1)


def question_does_not_help(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a question that makes its answer no likelier, where a weak teacher measured it."""
    if pair.score is not None and pair.score <= settings.min_score:
        return Finding("question_does_not_help", pair.score, settings.min_score)
    return None


def in_two_splits(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a pair whose evidence stands in sections of several splits."""
    return Finding("in_two_splits", pair.splits, 1, pair.evidence) if pair.splits > 1 else None


def stated_numbers(text: str, language: str) -> list[tuple[str, str, str]]:
    """Return numbers and codes: as written, in digits, the stem of the word behind or ''."""

    def form(word: str) -> str:
        # An English number has one form, and "eighty" would become "eight".
        return word if language == "en" else stem(word, language)

    digits = {form(word): number for word, number in function_words(language).numbers.items()}
    han = HAN_NUMBER.findall(HAN_ONE.sub("", text))
    found = [(number, _han_value(number), "") for number in han]
    for part in SENTENCE_PART.split(folded(THOUSANDS.sub("", text))):
        for term, behind in pairwise([*terms(part), ""]):
            number = digits.get(form(term), "")
            if any(map(str.isdigit, term)):
                number = term.replace(",", ".").lstrip("0") or "0"  # 07:30 is 7:30
            thing = stem(behind, language) if content(behind, language) else ""
            found += [(term, number, thing)] if number else []
    return found


def _han_value(number: str) -> str:
    total = below = digit = 0
    for value in (int(numeric(sign, 2)) for sign in number):  # one sign for two has no number
        if value == 10_000:
            total, below, digit = (total + below + digit) * value, 0, 0
        elif value >= 10:
            below, digit = below + (digit or 1) * value, 0
        else:
            digit = digit * 10 + value
    return str(total + below + digit)


def stated_names(text: str) -> list[str]:
    """Return the words of a text that have a capital without being the first of a sentence."""
    found = []
    for match in NAME.finditer(text):
        word = match.group().strip("'\u2019-")
        if word.casefold() in PLAIN_CAPITALS or any(map(str.isdigit, word)):
            continue
        first = OPENS.search(text[max(0, match.start() - 12) : match.start()])
        # WiFi and PIN are names wherever they stand.
        if sum(map(str.isupper, word)) > 1 or (word[0].isupper() and not first):
            found.append(word)
    return found


def _missing(reason: str, missing: list[str]) -> Finding | None:
    return Finding(reason, len(missing), 0, ", ".join(missing)) if missing else None
