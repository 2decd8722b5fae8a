"""The profiles: which rules count, with whose numbers.

The published numbers were made for web pages: Gopher (Rae et al. 2021, table A1), C4 (Raffel et
al. 2020), FineWeb (Penedo et al. 2024). They reject manuals for their braces, bullets and tables
and short answers for being short, so there are other profiles beside ``web``.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import NamedTuple

from pipeline.documents.clean.quality import measures
from pipeline.documents.clean.quality.stats import TextStats

Measure = Callable[[TextStats], float | None]


class Rule(NamedTuple):
    """A measure of a text, and how far it may go."""

    name: str
    """The reason that the ledger gives."""
    measure: Measure
    limit: float
    at_most: bool
    """Whether values above the limit break the rule, else those below."""
    source: str
    """Whose number it is."""

    def breaks(self, value: float) -> bool:
        """Whether a value is on the wrong side; the limit itself is allowed."""
        return value > self.limit if self.at_most else value < self.limit


def _most(name: str, measure: Measure, limit: float, source: str) -> Rule:
    return Rule(name, measure, limit, True, source)


def _least(name: str, measure: Measure, limit: float, source: str) -> Rule:
    return Rule(name, measure, limit, False, source)


def _repeated(limits: Mapping[int, float], source: str) -> tuple[Rule, ...]:
    return tuple(
        _most(f"repeated_{size}grams", partial(measures.repeated_ngrams, size=size), limit, source)
        for size, limit in limits.items()
    )


def _top(limits: Mapping[int, float]) -> tuple[Rule, ...]:
    return tuple(
        _most(f"top_{size}gram", partial(measures.top_ngram, size=size), limit, "Gopher")
        for size, limit in limits.items()
    )


_LINKS = _most("mostly_links", measures.linked_words, 0.6, "own: a site map, not a text")
_ENCODED = _most("long_words", measures.long_words, 0.2, "own: encoded data, after C4's long words")
_LONG = _most("too_long", measures.all_words, 1_000_000, "own: a bound; Gopher's 100,000 is a book")
_SYMBOLS = _most("symbol_ratio", measures.odd_characters, 0.25, "NeMo Curator, with punctuation")
_LINES = _most("repeated_lines", measures.repeated_lines, 0.3, "Gopher")

WEB = (
    _least("too_short", measures.words, 50, "Gopher"),
    _most("too_long", measures.all_words, 100_000, "Gopher"),
    _least("short_words", measures.word_length, 3, "Gopher"),
    _most("mean_word_length", measures.word_length, 10, "Gopher"),
    _most("hash_ratio", measures.hashes, 0.1, "Gopher"),
    _most("ellipsis_ratio", measures.ellipses, 0.1, "Gopher"),
    _most("bullet_lines", measures.bullet_lines, 0.9, "Gopher"),
    _most("ellipsis_lines", measures.ellipsis_lines, 0.3, "Gopher"),
    _least("few_letters", measures.words_with_letter, 0.8, "Gopher"),
    _least("few_stop_words", measures.stop_words, 2, "Gopher; by language"),
    _LINES,
    _most("repeated_paragraphs", measures.repeated_paragraphs, 0.3, "Gopher"),
    _most("repeated_paragraph_chars", measures.repeated_paragraph_characters, 0.2, "Gopher"),
    *_top({2: 0.20, 3: 0.18, 4: 0.16}),
    *_repeated({5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}, "Gopher"),
    _least("few_sentences", measures.sentences, 5, "C4 (its code; the paper has 3)"),
    _most("lorem_ipsum", measures.lorem_ipsum, 0, "C4"),
    _most("curly_brackets", measures.curly_brackets, 0, "C4; here in prose, not in code"),
    _least("few_line_ends", measures.ended_lines, 0.12, "FineWeb; here in any script"),
    _most("short_lines", measures.short_lines, 0.67, "FineWeb"),
    _most("repeated_line_chars", measures.repeated_line_characters, 0.01, "FineWeb; Gopher 0.20"),
    _most("line_breaks", measures.line_breaks, 0.3, "FineWeb"),
)
"""Articles from the web, as Gopher, C4 and FineWeb choose them. Their rules that take single lines
out of a page are not here: the readers take out boilerplate."""

TECHNICAL = (
    _least("too_short", measures.words, 20, "Gopher 50; a ticket says something in 20"),
    _LONG,
    _ENCODED,
    _LINKS,
    _least("few_letters", measures.words_with_letter, 0.6, "Gopher 0.8; lists of numbers"),
    _least("short_words", measures.word_length, 3, "Gopher"),
    _most("mean_word_length", measures.word_length, 12, "Gopher 10; identifiers are long"),
    _SYMBOLS,
    _LINES,
    *_top({4: 0.16}),
    *_repeated(
        {5: 0.30, 6: 0.28, 7: 0.26, 8: 0.24, 9: 0.22, 10: 0.20},
        "Gopher, twice: API references have standing phrases",
    ),
)
"""Manuals, references, tickets: code, tables and bullets are welcome. Gopher's limits for the top
2- and 3-gram are left out, since a manual repeats the name of its product; the manual of libtasn1
has 0.19 of its characters in repeated 5-grams."""

FAQ = (
    _least("too_short", measures.words, 3, "C4: words of a line"),
    _LONG,
    _ENCODED,
    _LINKS,
    _least("few_letters", measures.words_with_letter, 0.6, "as technical"),
    _most("mean_word_length", measures.word_length, 12, "as technical"),
    _SYMBOLS,
    _LINES,
)
"""Questions and answers: a sentence is enough, and a standing phrase in each answer is no fault."""

ANY_LANGUAGE = (
    _least("too_short", measures.letters_and_digits, 30, "own: a sentence of Chinese"),
    _ENCODED,
    _LINKS,
    _SYMBOLS,
    _most("digit_ratio", measures.digits, 0.15, "NeMo Curator"),
    _most("address_ratio", measures.address_characters, 0.2, "NeMo Curator"),
    _most("parenthesis_ratio", measures.parentheses, 0.1, "NeMo Curator"),
    _LINES,
    _most("repeated_line_chars", measures.repeated_line_characters, 0.2, "Gopher"),
    _most("repeated_paragraphs", measures.repeated_paragraphs, 0.3, "Gopher"),
    _most("top_10chars", partial(measures.top_characters, size=10), 0.5, "Data-Juicer"),
    _most(
        "repeated_20chars",
        partial(measures.repeated_characters, size=20),
        0.5,
        "own: references have up to 0.36",
    ),
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
    """Return the rules of a profile, with limits of one's own.

    Args:
        profile: Name of a profile.
        limits: Limit by name of a rule, in place of the profile's.

    Raises:
        ValueError: The profile has no rule of such a name; the message lists those it has.
    """
    rules = PROFILES[profile]
    limits = limits or {}
    names = [rule.name for rule in rules]
    for name in limits:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            known = ", ".join(names) or "none"
            raise ValueError(f"profile {profile} has no rule {name}{hint}; its rules: {known}")
    return tuple(rule._replace(limit=limits.get(rule.name, rule.limit)) for rule in rules)
