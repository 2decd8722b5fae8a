"""Rules on a grounded pair, claim by claim: each beside the part of the chunk that is most like it.

A claim and what it rests on have most words in common; where one of them is negated and the other
is not, or has "before" where the other has "after", the claim says the opposite.
"""

import re
from typing import NamedTuple

from pipeline.pairs.screen.candidate import Candidate, Finding
from pipeline.pairs.screen.form import refuses
from pipeline.settings import ScreenSettings
from pipeline.text.function_words import FunctionWords, content, function_words, opposed, poles
from pipeline.text.terms import folded

SENTENCE = re.compile(r"(?<=[.!?])\s+|[\n\u3002\uff01\uff1f\u061f\u0964]+")
CLAUSE = re.compile(r"[;:\uff1b\uff1a\u061b]\s")
PART = re.compile(r"[,;:\uff0c\uff1b\uff1a\u060c\u061b\u3001]\s*(?!\d)")
BOUNDS = re.compile(
    r"\b(?:no|not) (?:longer|more|less|later|earlier|fewer) than\b|\bnot only\b"
    r"|\bnicht (?:mehr|weniger|langer|spater|fruher) als\b|\bnicht nur\b"
    r"|\bpas (?:plus|moins) (?:de|d|tard|tot)\b|\bno (?:mas|menos) (?:de|tarde)\b"
    r"|\bnon (?:piu|meno) (?:di|tardi)\b|\bnao (?:mais|menos) (?:de|do)\b"
    r"|\bniet (?:meer|minder|langer|later) dan\b"
    "|\\bне (?:более|менее|больше|меньше|позже|позднее|ранее|раньше|только)\\b"  # noqa: RUF001
)
"""Negations that negate nothing, in folded text."""
MIN_COVERAGE = 0.6
"""Share of a claim's words in what it rests on, of a question's in a sentence that answers it."""
MIN_ANSWERED = 0.9  # the same of a question that is answered by yes or no


class Part(NamedTuple):
    """A sentence, clause or part of one."""

    words: frozenset[str]
    negative: bool
    neutral: bool
    poles: frozenset[tuple[str, str]]

    def agrees(self, other: "Part") -> bool:
        """Tell whether this part does not say the opposite of another: "not before", "after"."""
        if self.neutral or other.neutral:
            return True
        return (self.negative == other.negative) != opposed(self.poles, other.poles)


def contradicts(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a claim that the chunk negates, or one that negates what the chunk says."""
    known = pair.words
    # Fragments that answer a negated question ("What is not allowed?") cannot be told.
    if known.negative.search(BOUNDS.sub(" ", folded(pair.instruction))):
        return None
    parts = [
        [_part(text, pair) for text in _units(sentence, known)]
        for sentence in SENTENCE.split(folded(pair.source))
    ]
    response = folded(pair.claims)
    answer = known.yes_no.match(response)
    if answer:
        response = response[answer.end() :]
        asked = _part(pair.instruction, pair)
        yes = asked._replace(negative=bool(answer["no"]))
        coverage = _opposed(yes, parts)
        if coverage >= MIN_ANSWERED:
            return Finding("contradicts_source", coverage, MIN_ANSWERED, pair.instruction)
    for sentence in SENTENCE.split(response):
        whole = _part(sentence, pair)
        for text in PART.split(sentence):
            claim = _part(text, pair)
            # "Not locked, so it stops": what is negated may be the condition.
            coverage = 0.0 if whole.negative and not claim.negative else _opposed(claim, parts)
            if coverage >= MIN_COVERAGE:
                return Finding("contradicts_source", coverage, MIN_COVERAGE, text.strip())
    return None


def _opposed(claim: Part, sentences: list[list[Part]]) -> float:
    """Return the share of a claim's words in the part most like it, if that says the opposite."""
    if len(claim.words) < 2:
        return 0.0
    best, agrees = 0, True
    for parts in sentences:
        part = max(parts, key=lambda part: (len(claim.words & part.words), -len(part.words)))
        alike = len(claim.words & part.words), claim.agrees(part)
        best, agrees = max((best, agrees), alike)
    return 0.0 if agrees else best / len(claim.words)


def abstains_wrongly(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject an abstention where a sentence has the question's words, or an answer in its place."""
    said, known = folded(pair.response), pair.words
    told = content(said, pair.language) & content(pair.instruction, pair.language)
    # A refusal negates something, or does not speak of what was asked.
    negates = known.negative.search(said) or refuses(said, pair.language)
    if not negates and (told or known.yes_no.match(said)):
        return Finding("answers_anyway", len(told), 0, " ".join(sorted(told)))
    title, *sentences = SENTENCE.split(pair.source)
    asked = content(pair.instruction, pair.language) - content(title, pair.language)
    shared = (len(asked & content(sentence, pair.language)) for sentence in sentences)
    share = max(shared, default=0) / max(1, len(asked))
    return Finding("abstains_wrongly", share, MIN_COVERAGE) if share >= MIN_COVERAGE else None


def unsupported_claim(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject what a judge finds wrong claim by claim (:mod:`.judge`), once people agree with it."""
    faults = pair.faults
    return Finding("unsupported_claim", len(faults), 0, faults[0]) if faults else None


def _units(sentence: str, known: FunctionWords) -> set[str]:
    splits = (pattern.split(sentence) for pattern in (CLAUSE, PART, known.joint))
    return {sentence}.union(*splits)


def _part(text: str, pair: Candidate) -> Part:
    plain, known = BOUNDS.sub(" ", folded(text)), pair.words
    sides = poles(text, pair.language)
    words = content(known.opposites.sub(" ", known.negative.sub(" ", plain)), pair.language)
    words = words.union(pair for pair, _ in sides if " " not in pair)
    negative, neutral = (bool(each.search(plain)) for each in (known.negative, known.neutral))
    return Part(words, negative, neutral, sides)


def opposes(answer: str, reference: str, language: str) -> bool:
    """Tell whether a clause of an answer says the opposite of the reference's clause like it."""
    if poles(answer, language) >= poles(reference, language):
        return False
    told = [clause for clause in _clauses(reference, language) if clause[0]]
    for said, words in _clauses(answer, language):
        alike = [
            (len(words & wanted), not opposed(said, right))
            for right, wanted in told
            if words & wanted or not words or not wanted  # else they are of other things
        ]
        if alike and not max(alike)[1]:
            return True
    return False


def _clauses(text: str, language: str) -> list[tuple[frozenset[tuple[str, str]], frozenset[str]]]:
    """Return of each clause the words that have an opposite, and the others."""
    known = function_words(language)
    return [
        (poles(clause, language), content(known.opposites.sub(" ", clause), language))
        for sentence in SENTENCE.split(folded(text))
        for part in PART.split(sentence)
        for clause in known.joint.split(part)
    ]
