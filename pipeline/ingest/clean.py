"""The clean stage: raw documents become Markdown text in one language, without personal data."""

from typing import Any, NamedTuple, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.ingest import paper, prose, quality, web
from pipeline.ingest.language import identify
from pipeline.ingest.privacy import Span, redact
from pipeline.ingest.quality import Verdict
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
        ``redacted_documents``.
    """
    kept: list[dict[str, Any]] = []
    dropped: list[Drop] = []
    audit: list[dict[str, Any]] = []
    rows = documents.sort("doc_id").to_dicts()
    for row in track(rows, "documents"):
        found = _clean(row, settings)
        if isinstance(found, Drop):
            dropped.append(found)
            continue
        kept.append(row | {"title": found.title, "text": found.text, "language": found.language})
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
        },
        tables={"redactions": (Redactions, redactions)},
    )


def _clean(row: dict[str, Any], settings: CleanSettings) -> _Clean | Drop:
    def dropped(verdict: Verdict, text: str) -> Drop:
        # The ledger goes into reports: what it quotes is redacted too.
        excerpt = redact(text[: 4 * EXCERPT], settings.redact, settings.phone_region)[0]
        return Drop(
            row["doc_id"],
            verdict.reason,
            f"{row['source']}: {excerpt}",
            verdict.value,
            verdict.threshold,
        )

    oversized = quality.too_long(row["text"])
    if oversized:
        return dropped(oversized, row["text"])
    text = prose.normalise(to_markdown(row["format"], row["text"]))
    if not text.strip():
        return dropped(Verdict("empty_after_cleaning", 0, 1), text)
    judged = settings.profile == "technical"
    # Before the language, which a handful of words does not tell.
    short = quality.too_short(text) if judged else None
    if short:
        return dropped(short, text)
    language = identify(text)
    if settings.languages:
        if language.probability < settings.min_language_probability:
            return dropped(
                Verdict(
                    "unknown_language", language.probability, settings.min_language_probability
                ),
                text,
            )
        if language.code not in settings.languages:
            return dropped(
                Verdict("other_language", language.probability, settings.min_language_probability),
                f"[{language.code}] {text}",
            )
    verdict = quality.judge(text) if judged else None
    if verdict:
        return dropped(verdict, text)
    text = prose.unlink(text)
    title = " ".join(prose.normalise(row["title"]).split())
    before = len(title) + len(_SEPARATOR)
    together, spans = redact(title + _SEPARATOR + text, settings.redact, settings.phone_region)
    title, _, text = together.partition(_SEPARATOR)
    return _Clean(
        title,
        text,
        language.code,
        [
            span._replace(start=span.start - before, end=span.end - before)
            for span in spans
            if span.start >= before
        ],
    )


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
