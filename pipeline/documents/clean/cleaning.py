"""The rules of cleaning, from which all about them is derived; :mod:`.profiles` has their limits.

A rule more is a function in :mod:`.quality.measures`, one in :mod:`.quality.evidence` that quotes
what breaks it, an entry of :data:`CLEANING`, and its limit in a profile.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from pipeline.documents.clean.quality import evidence, measures
from pipeline.documents.clean.quality.evidence import Evidence
from pipeline.documents.clean.quality.stats import TextStats

Measure = Callable[[TextStats], float | None]

LONGEST = 20_000_000
"""Characters: more is not even looked at, in any profile."""

TOO_SHORT = "too_short"
"""The rule that is asked before the language is looked at."""


@dataclass(frozen=True, slots=True)
class CleaningRule:
    """Why cleaning may drop a document."""

    name: str
    """The reason that the ledger gives."""
    meaning: str
    """The same, for a reader of the report."""
    measure: Measure | None = None
    """What a profile sets a limit to; None for a rule that holds in every profile."""
    evidence: Evidence | None = None
    """Returns the piece of a text that shows why the rule drops it; None where there is no text."""
    at_most: bool = True
    """Whether values above the limit break the rule, else those below."""


def _at_most(name: str, meaning: str, measure: Measure, evidence: Evidence) -> CleaningRule:
    return CleaningRule(name, meaning, measure, evidence)


def _at_least(name: str, meaning: str, measure: Measure, evidence: Evidence) -> CleaningRule:
    return CleaningRule(name, meaning, measure, evidence, at_most=False)


CLEANING = {
    rule.name: rule
    for rule in (
        CleaningRule("empty_after_cleaning", "nothing is left of it without its frame"),
        CleaningRule(
            "unknown_language", "no language is likely enough", evidence=evidence.language
        ),
        CleaningRule(
            "other_language", "it is in a language not asked for", evidence=evidence.language
        ),
        CleaningRule("clean_timeout", "cleaning it took too long"),
        CleaningRule("clean_out_of_memory", "cleaning it needs too much memory"),
        CleaningRule("clean_crashed", "cleaning it ended a worker"),
        _at_least(TOO_SHORT, "it says too little", measures.words, evidence.start),
        _at_most("too_long", "it is longer than any document", measures.all_words, evidence.start),
        _at_most(
            *("long_words", "much of it is encoded data"),
            *(measures.long_words, evidence.encoded),
        ),
        _at_most(
            *("mostly_links", "it is a site map, not a text"),
            *(measures.linked_words, evidence.links),
        ),
        _at_least(
            *("few_letters", "too many of its words have no letter"),
            *(measures.words_with_letter, evidence.words_without_letter),
        ),
        _at_least(
            *("short_words", "its words are too short"),
            *(measures.word_length, evidence.frequent_words),
        ),
        _at_most(
            *("mean_word_length", "its words are too long"),
            *(measures.word_length, evidence.longest_words),
        ),
        _at_most(
            *("broken_words", "its words are misread"),
            *(measures.broken_words, evidence.broken_words),
        ),
        _at_most(
            *("symbol_ratio", "too much of it is signs"),
            *(measures.signs, evidence.line_of_symbols),
        ),
        _at_most(
            *("hash_ratio", "it has too many hash signs", measures.hashes, evidence.line_of("#"))
        ),
        _at_most(
            *("ellipsis_ratio", "it has too many ellipses"),
            *(measures.ellipses, evidence.line_of("...", "\u2026")),
        ),
        _at_most("bullet_lines", "it is a list", measures.bullet_lines, evidence.bullets),
        _at_most(
            *("ellipsis_lines", "its lines are cut off"),
            *(measures.ellipsis_lines, evidence.cut_lines),
        ),
        _at_least(
            *("few_stop_words", "it is a list of names, not sentences"),
            *(measures.stop_words, evidence.start),
        ),
        _at_most(
            *("repeated_lines", "its lines repeat"),
            *(measures.repeated_lines, evidence.repeated_line),
        ),
        _at_most(
            *("repeated_line_chars", "its long lines repeat"),
            *(measures.repeated_line_characters, evidence.repeated_line_of_any_length),
        ),
        _at_most(
            *("repeated_paragraphs", "its paragraphs repeat"),
            *(measures.repeated_paragraphs, evidence.repeated_paragraph),
        ),
        _at_most(
            *("repeated_paragraph_chars", "its long paragraphs repeat"),
            *(measures.repeated_paragraph_characters, evidence.repeated_paragraph),
        ),
        *(
            _at_most(
                *(f"top_{size}gram", f"one phrase of {size} words fills it"),
                *(partial(measures.top_ngram, size=size), evidence.ngram_of(size)),
            )
            for size in (2, 3, 4)
        ),
        *(
            _at_most(
                *(f"repeated_{size}grams", f"phrases of {size} words repeat in it"),
                *(partial(measures.repeated_ngrams, size=size), evidence.ngram_of(size)),
            )
            for size in range(5, 11)
        ),
        _at_least("few_sentences", "it has few sentences", measures.sentences, evidence.start),
        _at_most(*("lorem_ipsum", "it is filler text", measures.lorem_ipsum, evidence.lorem_ipsum)),
        _at_most(
            *("curly_brackets", "there is code in its prose"),
            *(measures.curly_brackets, evidence.line_of("{")),
        ),
        _at_least(
            *("few_line_ends", "few lines end as sentences do"),
            *(measures.ended_lines, evidence.unended_lines),
        ),
        _at_most(
            *("short_lines", "too many of its lines are short"),
            *(measures.short_lines, evidence.short_lines),
        ),
        _at_most(
            *("line_breaks", "it has too many lines for its words"),
            *(measures.line_breaks, evidence.short_lines),
        ),
        _at_most(
            *("digit_ratio", "too much of it is digits"),
            *(measures.digits, evidence.line_of_digits),
        ),
        _at_most(
            *("address_ratio", "too much is web addresses"),
            *(measures.address_characters, evidence.addresses),
        ),
        _at_most(
            *("parenthesis_ratio", "it has too many brackets"),
            *(measures.parentheses, evidence.line_of(*measures.BRACKETS)),
        ),
        _at_most(
            *("top_10chars", "a few runs of 10 characters fill it"),
            *(partial(measures.top_characters, size=10), evidence.characters_of(10)),
        ),
        _at_most(
            *("repeated_20chars", "runs of 20 characters repeat in it"),
            *(partial(measures.repeated_characters, size=20), evidence.characters_of(20)),
        ),
    )
}
"""Name -> rule."""


class Rule(NamedTuple):
    """A rule as a profile has it: a measure of a text, and how far it may go."""

    name: str
    measure: Measure
    limit: float
    at_most: bool
    source: str
    """Whose number the limit is."""

    def breaks(self, value: float) -> bool:
        """Whether a value is on the wrong side; the limit itself is allowed."""
        return value > self.limit if self.at_most else value < self.limit


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
    """Return the first rule that a cleaned Markdown text breaks; see :func:`broken`."""
    return next(broken(text, rules, language), None)


def broken(text: str, rules: Sequence[Rule], language: str = "") -> Iterator[Verdict]:
    """Yield the rules that a cleaned Markdown text breaks, in their order.

    Args:
        text: Markdown; what is code in it is fenced.
        rules: Of a profile.
        language: ISO 639-1; empty: rules that need it say nothing.
    """
    stats = TextStats(text, language)
    for rule in rules:
        value = rule.measure(stats)
        if value is not None and rule.breaks(value):
            yield Verdict(rule.name, value, rule.limit)


def evidence_of(reason: str, text: str, language: str = "") -> str:
    """Return the piece of a cleaned text that shows why a rule drops it; empty without any."""
    shows = CLEANING[reason].evidence
    return shows(TextStats(text, language)) if shows else ""
