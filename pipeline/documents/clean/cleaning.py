"""The rules of cleaning, from which all about them is derived; :mod:`.profiles` has their limits.

A rule more is a measure in :mod:`.quality.measures`, an entry of :data:`CLEANING` with it and its
evidence, and its limit in a profile.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from pipeline.documents.clean.quality import measures
from pipeline.documents.clean.quality.measures import Evidence, Fits, Measure, Pieces, quoted
from pipeline.documents.clean.quality.stats import ADDRESS, BULLET, TextStats

LONGEST = 20_000_000
"""Characters: more is not even looked at, in any profile."""
TOO_SHORT = "too_short"
"""The rule that is asked before the language is looked at."""


class CleaningRule(NamedTuple):
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
    limit: float = 0
    """Of a profile, which allows the limit itself."""
    source: str = ""
    """Whose number the limit is."""


_at_most = CleaningRule
_at_least = partial(CleaningRule, at_most=False)
_prose, _prose_words = attrgetter("prose"), attrgetter("prose_words")
_lines, _blocks = attrgetter("lines"), attrgetter("blocks")


def _pieces_that(
    name: str, meaning: str, fits: Fits, pieces: Pieces, least: int = 1, *, at_most: bool = True
) -> CleaningRule:
    """Return a rule about the share of pieces that are of a kind; of less than least, none."""

    def measure(stats: TextStats) -> float | None:
        found = pieces(stats)
        return sum(1 for each in found if fits(each)) / len(found) if len(found) >= least else None

    def shows(stats: TextStats) -> str:
        at_fault = (each for each in pieces(stats) if bool(fits(each)) == at_most)
        return quoted(dict.fromkeys(at_fault))

    return CleaningRule(name, meaning, measure, shows, at_most)


_words_that = partial(_pieces_that, pieces=_prose_words, least=measures.PROSE_FROM)
_blocks_that = partial(_pieces_that, pieces=_blocks)


def _few_in_prose(
    name: str, meaning: str, count: Callable[[str], int], of: Pieces = _prose
) -> CleaningRule:
    """Return a rule about what is counted in prose, for each of its characters or words."""

    def measure(stats: TextStats) -> float | None:
        return count(stats.prose) / len(whole) if (whole := of(stats)) else None

    return _at_most(name, meaning, measure, measures.line_with_most(count))


def _few_repeats(name: str, meaning: str, pieces: Pieces, characters: bool) -> CleaningRule:
    def measure(stats: TextStats) -> float | None:
        found = pieces(stats) if measures.is_long(stats) else None
        return None if found is None else measures.repeated(found, characters=characters)

    return _at_most(name, meaning, measure, lambda stats: measures.counted(pieces(stats)))


def _few_ngrams(
    name: str,
    meaning: str,
    share: Callable[[measures.Tokens, int], float],
    size: int,
    tokens: Callable[[TextStats], measures.Tokens] = attrgetter("phrases"),
    least: int = measures.REPETITION_FROM,
) -> CleaningRule:
    def measure(stats: TextStats) -> float | None:
        return share(found, size) if len(found := tokens(stats)) >= least else None

    def shows(stats: TextStats) -> str:
        ngram, count = measures.most_frequent(tokens(stats), size)
        return f"{count} times {quoted([ngram if isinstance(ngram, str) else ' '.join(ngram)])}"

    return _at_most(name.format(size), meaning.format(size), measure, shows)


_few_runs = partial(_few_ngrams, tokens=_prose, least=0)
CLEANING = {
    rule.name: rule
    for rule in (
        CleaningRule("empty_after_cleaning", "nothing is left of it without its frame"),
        CleaningRule(
            "unknown_language", "no language is likely enough", evidence=measures.language
        ),
        CleaningRule(
            "other_language", "it is in a language not asked for", evidence=measures.language
        ),
        CleaningRule("clean_timeout", "cleaning it took too long"),
        CleaningRule("clean_out_of_memory", "cleaning it needs too much memory"),
        CleaningRule("clean_crashed", "cleaning it ended a worker"),
        _at_least(TOO_SHORT, "it says too little", attrgetter("word_count"), measures.start),
        _at_most(
            *("too_long", "it is longer than any document"),
            *(lambda stats: len(stats.words), measures.start),
        ),
        _at_most(
            *("long_words", "much of it is encoded data", measures.long_words),
            lambda stats: quoted([max(stats.words, key=len, default="")]),
        ),
        _at_most(
            *("mostly_links", "it is a site map, not a text"),
            *(measures.linked_words, measures.links),
        ),
        _words_that(
            *("few_letters", "too many of its words have no letter"),
            lambda word: any(map(str.isalpha, word)),
            at_most=False,
        ),
        _at_least(
            *("short_words", "its words are too short", measures.word_length),
            lambda stats: measures.counted(stats.spaced_words, 3),
        ),
        _at_most(
            *("mean_word_length", "its words are too long", measures.word_length),
            lambda stats: measures.longest(stats.prose_words),
        ),
        _words_that("broken_words", "its words are misread", measures.is_broken),
        _at_most(
            *("symbol_ratio", "too much of it is signs"),
            *(measures.signs, measures.line_with_most(measures.sign_share)),
        ),
        _few_in_prose(
            "hash_ratio", "it has too many hash signs", measures.marks("#"), _prose_words
        ),
        _few_in_prose(
            *("ellipsis_ratio", "it has too many ellipses"),
            *(measures.marks(measures.ELLIPSES), _prose_words),
        ),
        _blocks_that("bullet_lines", "it is a list", BULLET.match),
        _blocks_that(
            *("ellipsis_lines", "its lines are cut off"),
            lambda block: block.endswith(measures.ELLIPSES),
        ),
        _at_least(
            *("few_stop_words", "it is a list of names, not sentences"),
            *(measures.stop_words, measures.start),
        ),
        _at_most(
            *("repeated_lines", "its lines repeat", measures.repeated_lines),
            lambda stats: measures.counted(measures.told_lines(stats)),
        ),
        _few_repeats("repeated_line_chars", "its long lines repeat", _lines, True),
        _few_repeats("repeated_paragraphs", "its paragraphs repeat", _blocks, False),
        _few_repeats("repeated_paragraph_chars", "its long paragraphs repeat", _blocks, True),
        *(
            _few_ngrams("top_{}gram", "one phrase of {} words fills it", measures.top_share, size)
            for size in (2, 3, 4)
        ),
        *(
            _few_ngrams(
                "repeated_{}grams",
                "phrases of {} words repeat in it",
                measures.repeated_share,
                size,
            )
            for size in range(5, 11)
        ),
        _at_least("few_sentences", "it has few sentences", measures.sentences, measures.start),
        _at_most(
            *("lorem_ipsum", "it is filler text"),
            lambda stats: stats.text.lower().count("lorem ipsum"),
            lambda stats: quoted([stats.text[stats.text.lower().find("lorem ipsum") :]]),
        ),
        _at_most(
            *("curly_brackets", "there is code in its prose"),
            lambda stats: stats.prose.count("{"),
            measures.line_with_most(measures.marks("{")),
        ),
        _blocks_that(
            *("few_line_ends", "few lines end as sentences do", measures.LINE_END.search),
            pieces=measures.lines_that_end,
            at_most=False,
        ),
        _blocks_that("short_lines", "too many of its lines are short", measures.is_short),
        _at_most(
            *("line_breaks", "it has too many lines for its words", measures.line_breaks),
            lambda stats: quoted(filter(measures.is_short, stats.blocks)),
        ),
        _few_in_prose(
            "digit_ratio", "too much of it is digits", lambda prose: sum(map(str.isdigit, prose))
        ),
        _few_in_prose(
            "address_ratio", "too much is web addresses", measures.address_characters
        )._replace(evidence=lambda stats: measures.longest(ADDRESS.findall(stats.prose))),
        _few_in_prose(
            "parenthesis_ratio", "it has too many brackets", measures.marks(measures.BRACKETS)
        ),
        _few_runs(
            *("top_{}chars", "a few runs of {} characters fill it"),
            *(measures.most_frequent_share, 10),
        ),
        _few_runs(
            "repeated_{}chars", "runs of {} characters repeat in it", measures.repeated_share, 20
        ),
    )
}


class Verdict(NamedTuple):
    """The rule that a document broke."""

    reason: str
    value: float
    threshold: float


def too_long(text: str) -> Verdict | None:
    """Return ``too_long`` for more than :data:`LONGEST` characters."""
    return Verdict("too_long", len(text), LONGEST) if len(text) > LONGEST else None


def too_short(text: str, rules: Sequence[CleaningRule]) -> Verdict | None:
    """Return the verdict of the rule ``too_short``."""
    return judge(text, [rule for rule in rules if rule.name == TOO_SHORT])


def judge(text: str, rules: Sequence[CleaningRule], language: str = "") -> Verdict | None:
    """Return the first rule that a cleaned Markdown text in a language (ISO 639-1) breaks."""
    return next(broken(text, rules, language), None)


def broken(text: str, rules: Sequence[CleaningRule], language: str = "") -> Iterator[Verdict]:
    """Yield the rules of a profile that a text breaks; without language some say nothing."""
    stats = TextStats(text, language)
    for rule in rules:
        value = rule.measure(stats) if rule.measure else None
        if value is not None and (value > rule.limit if rule.at_most else value < rule.limit):
            yield Verdict(rule.name, value, rule.limit)


def evidence_of(reason: str, text: str) -> str:
    """Return the piece of a cleaned text that shows why a rule drops it; empty without any."""
    shows = CLEANING[reason].evidence
    return shows(TextStats(text)) if shows else ""
