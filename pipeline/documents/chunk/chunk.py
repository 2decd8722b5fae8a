"""The chunk stage: documents become pieces that a teacher reads."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import EXCERPT, Drop, Outcome, drops, table
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.stage import Stage
from pipeline.documents.chunk.splitter import cut
from pipeline.documents.parallel import spread
from pipeline.settings import ChunkSettings
from pipeline.text.tokens import CountTokens
from schemas.documents import Chunks, UniqueDocuments

SECONDS = 60
"""For one document; a book of a million words takes about ten."""


def chunk(
    documents: DataFrame[UniqueDocuments],
    settings: ChunkSettings,
    count_tokens: CountTokens,
    runner: Runner = LOCAL,
) -> Outcome[Chunks]:
    """Cut Markdown texts into chunks of at most ``settings.max_tokens`` tokens.

    A chunk holds whole blocks (paragraph, list, table, code) of one section. A block that is too
    long is cut between items, rows, sentences, or lines of code where a function is likely to
    begin, and a sentence that is too long between words. The later parts repeat what tells what
    they are, such as the header of the table, unless that takes more than a third of a chunk.

    Pieces below ``settings.join_tokens`` join the neighbour with the longer common heading path,
    as long as both fit; headings below that path are part of the text. A piece that is still below
    ``settings.min_tokens`` is left out (metric ``too_short``), but not the whole of a document that
    is a sentence. ``count_tokens``, by the tokenizer of the base model, has to pickle.

    Returns:
        Chunks sorted by document and place; ``text[start:end]`` of the document is in the text of
        the chunk, between what is repeated. Documents are counted and dropped: ``no_chunk`` (value:
        tokens), ``chunk_timeout``, ``chunk_out_of_memory``, ``chunk_crashed``. Metrics: ``chunks``,
        ``tokens``, ``too_short``.
    """
    dropped: list[Drop] = []
    too_short = 0
    ordered = documents.sort("doc_id")
    answers = spread(
        "chunk",
        runner,
        partial(cut, settings=settings.plain(), count_tokens=count_tokens),
        ordered,
        dropped,
        seconds=SECONDS,
        megabytes=2048,
    )

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal too_short
        for document, (pieces, short, tokens) in answers:
            too_short += short
            if not pieces:
                excerpt = f"{document['source']}: {document['text']}"[:EXCERPT]
                limit = float(tokens), float(settings.min_tokens)
                dropped.append(Drop(document["doc_id"], "no_chunk", excerpt, *limit))
            for piece in pieces:
                text = document["text"][piece.start : piece.end]
                yield {
                    "chunk_id": short_id(document["doc_id"], str(piece.start), str(piece.end)),
                    "doc_id": document["doc_id"],
                    "title": document["title"],
                    "section": " > ".join(piece.path),
                    "start": piece.start,
                    "end": piece.end,
                    "text": f"{piece.before}{text}{piece.after}",
                    "tokens": piece.tokens,
                }

    chunks = table(Chunks, rows())
    return Outcome(
        chunks,
        drops(dropped),
        rows_in=documents.height,
        rows_kept=documents.height - len(dropped),
        metrics={
            "chunks": chunks.height,
            "tokens": int(chunks["tokens"].sum()),
            "too_short": too_short,
        },
    )


CHUNK = Stage("chunk", chunk, Chunks, {"documents": UniqueDocuments}, "chunk", dataset="chunks")
