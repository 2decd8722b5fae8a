"""Correctness of an answer: how much of what its reference says it says, and nothing against it.

Key facts are what a reference says beyond its question: numbers with what they are of, names,
identifiers, and content words. Nugget recall (Voorhees 2003) by words instead of by people; a
paraphrase without a word in common is missed.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from pipeline.evaluate.measures.metrics import token_f1, withholds
from pipeline.pairs.screen.candidate import LAYOUT, Candidate
from pipeline.pairs.screen.claims import BOUNDS, contradicts, opposes
from pipeline.pairs.screen.grounding import (
    CAPITAL_NOUNS,
    not_grounded_name,
    not_grounded_number,
    stated_names,
    stated_numbers,
)
from pipeline.settings import ScreenSettings
from pipeline.text.fences import prose_of
from pipeline.text.function_words import content, function_words, language_of
from pipeline.text.quantities import misstated, quantities, restated
from pipeline.text.terms import folded, stem, terms

RIGHT = 0.5  # correctness from which an answer counts as right
TO_THE_POINT = 0.8  # share of what an answer adds to its question that its reference has
AGAINST = (not_grounded_number, not_grounded_name, contradicts)
"""What makes an answer wrong whatever else it says: a number or name that neither reference nor
source nor question has, or a claim that they negate. Without a source the last of them alone."""

IDENTIFIER = re.compile(
    r"(?<![\w/.-])(?:(?:~|[A-Za-z]:)?(?:[/\\][\w.~-]*\w)+|--?[a-z][\w-]+|_*[^\W_]+(?:_+[^\W_]+)+"
    r"|[\w-]+(?:\.[\w-]+)*\.[a-z]\w{1,4}|[a-z]+(?:[A-Z][a-z0-9]+)+)(?![\w/-])"
)
"""A path, an option, a name of a program or file: right to the letter."""

_STEP = re.compile(r"^[ \t]*\d{1,3}[.)][ \t]+(.+)$", re.MULTILINE)


def correctness(
    answer: str, reference: str, question: str, source: str, settings: ScreenSettings
) -> float:
    """Return the share of the reference's key facts that an answer states, in 0..1.

    The lowest of four recalls counts: of content words, of numbers, of names, and of code to the
    letter. Numbered steps count as far as they are in order, quantities by what they measure: two
    weeks are 14 days, 5 s are not 5 ms. 0 for an answer that declines where its reference does not
    (1 where both do), that says no for yes or "before" for "after", or against which
    :data:`AGAINST` speaks. A yes or no that agrees is half of it, and so is a number of the
    reference in an answer that says little else. JSON is compared field by field. ``source`` is the
    passage behind the reference, or "".
    """
    if withholds(reference) or withholds(answer):
        return float(withholds(reference) == withholds(answer))
    fields = _fields(reference)
    if fields is not None:
        written = _fields(answer) or {}
        equal = sum(bool(written.get(path) == value) for path, value in fields.items())
        return equal / max(1, len(fields | written))
    language = language_of(source or f"{question}\n{reference}")
    signs = [function_words(language).yes_no.match(folded(text)) for text in (answer, reference)]
    agree = len({bool(sign["no"]) for sign in signs if sign}) < 2
    known = "\n".join((reference, source, question))
    answer = restated(answer, known, language)
    judged = Candidate(question, answer, grounded=True, source=f"{reference}\n{source}")
    against = AGAINST if source else (contradicts,)  # an open task may name what it likes
    if (
        not agree
        or opposes(answer, reference, language)
        or _other_quantity(answer, reference, known, language)
        or any(rule(judged, settings) for rule in against)
    ):
        return 0.0
    asked = _facts(question, language)
    facts, said = _facts(reference, language) - asked, _facts(answer, language) - asked
    if not facts:
        return token_f1(answer, reference)
    if _denies(answer, reference, question, language):
        return 0.0
    numbers = _numbers(reference, language) - _numbers(question, language)
    told = _numbers(answer, language)
    names = _names(reference, language) - _names(question, language)
    words = {stem(term, language) for term in terms(answer)}
    code = {span for span in _code(reference) if span not in _plain(question)}
    spelt = {span for span in code if span in _plain(answer)}
    recall = min(
        len(wanted & found) / len(wanted)
        for wanted, found in ((facts, said), (numbers, told), (names, words), (code, spelt))
        if wanted
    )
    short = numbers & told and len(said & facts) >= TO_THE_POINT * len(said)
    if all(signs) or short:
        recall = (1 + recall) / 2
    return recall * _in_order(_STEP.findall(reference), answer, language)


def _facts(text: str, language: str) -> frozenset[str]:
    """Return content words and numbers; of the former those of one letter are none."""
    return content(text, language) | _numbers(text, language)


def _numbers(text: str, language: str) -> frozenset[str]:
    """Return the numbers and codes of a text, in digits, but for those of list items."""
    found = stated_numbers(LAYOUT.sub("", text), language)
    return frozenset(number for _, number, _ in found)


def _other_quantity(answer: str, reference: str, known: str, language: str) -> bool:
    """Whether an answer has another quantity in place of one that its reference states."""
    stated, told = (
        {(each.kind, each.value) for each in quantities(text, language)}
        for text in (reference, answer)
    )
    other = set(misstated(answer, reference, language)) & set(misstated(answer, known, language))
    return bool(stated - told and other)


def _denies(answer: str, reference: str, question: str, language: str) -> bool:
    """Whether an answer is its reference negated, though it has no verb: "not the fitter"."""
    known = function_words(language)
    rest = known.negative.sub(" ", folded(answer))
    if not content(rest, language) <= content(f"{reference}\n{question}", language):
        return False

    def negative(text: str) -> bool:
        plain = BOUNDS.sub(" ", folded(text))
        said_no = known.yes_no.match(plain)
        return bool(known.negative.search(plain) or (said_no and said_no["no"]))

    return negative(answer) and not negative(reference) and not negative(question)


def _names(text: str, language: str) -> frozenset[str]:
    found = [] if language in CAPITAL_NOUNS else stated_names(prose_of(text))
    return frozenset(stem(term, language) for name in found for term in terms(name))


def _code(text: str) -> set[str]:
    """Return the code spans, lines of code, paths and other identifiers of a text."""
    lines = [
        line
        for body in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S)
        for line in body.splitlines()
    ]
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    named = IDENTIFIER.findall(re.sub(r"https?://\S+|`[^`\n]*`", " ", prose_of(text)))
    return {_plain(span) for span in [*lines, *spans, *named]} - {""}


def _plain(text: str) -> str:
    return " ".join(text.split())


def _in_order(steps: Sequence[str], answer: str, language: str) -> float:
    """Return the share of steps that an answer has in their order; 1.0 for fewer than two."""
    lines = [content(line, language) for line in re.split(r"\n+|(?<=[.!?;])\s", answer)]
    wanted = [content(step, language) for step in steps]
    if len(wanted) < 2 or not lines or not all(wanted):
        return 1.0
    at = [max(range(len(lines)), key=lambda i: len(lines[i] & step)) for step in wanted]
    longest: list[int] = []
    for step, place in enumerate(at):
        before = (longest[i] for i in range(step) if at[i] <= place)
        longest.append(1 + max(before, default=0))
    return max(longest) / len(wanted)


def _fields(text: str) -> dict[str, Any] | None:
    """Return the values of JSON data by their path; None for a text that is none."""
    body = re.sub(r"^\s*```\w*\s*|\s*```\s*$", "", text).strip()
    try:
        data = json.loads(body) if body[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        return None
    return None if data is None else dict(_leaves(data, ""))


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in _leaves(value[key], f"{path}/{key}")]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in _leaves(item, f"{path}/{i}")]
    return [(path, folded(value).strip() if isinstance(value, str) else value)]
