"""The clean stage: raw documents become Markdown text in one language, without personal data."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.ingest import paper, prose, quality, web
from pipeline.ingest.language import Language, identify
from pipeline.ingest.privacy import Redacted, Span, redact
from pipeline.ingest.quality import Rule, Verdict, rules_of
from pipeline.outcome import EXCERPT, Drop, Outcome, drops, table
from pipeline.progress import track
from pipeline.settings import CleanSettings
from schemas.documents import Documents, RawDocuments, Redactions

_SEPARATOR = "\n\n"
"""Between title and text while both are redacted with one numbering."""


class _Clean(NamedTuple):
    title: str
    text: str
    language: str
    spans: list[Span]
    allowed: int


class Decision(NamedTuple):
    """What becomes of a text."""

    verdict: Verdict | None
    """Why it is dropped; None: it is kept."""
    language: str
    """ISO 639-1; empty where the verdict came before the language was looked at."""


def clean(documents: DataFrame[RawDocuments], settings: CleanSettings) -> Outcome[Documents]:
    """Clean documents, drop those of poor quality or another language, redact personal data.

    Each document is cleaned alone: its result does not depend on the others. What a document
    says is not judged: one that gives orders to a model stays, as text.

    Args:
        documents: As read; HTML with its tags, PDF pages joined by form feeds.
        settings: Languages, quality profile and kinds of redaction.

    Returns:
        Documents sorted by ``doc_id``, ids and spans unchanged. Reasons:
        ``empty_after_cleaning``, ``other_language``, ``unknown_language``, and those of
        :func:`pipeline.ingest.quality.judge`. The table ``redactions`` lists what was replaced
        in the text (what is replaced in a title is not listed). Metrics: ``redactions``,
        ``redacted_documents``, ``redactions_allowed`` (finds that ``redact_allow`` kept).
    """
    kept: list[dict[str, Any]] = []
    dropped: list[Drop] = []
    audit: list[dict[str, Any]] = []
    allowed = 0
    rules = rules_of(settings.profile, settings.limits)
    rows = documents.sort("doc_id").to_dicts()
    for row in track(rows, "documents"):
        found = _clean(row, settings, rules)
        if isinstance(found, Drop):
            dropped.append(found)
            continue
        kept.append(row | {"title": found.title, "text": found.text, "language": found.language})
        allowed += found.allowed
        audit += [
            {
                "doc_id": row["doc_id"],
                "kind": span.kind,
                "placeholder": span.placeholder,
                "start": span.start,
                "end": span.end,
            }
            for span in found.spans
        ]
    redactions = table(Redactions, audit).sort("doc_id", "start")
    return Outcome(
        cast("DataFrame[Documents]", table(Documents, kept).sort(pl.col("doc_id"))),
        drops(dropped),
        rows_in=len(rows),
        metrics={
            "redactions": float(redactions.height),
            "redacted_documents": float(redactions["doc_id"].n_unique()),
            "redactions_allowed": float(allowed),
        },
        tables={"redactions": (Redactions, redactions)},
    )


def _clean(row: dict[str, Any], settings: CleanSettings, rules: Sequence[Rule]) -> _Clean | Drop:
    oversized = quality.too_long(row["text"])
    if oversized:
        return refused(row, row["text"], Decision(oversized, ""), settings)
    text = markdown_of(row)
    decision = decide(text, settings, rules)
    if decision.verdict:
        return refused(row, text, decision, settings)
    text = prose.unlink(text)
    title = " ".join(prose.normalise(row["title"]).split())
    before = len(title) + len(_SEPARATOR)
    redacted = _redact(title + _SEPARATOR + text, settings)
    title, _, text = redacted.text.partition(_SEPARATOR)
    return _Clean(
        title,
        text,
        decision.language,
        [
            span._replace(start=span.start - before, end=span.end - before)
            for span in redacted.spans
            if span.start >= before
        ],
        redacted.allowed,
    )


def decide(
    text: str, settings: CleanSettings, rules: Sequence[Rule], language: Language | None = None
) -> Decision:
    """Decide whether a text is kept.

    Args:
        text: Of :func:`markdown_of`.
        settings: Languages; the profile in them is not looked at.
        rules: Of a quality profile.
        language: When the caller knows it already.
    """
    if not text.strip():
        return Decision(Verdict("empty_after_cleaning", 0, 1), "")
    # Before the language, which a handful of words does not tell.
    short = quality.too_short(text, rules)
    if short:
        return Decision(short, "")
    code, probability = language or identify(text)
    if settings.languages:
        least = settings.min_language_probability
        if probability < least:
            return Decision(Verdict("unknown_language", probability, least), code)
        if code not in settings.languages:
            return Decision(Verdict("other_language", probability, least), code)
    rest = [rule for rule in rules if rule.name != quality.TOO_SHORT]
    return Decision(quality.judge(text, rest, code), code)


def refused(row: Mapping[str, Any], text: str, decision: Decision, settings: CleanSettings) -> Drop:
    """Return the row of the ledger; it goes into reports, so what it quotes is redacted too."""
    assert decision.verdict
    reason, value, threshold = decision.verdict
    excerpt = _redact(text[: 4 * EXCERPT], settings).text
    if reason == "other_language":
        excerpt = f"[{decision.language}] {excerpt}"
    return Drop(row["doc_id"], reason, f"{row['source']}: {excerpt}", value, threshold)


def _redact(text: str, settings: CleanSettings) -> Redacted:
    return redact(
        text,
        settings.redact,
        settings.phone_region,
        settings.id_countries,
        settings.redact_allow,
    )


def markdown_of(row: Mapping[str, Any]) -> str:
    """Return the text of a raw document as Markdown, repaired."""
    return prose.normalise(to_markdown(row["format"], row["text"]))


def to_markdown(kind: str, text: str) -> str:
    """Return the content of a raw document of a format as Markdown, boilerplate removed."""
    if kind == "html":
        return web.main_content(text)
    if kind == "pdf":
        return paper.repair(text)
    if kind == "markdown":
        return prose.strip_metadata(text)
    if kind == "text":
        return prose.mark_headings(text.strip("\n"))
    return text
