"""One document through the clean stage; imports little, since each worker process does."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.documents.clean import boxes, cleaning, line_joining, pdf_text, tags
from pipeline.documents.clean.cleaning import CleaningRule, Verdict
from pipeline.documents.clean.privacy.redact import redact
from pipeline.documents.clean.privacy.spans import Span
from pipeline.documents.clean.profiles import rules_of
from pipeline.documents.clean.web.page import fragment, main_content
from pipeline.documents.left_out import UNITS, Omission, entries, ledger
from pipeline.text.fences import Split
from pipeline.text.language import Language, identify

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import CleanSettings

LOOKED_AT = 200_000
"""Characters of a dropped text in which evidence is looked for, personal data redacted first."""
MARGIN = 720
"""Characters behind them that are redacted too, since what they cut might not be recognised."""
QUOTED = 240
"""Characters of a dropped text that are quoted: what the ledger keeps."""
_SEPARATOR = "\n\n"
"""Between title and text while both are redacted with one numbering."""


class Cleaned(NamedTuple):
    """A document that is kept, with what was redacted in its text, and finds that stay."""

    title: str
    text: str
    language: str
    spans: list[Span]
    allowed: int
    left_out: tuple[Omission, ...] = ()


class Refused(NamedTuple):
    """A document that is dropped."""

    verdict: Verdict
    excerpt: str
    """What shows why, and the start of its text, redacted: the ledger goes into reports."""
    language: str = ""
    left_out: tuple[Omission, ...] = ()


def clean_document(row: Mapping[str, Any], settings: "CleanSettings") -> Cleaned | Refused:
    """Clean one document, or say why it is dropped; in both cases, what is left out of it."""
    with ledger() as noted:
        result = _clean(row, settings)
    left_out = entries(noted)
    if isinstance(result, Refused) and not result.excerpt:
        # Nothing of it is left to quote.
        gone = ", ".join(f"{each.amount} {UNITS[each.kind]} of {each.kind}" for each in left_out)
        result = result._replace(excerpt=f"left out: {gone or 'nothing'}")
    return result._replace(left_out=left_out)


def _clean(row: Mapping[str, Any], settings: "CleanSettings") -> Cleaned | Refused:
    if oversized := cleaning.too_long(row["text"]):
        return refused(row["text"], oversized, settings)
    split = _split(row)
    text = line_joining.whole(split)
    language = identify(text, settings.languages)
    rules = rules_of(settings.profile, settings.limits)
    if verdict := decide(text, settings, rules, language):
        return refused(text, verdict, settings)._replace(language=language.code)
    split.change(line_joining.unlink)
    text = line_joining.whole(split)
    title = " ".join(line_joining.normalise(row["title"]).split())
    before = len(title) + len(_SEPARATOR)
    redacted = redact(title + _SEPARATOR + text, settings)
    title, _, text = redacted.text.partition(_SEPARATOR)
    spans = [
        span._replace(start=span.start - before, end=span.end - before)
        for span in redacted.spans
        if span.start >= before
    ]
    return Cleaned(title, text, language.code, spans, redacted.allowed)


def decide(
    text: str, settings: "CleanSettings", rules: Sequence[CleaningRule], language: Language
) -> Verdict | None:
    """Return why a text of :func:`markdown_of` is dropped, by languages and rules, else None."""
    if not text.strip():
        return Verdict("empty_after_cleaning", 0, 1)
    # Before the language, which a handful of words does not tell.
    if short := cleaning.too_short(text, rules):
        return short
    if settings.languages:
        least = settings.min_language_probability
        if language.probability < least:
            return Verdict("unknown_language", language.probability, least)
        if language.code not in settings.languages:
            return Verdict("other_language", language.probability, least)
    rest = [rule for rule in rules if rule.name != cleaning.TOO_SHORT]
    return cleaning.judge(text, rest, language.code)


def refused(text: str, verdict: Verdict, settings: "CleanSettings") -> Refused:
    """Return a verdict on a text with its evidence and the start of the text."""
    text = redact(text[: LOOKED_AT + MARGIN], settings).text[:LOOKED_AT]
    evidence = cleaning.evidence_of(verdict.reason, text)
    begins = text[:QUOTED]
    excerpt = begins if begins.startswith(evidence) else f"{evidence}: {begins}"
    return Refused(verdict, excerpt)


def redact_all(texts: Sequence[str], settings: "CleanSettings") -> list[str]:
    """Return texts that belong together without personal data; one value has one placeholder."""
    separator = "\n\x1e\n"
    joined = separator.join(text.replace("\x1e", " ").strip() for text in texts)
    return redact(joined, settings).text.split(separator)


def markdown_of(row: Mapping[str, Any]) -> str:
    """Return the text of a raw document as Markdown, repaired."""
    return line_joining.whole(_split(row))


def _split(row: Mapping[str, Any]) -> Split:
    kind = row["format"]
    return line_joining.normalised(to_markdown(kind, row["text"]), fences_only=kind == "html")


def to_markdown(kind: str, text: str) -> str:
    """Return the content of a raw document of a format as Markdown, boilerplate removed."""
    if kind == "html":
        return main_content(text)
    if kind == "pdf":
        return pdf_text.repair(text)
    if kind == "markdown":
        return tags.without_tags(boxes.without_boxes(line_joining.strip_metadata(text)))
    if kind == "text":
        return line_joining.plain_to_markdown(text.strip("\n"))
    return fragment(text) if tags.HTML.match(text) else text  # a field of a record may be a page
