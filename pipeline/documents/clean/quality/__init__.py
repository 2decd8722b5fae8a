"""Quality rules: a profile is a table of rules, a rule a measure of the text against a limit."""

from pipeline.documents.clean.quality.judge import (
    LONGEST,
    TOO_SHORT,
    Verdict,
    broken,
    judge,
    too_long,
    too_short,
)
from pipeline.documents.clean.quality.profiles import PROFILES, Rule, rules_of

__all__ = [
    "LONGEST",
    "PROFILES",
    "TOO_SHORT",
    "Rule",
    "Verdict",
    "broken",
    "judge",
    "rules_of",
    "too_long",
    "too_short",
]
