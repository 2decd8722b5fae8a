"""The chunk stage: documents become pieces that a teacher reads."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import EXCERPT, Drop, Outcome, drops, table
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.stage import Stage
from pipeline.core.workers import Failed
from pipeline.documents.chunk.splitter import Piece, cut
from pipeline.documents.parallel import limited, spread
from pipeline.settings import ChunkSettings
from pipeline.text.tokens import CountTokens
from schemas.documents import Chunks, UniqueDocuments

SECONDS = 60
"""For one document; a book of a million words takes about ten."""

MEGABYTES = 2048
"""Of one worker."""


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
    they are: the header of the table, the opening fence, what a list item says above the list in
    it, unless it takes more than a third of a chunk.

    Pieces below ``settings.join_tokens`` join the neighbour with the longer common heading path,
    as long as both fit; their section is then the common path, and the headings in between are
    part of the text. A heading with neither a body nor a section below it is a piece too. A piece
    that is still below ``settings.min_tokens`` is left out (metric ``too_short``), but not the
    whole of a document that is a sentence.

    ``count_tokens`` gives the length of a text by the tokenizer of the base model; worker
    processes call it, so that it has to pickle.

    Returns:
        Chunks sorted by document and place; ``text[start:end]`` of the document is in the text of
        the chunk, between what is repeated. ``rows_in`` and ``rows_kept`` count documents; a
        document without any chunk is dropped as ``no_chunk`` (value: its tokens, threshold:
        ``min_tokens``), and one that met a limit as ``chunk_timeout``, ``chunk_out_of_memory`` or
        ``chunk_crashed``. Metrics: ``chunks``, ``tokens``, ``too_short``.
    """
    dropped: list[Drop] = []
    too_short = 0
    ordered = documents.sort("doc_id")
    answers = spread(
        runner,
        partial(cut, settings=settings.plain(), count_tokens=count_tokens),
        ordered.select("text", "language"),
        seconds=SECONDS,
        megabytes=MEGABYTES,
    )

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal too_short
        for document, answer in zip(ordered.iter_rows(named=True), answers, strict=True):
            text: str = document["text"]
            if isinstance(answer, Failed):
                dropped.append(limited("chunk", document, answer))
                continue
            pieces, short, tokens = answer.value
            too_short += short
            if not pieces:
                excerpt = f"{document['source']}: {text}"[:EXCERPT]
                least = float(settings.min_tokens)
                dropped.append(Drop(document["doc_id"], "no_chunk", excerpt, float(tokens), least))
            yield from (_row(document, piece) for piece in pieces)

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


def _row(document: Mapping[str, Any], piece: Piece) -> dict[str, Any]:
    return {
        "chunk_id": short_id(document["doc_id"], str(piece.start), str(piece.end)),
        "doc_id": document["doc_id"],
        "title": document["title"],
        "section": " > ".join(piece.path),
        "start": piece.start,
        "end": piece.end,
        "text": piece.text(document["text"]),
        "tokens": piece.tokens,
    }


CHUNK = Stage("chunk", chunk, Chunks, {"documents": UniqueDocuments}, "chunk", dataset="chunks")
