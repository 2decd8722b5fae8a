"""The clean stage: raw documents become Markdown text in one language, without personal data."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.stage import Stage
from pipeline.documents.clean.clean_document import Refused, clean_document
from pipeline.documents.left_out import rows_left_out
from pipeline.documents.parallel import spread
from pipeline.settings import CleanSettings
from schemas.documents import Documents, LeftOut, RawDocuments, Redactions


def clean(
    documents: DataFrame[RawDocuments], settings: CleanSettings, runner: Runner = LOCAL
) -> Outcome[Documents]:
    """Clean documents, drop those of poor quality or another language, redact personal data.

    What a document says is not judged: one that gives orders to a model stays, as text.

    Returns:
        Documents sorted by ``doc_id``, ids and spans unchanged. Reasons are those of
        :data:`pipeline.documents.clean.cleaning.CLEANING`. Table ``redactions``: what was replaced
        in texts, not in titles; table ``left_out``: of documents, dropped ones too. Metrics:
        ``redactions``, ``redacted_documents``, ``redactions_allowed`` (finds that ``redact_allow``
        kept), and ``other_language_de``: those dropped for being German.
    """
    dropped: list[Drop] = []
    audit: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    allowed = 0
    foreign: Counter[str] = Counter()
    ordered = documents.sort("doc_id")
    answers = spread(
        "clean",
        runner,
        partial(clean_document, settings=settings.plain()),
        ordered,
        dropped,
        seconds=settings.seconds_per_document,
        megabytes=settings.max_memory_megabytes,
    )

    def kept() -> Iterator[dict[str, Any]]:
        nonlocal allowed
        for row, found in answers:
            left_out.extend(rows_left_out(row, found.left_out))
            if isinstance(found, Refused):
                reason, value, threshold = found.verdict
                if reason == "other_language":
                    foreign[f"other_language_{found.language}"] += 1
                excerpt = f"{row['source']}: {found.excerpt}"
                dropped.append(Drop(row["doc_id"], reason, excerpt, value, threshold))
                continue
            allowed += found.allowed
            audit.extend({"doc_id": row["doc_id"], **span._asdict()} for span in found.spans)
            yield row | {"title": found.title, "text": found.text, "language": found.language}

    cleaned = table(Documents, kept()).sort("doc_id")
    redactions = table(Redactions, audit).sort("doc_id", "start")
    return Outcome(
        cast("DataFrame[Documents]", cleaned),
        drops(dropped),
        rows_in=ordered.height,
        metrics={
            "redactions": float(redactions.height),
            "redacted_documents": float(redactions["doc_id"].n_unique()),
            "redactions_allowed": float(allowed),
            **{name: float(count) for name, count in foreign.items()},
        },
        tables={
            "redactions": (Redactions, redactions),
            "left_out": (LeftOut, table(LeftOut, left_out).sort("doc_id", "kind")),
        },
    )


CLEAN = Stage(
    "clean", clean, Documents, {"documents": RawDocuments}, section="clean", dataset="documents"
)
