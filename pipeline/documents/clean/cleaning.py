"""The rules of cleaning and their profiles, from which all else about them is derived.

The published numbers were made for web pages: Gopher (Rae et al. 2021, table A1), C4 (Raffel et
al. 2020), FineWeb (Penedo et al. 2024). They reject manuals for their braces, bullets and tables
and short answers for being short, so there are other profiles beside ``web``.

A rule more is a function in :mod:`.quality.measures`, an entry of :data:`CLEANING`, and its limit
in a profile.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import NamedTuple

from pipeline.documents.clean.quality import measures
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
    at_most: bool = True
    """Whether values above the limit break the rule, else those below."""


CLEANING = {
    rule.name: rule
    for rule in (
        CleaningRule("empty_after_cleaning", "nothing is left of it without its frame"),
        CleaningRule("unknown_language", "no language is likely enough"),
        CleaningRule("other_language", "it is in a language that is not asked for"),
        CleaningRule("clean_timeout", "cleaning it took too long"),
        CleaningRule("clean_out_of_memory", "cleaning it needs too much memory"),
        CleaningRule("clean_crashed", "cleaning it ended a worker"),
        CleaningRule(TOO_SHORT, "it says too little", measures.words, at_most=False),
        CleaningRule("too_long", "it is longer than any document", measures.all_words),
        CleaningRule("long_words", "much of it is encoded data", measures.long_words),
        CleaningRule("mostly_links", "it is a site map, not a text", measures.linked_words),
        CleaningRule(
            *("few_letters", "too many of its words have no letter", measures.words_with_letter),
            at_most=False,
        ),
        CleaningRule("short_words", "its words are too short", measures.word_length, at_most=False),
        CleaningRule("mean_word_length", "its words are too long", measures.word_length),
        CleaningRule("symbol_ratio", "too much of it is symbols", measures.odd_characters),
        CleaningRule("hash_ratio", "it has too many hash signs", measures.hashes),
        CleaningRule("ellipsis_ratio", "it has too many ellipses", measures.ellipses),
        CleaningRule("bullet_lines", "it is a list", measures.bullet_lines),
        CleaningRule("ellipsis_lines", "its lines are cut off", measures.ellipsis_lines),
        CleaningRule(
            *("few_stop_words", "it is a list of names, not sentences", measures.stop_words),
            at_most=False,
        ),
        CleaningRule("repeated_lines", "its lines repeat", measures.repeated_lines),
        CleaningRule(
            "repeated_line_chars", "its long lines repeat", measures.repeated_line_characters
        ),
        CleaningRule("repeated_paragraphs", "its paragraphs repeat", measures.repeated_paragraphs),
        CleaningRule(
            *("repeated_paragraph_chars", "its long paragraphs repeat"),
            measures.repeated_paragraph_characters,
        ),
        *(
            CleaningRule(
                *(f"top_{size}gram", f"one phrase of {size} words fills it"),
                partial(measures.top_ngram, size=size),
            )
            for size in (2, 3, 4)
        ),
        *(
            CleaningRule(
                *(f"repeated_{size}grams", f"phrases of {size} words repeat in it"),
                partial(measures.repeated_ngrams, size=size),
            )
            for size in range(5, 11)
        ),
        CleaningRule("few_sentences", "it has few sentences", measures.sentences, at_most=False),
        CleaningRule("lorem_ipsum", "it is filler text", measures.lorem_ipsum),
        CleaningRule("curly_brackets", "there is code in its prose", measures.curly_brackets),
        CleaningRule(
            "few_line_ends", "few lines end as sentences do", measures.ended_lines, at_most=False
        ),
        CleaningRule("short_lines", "too many of its lines are short", measures.short_lines),
        CleaningRule("line_breaks", "it has too many lines for its words", measures.line_breaks),
        CleaningRule("digit_ratio", "too much of it is digits", measures.digits),
        CleaningRule("address_ratio", "too much is web addresses", measures.address_characters),
        CleaningRule("parenthesis_ratio", "it has too many brackets", measures.parentheses),
        CleaningRule(
            *("top_10chars", "a few runs of 10 characters fill it"),
            partial(measures.top_characters, size=10),
        ),
        CleaningRule(
            *("repeated_20chars", "runs of 20 characters repeat in it"),
            partial(measures.repeated_characters, size=20),
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


def _limits(source: str, **limits: float) -> Iterator[Rule]:
    for name, limit in limits.items():
        rule = CLEANING[name]
        assert rule.measure
        yield Rule(name, rule.measure, limit, rule.at_most, source)


_OWN = (
    *_limits("own: a bound; Gopher's 100,000 is a book", too_long=1_000_000),
    *_limits("own: encoded data, after C4's long words", long_words=0.2),
    *_limits("own: a site map, not a text", mostly_links=0.6),
)
_SYMBOLS = (*_limits("NeMo Curator, with punctuation", symbol_ratio=0.25),)
_LINES = (*_limits("Gopher", repeated_lines=0.3),)

WEB = (
    *_limits("Gopher", too_short=50, too_long=100_000, short_words=3, mean_word_length=10),
    *_limits("Gopher", hash_ratio=0.1, ellipsis_ratio=0.1, bullet_lines=0.9, ellipsis_lines=0.3),
    *_limits("Gopher", few_letters=0.8),
    *_limits("Gopher; by language", few_stop_words=2),
    *_LINES,
    *_limits("Gopher", repeated_paragraphs=0.3, repeated_paragraph_chars=0.2),
    *_limits("Gopher", top_2gram=0.20, top_3gram=0.18, top_4gram=0.16),
    *_limits("Gopher", repeated_5grams=0.15, repeated_6grams=0.14, repeated_7grams=0.13),
    *_limits("Gopher", repeated_8grams=0.12, repeated_9grams=0.11, repeated_10grams=0.10),
    *_limits("C4 (its code; the paper has 3)", few_sentences=5),
    *_limits("C4", lorem_ipsum=0),
    *_limits("C4; here in prose, not in code", curly_brackets=0),
    *_limits("FineWeb; here in any script", few_line_ends=0.12),
    *_limits("FineWeb", short_lines=0.67),
    *_limits("FineWeb; Gopher 0.20", repeated_line_chars=0.01),
    *_limits("FineWeb", line_breaks=0.3),
)
"""Articles from the web, as Gopher, C4 and FineWeb choose them. Their rules that take single lines
out of a page are not here: the readers take out boilerplate."""

_STANDING = "Gopher, twice: API references have standing phrases"
TECHNICAL = (
    *_limits("Gopher 50; a ticket says something in 20", too_short=20),
    *_OWN,
    *_limits("Gopher 0.8; lists of numbers", few_letters=0.6),
    *_limits("Gopher", short_words=3),
    *_limits("Gopher 10; identifiers are long", mean_word_length=12),
    *_SYMBOLS,
    *_LINES,
    *_limits("Gopher", top_4gram=0.16),
    *_limits(_STANDING, repeated_5grams=0.30, repeated_6grams=0.28, repeated_7grams=0.26),
    *_limits(_STANDING, repeated_8grams=0.24, repeated_9grams=0.22, repeated_10grams=0.20),
)
"""Manuals, references, tickets: code, tables and bullets are welcome. Gopher's limits for the top
2- and 3-gram are left out, since a manual repeats the name of its product; the manual of libtasn1
has 0.19 of its characters in repeated 5-grams."""

FAQ = (
    *_limits("C4: words of a line", too_short=3),
    *_OWN,
    *_limits("as technical", few_letters=0.6, mean_word_length=12),
    *_SYMBOLS,
    *_LINES,
)
"""Questions and answers: a sentence is enough, and a standing phrase in each answer is no fault."""

ANY_LANGUAGE = (
    Rule(TOO_SHORT, measures.letters_and_digits, 30, False, "own: a sentence of Chinese"),
    *_OWN[1:],
    *_SYMBOLS,
    *_limits("NeMo Curator", digit_ratio=0.15, address_ratio=0.2, parenthesis_ratio=0.1),
    *_LINES,
    *_limits("Gopher", repeated_line_chars=0.2, repeated_paragraphs=0.3),
    *_limits("Data-Juicer", top_10chars=0.5),
    *_limits("own: references have up to 0.36", repeated_20chars=0.5),
)
"""All scripts alike. Of the HTML of Debian's postgresql-doc-15 and git-doc, no page has more than
0.36 of its characters in repeated 20-grams (every fourth page looked at, 352). No rule
asks for spaces, Latin letters or the words of a language."""

PROFILES: dict[str, tuple[Rule, ...]] = {
    "technical": TECHNICAL,
    "web": WEB,
    "faq": FAQ,
    "any-language": ANY_LANGUAGE,
    "off": (),
}


def rules_of(profile: str, limits: Mapping[str, float] | None = None) -> tuple[Rule, ...]:
    """Return the rules of a profile, with limits of one's own in place of the profile's.

    Raises:
        ValueError: There is no such profile or the profile has no rule of such a name; the
            message lists those there are.
    """
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile}{_hint(profile, PROFILES)}")
    rules = PROFILES[profile]
    limits = limits or {}
    names = [rule.name for rule in rules]
    for name in limits:
        if name not in names:
            raise ValueError(f"profile {profile} has no rule {name}{_hint(name, names)}")
    return tuple(rule._replace(limit=limits.get(rule.name, rule.limit)) for rule in rules)


def _hint(name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{hint}; expected one of {', '.join(known) or 'none'}"


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
