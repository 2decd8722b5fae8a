"""Which rules a text breaks."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.documents.clean.quality.profiles import Rule
from pipeline.documents.clean.quality.stats import TextStats

LONGEST = 20_000_000
"""Characters: more is not even looked at, in any profile."""


TOO_SHORT = "too_short"
"""The rule that is asked before the language is looked at."""


class Verdict(NamedTuple):
    """The rule that a document broke."""

    reason: str
    value: float
    threshold: float


def too_long(text: str) -> Verdict | None:
    """Return ``too_long`` for more than :data:`LONGEST` characters, without looking further."""
    return Verdict("too_long", len(text), LONGEST) if len(text) > LONGEST else None


def too_short(text: str, rules: Sequence[Rule]) -> Verdict | None:
    """Return the verdict of the rule ``too_short``, when it is among the rules and broken."""
    return judge(text, [rule for rule in rules if rule.name == TOO_SHORT])


def judge(text: str, rules: Sequence[Rule], language: str = "") -> Verdict | None:
    """Return the first rule that a cleaned Markdown text breaks.

    Args:
        text: Markdown; what is code in it is fenced.
        rules: Of a profile, in the order in which they are asked.
        language: ISO 639-1; empty: rules that need it say nothing.
    """
    return next(_broken(text, rules, language), None)


def broken(text: str, rules: Sequence[Rule], language: str = "") -> list[Verdict]:
    """Return all rules that a text breaks, in their order; arguments as of :func:`judge`."""
    return list(_broken(text, rules, language))


def _broken(text: str, rules: Sequence[Rule], language: str) -> Iterator[Verdict]:
    stats = TextStats(text, language)
    for rule in rules:
        value = rule.measure(stats)
        if value is not None and rule.breaks(value):
            yield Verdict(rule.name, value, rule.limit)
