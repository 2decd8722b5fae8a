"""Profiles of cleaning: which rules are asked of a corpus, and how far each may go.

Published numbers are for web pages: Gopher (Rae et al. 2021, table A1), C4 (Raffel et al. 2020),
FineWeb (Penedo et al. 2024). They reject manuals for braces, bullets and tables, and short answers.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from pipeline.documents.clean.cleaning import CLEANING, CleaningRule


def _limits(source: str, **limits: float) -> tuple[CleaningRule, ...]:
    rules = ((CLEANING[name], limit) for name, limit in limits.items())
    return tuple(rule._replace(limit=limit, source=source) for rule, limit in rules)


_OWN = (
    *_limits("own: a bound; Gopher's 100,000 is a book", too_long=1_000_000),
    *_limits("own: encoded data, after C4's long words", long_words=0.2),
    *_limits("own: a site map, not a text", mostly_links=0.6),
)
_SYMBOLS = _limits("NeMo Curator", symbol_ratio=0.25)
_BROKEN = _limits("own: references have up to 0.11, scans up to 0.6", broken_words=0.2)
_LINES = _limits("Gopher", repeated_lines=0.3)

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

TECHNICAL = (
    *_limits("Gopher 50; a ticket says something in 20", too_short=20),
    *_OWN,
    *_limits("Gopher 0.8; lists of numbers", few_letters=0.6),
    *_limits("Gopher", short_words=3),
    *_limits("Gopher 10; identifiers are long", mean_word_length=12),
    *_BROKEN,
    *_SYMBOLS,
    *_LINES,
    *_limits("Gopher, twice: API references have standing phrases", top_4gram=0.32),
    *_limits("Data-Juicer, its default for runs of ten words", repeated_10grams=0.5),
)
"""Manuals, references, tickets: code, tables and bullets are welcome. Of Gopher's limits for
n-grams two stay, wider: a manual repeats the name of its product, and signatures repeat each other.
Its own would drop 12 of 40 pages of rustdoc for 10-grams (0.1) and 16 for 5-grams (0.15), of those
that ``tests/benchmarks/quality_makes.py`` draws."""

FAQ = (
    *_limits("C4: words of a line", too_short=3),
    *_OWN,
    *_limits("as technical", few_letters=0.6, mean_word_length=12),
    *_BROKEN,
    *_SYMBOLS,
    *_LINES,
)
"""Questions and answers: a sentence is enough, and a standing phrase in each answer is no fault."""

ANY_LANGUAGE = (
    CLEANING["too_short"]._replace(
        # Letters and digits, of any script.
        measure=lambda stats: sum(map(str.isalnum, stats.text[:100_000])),
        limit=30,
        source="own: a sentence of Chinese",
    ),
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

PROFILES: dict[str, tuple[CleaningRule, ...]] = {
    "technical": TECHNICAL,
    "web": WEB,
    "faq": FAQ,
    "any-language": ANY_LANGUAGE,
    "off": (),
}


def rules_of(profile: str, limits: Mapping[str, float] | None = None) -> tuple[CleaningRule, ...]:
    """Return the rules of a profile, with limits of one's own in place of the profile's.

    A ValueError lists the profiles or rules there are.
    """
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile}{_hint(profile, PROFILES)}")
    rules = {rule.name: rule for rule in PROFILES[profile]}
    for name, limit in (limits or {}).items():
        if name not in rules:
            raise ValueError(f"profile {profile} has no rule {name}{_hint(name, rules)}")
        rules[name] = rules[name]._replace(limit=limit)
    return tuple(rules.values())


def _hint(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{hint}; expected one of {', '.join(known) or 'none'}"
