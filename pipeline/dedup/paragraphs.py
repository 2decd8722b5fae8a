"""Repeated paragraphs: boilerplate that occurs in many documents, counted and taken out.

Near-duplicate detection compares whole documents; a licence note or a footer in five hundred
otherwise different pages stays. Other corpora know paragraphs by a hash as well: CCNet drops each
that was seen before (Wenzek et al. 2020), C4 all but one of each span of three sentences (Raffel
et al. 2020). On the paragraphs of manuals that is too much: two pages may share a warning for
good reason. So a paragraph has to occur in ``min_documents``, and it is reported first.

Paragraphs are equal when case and white space are all that differs. Numbers and signs count,
where CCNet and :mod:`pipeline.text.words` overlook them: "opens at 5 bar" and "opens at 6
bar" are two facts, and what is taken out here is not compared again.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import EXCERPT, Drop, Outcome, drops
from pipeline.core.progress import advance
from pipeline.core.stage import Stage
from pipeline.dedup.runners import threads
from pipeline.documents.clean.quality import Verdict
from pipeline.settings import ParagraphSettings
from schemas.documents import Documents
from schemas.paragraphs import RepeatedParagraphs

if TYPE_CHECKING:
    from pipeline.dedup.blocks import Blocks

SLICE_ROWS = 2_000
"""Documents of one call: a few megabytes, so that the cores share the work."""

SHOWN_SOURCES = 3
"""Sources named of each repeated paragraph."""

BODY = 9
"""Level of what is no heading: below all headings."""


def find_repeated(
    documents: DataFrame[Documents], settings: ParagraphSettings
) -> Outcome[RepeatedParagraphs]:
    """Find the paragraphs that occur in many documents.

    A paragraph is a block of Markdown: a run of lines without a blank one, be it prose, a list,
    a quotation or a table. Headings and code are none: "Overview" stands everywhere, and the
    same command under different steps belongs to each of them.

    Args:
        documents: cleaned documents, in any order.
        settings: section ``paragraphs``.

    Returns:
        Repeated paragraphs, those of most documents first; the ledger counts documents, of which
        none is dropped. Metrics: ``paragraphs`` (distinct ones that are repeated),
        ``occurrences``, ``spare_characters`` (of all occurrences but one of each).
    """
    ordered = documents.sort("source", "doc_id")
    least = max(settings.min_documents, int(np.ceil(settings.min_share * ordered.height)))
    found = _occurrences(ordered["text"], settings.min_words)
    repeated = (
        found.group_by("key")
        .agg(documents=pl.col("row").n_unique(), occurrences=pl.len())
        .filter(pl.col("documents") >= least)
    )
    names = ordered.select("doc_id", "source", row=pl.int_range(pl.len(), dtype=pl.Int32))
    holders = (
        found.join(repeated, on="key", how="semi")
        .unique()
        .group_by("key")
        .agg(pl.col("row").bottom_k(SHOWN_SOURCES).sort())
        .with_columns(first=pl.col("row").list.first())
    )
    sources = (
        holders.select("key", "row")
        .explode("row")
        .join(names, on="row")
        .sort("row")
        .group_by("key", maintain_order=True)
        .agg(pl.col("doc_id").first(), sources=pl.col("source"))
    )
    texts = _first_texts(ordered["text"], holders.select("key", "first"), settings.min_words)
    kept = (
        repeated.join(sources, on="key")
        .join(texts, on="key")
        .with_columns(pl.col("key").map_elements("{:016x}".format, return_dtype=pl.String))
        .sort(["documents", "characters", "key"], descending=[True, True, False])
        .cast({name: pl.Int64 for name in ("documents", "occurrences", "words", "characters")})
        .select(RepeatedParagraphs.columns())
    )
    spare = ((kept["occurrences"] - 1) * kept["characters"]).sum()
    return Outcome(
        cast("DataFrame[RepeatedParagraphs]", kept),
        drops([]),
        rows_in=documents.height,
        rows_kept=documents.height,
        metrics={
            "paragraphs": float(kept.height),
            "occurrences": float(kept["occurrences"].sum()),
            "spare_characters": float(spare),
        },
    )


def trim(
    documents: DataFrame[Documents],
    repeated: DataFrame[RepeatedParagraphs],
    judge: Callable[[str], Verdict | None],
) -> Outcome[Documents]:
    """Take repeated paragraphs out of all documents but one.

    The first occurrence stays, in the document whose source sorts first, so that nothing vanishes
    from the corpus: the warranty can still be asked about. A heading goes with the last paragraph
    under it.

    Args:
        documents: those that ``repeated`` was found in.
        repeated: of :func:`find_repeated`.
        judge: what cleaning asks of the length of a text: what a shorter one breaks, or None.

    Returns:
        Documents sorted by ``doc_id``, the ids unchanged. A document of which too little is left
        is dropped as ``only_repeated_paragraphs`` (value and threshold of ``judge``; related: the
        document in which the first of its repeated paragraphs stays). Metrics: ``paragraphs`` and
        ``characters`` that were taken out, ``documents`` that lost some, dropped ones included.
    """
    ordered = documents.sort("doc_id")
    holders = {int(key, 16): holder for key, holder in repeated.select("key", "doc_id").rows()}
    least_words = cast("int", repeated["words"].min() or 1)
    texts: dict[int, str] = {}
    dropped: list[Drop] = []
    taken = characters = changed = 0
    for row, cut in _trimmed(ordered, holders, least_words):
        before = ordered["text"][row]
        changed += 1
        taken += cut.paragraphs
        characters += len(before) - len(cut.text)
        verdict = judge(cut.text) if cut.text else Verdict("empty", 0, 1)
        if verdict is None:
            texts[row] = cut.text
            continue
        doc_id, source = ordered.select("doc_id", "source").row(row)
        dropped.append(
            Drop(
                doc_id,
                "only_repeated_paragraphs",
                f"{source}: {before}",
                verdict.value,
                verdict.threshold,
                cut.stays_in,
            )
        )
    text = ordered["text"].scatter(list(texts), list(texts.values()))
    gone = [drop.id for drop in dropped]
    kept = ordered.with_columns(text).filter(~pl.col("doc_id").is_in(gone))
    return Outcome(
        cast("DataFrame[Documents]", kept),
        drops(dropped),
        rows_in=ordered.height,
        metrics={
            "paragraphs": float(taken),
            "characters": float(characters),
            "documents": float(changed),
        },
    )


class _Cut(NamedTuple):
    """A document without its repeated paragraphs."""

    text: str
    paragraphs: int
    stays_in: str
    """Document that the first of them stays in."""


def _blocks(texts: pl.Series, least_words: int) -> Iterator[tuple[int, "Blocks"]]:
    """Yield the blocks of slices of texts, with the row where each slice begins."""
    from pipeline.dedup.blocks import blocks_of  # numba takes a moment to load

    begins = range(0, len(texts), SLICE_ROWS)
    calls = ((texts[begin : begin + SLICE_ROWS], least_words) for begin in begins)
    for begin, blocks in zip(begins, threads(blocks_of, calls), strict=True):
        yield begin, blocks
        advance(min(begin + SLICE_ROWS, len(texts)), len(texts), "documents")


def _occurrences(texts: pl.Series, least_words: int) -> pl.DataFrame:
    """Return ``key`` and ``row`` of each paragraph of enough words."""
    schema = {"key": pl.UInt64, "row": pl.Int32}
    parts = [pl.DataFrame(schema=schema)]
    for begin, blocks in _blocks(texts, least_words):
        keyed = np.flatnonzero(blocks.keys)
        columns = {"key": blocks.keys[keyed], "row": blocks.rows[keyed] + np.int32(begin)}
        parts.append(pl.DataFrame(columns, schema=schema))
    return pl.concat(parts)


def _first_texts(texts: pl.Series, firsts: pl.DataFrame, least_words: int) -> pl.DataFrame:
    """Return ``key``, ``text`` (its start), ``words`` and ``characters`` of paragraphs.

    Args:
        texts: of all documents.
        firsts: ``key``, and ``first``, the row of a text that has it.
        least_words: words that a paragraph has at least.
    """
    wanted = firsts["key"].to_numpy()
    rows: dict[int, tuple[str, int, int]] = {}
    for _, blocks in _blocks(texts.gather(firsts["first"].unique()), least_words):
        for block in np.flatnonzero(np.isin(blocks.keys, wanted)).tolist():
            key = int(blocks.keys[block])
            if key not in rows:
                text = blocks.text(block)
                rows[key] = (text[:EXCERPT], int(blocks.words[block]), len(text))
    return pl.DataFrame(
        [(key, *row) for key, row in rows.items()],
        schema={"key": pl.UInt64, "text": pl.String, "words": pl.Int64, "characters": pl.Int64},
        orient="row",
    )


def _trimmed(
    documents: pl.DataFrame, holders: dict[int, str], least_words: int
) -> Iterator[tuple[int, _Cut]]:
    """Yield the rows of documents that lose paragraphs, and what is left of each.

    Args:
        documents: ``doc_id`` and ``text``.
        holders: document in which a paragraph stays, by its key.
        least_words: words that a paragraph has at least.
    """
    wanted = np.array(sorted(holders), dtype=np.uint64)
    for begin, blocks in _blocks(documents["text"], least_words):
        hits = np.flatnonzero(np.isin(blocks.keys, wanted))
        rows, firsts = np.unique(blocks.rows[hits], return_index=True)
        edges = [*firsts.tolist(), len(hits)]
        for row, (one, end) in zip(rows.tolist(), pairwise(edges), strict=True):
            own = hits[one:end]
            doc_id = documents["doc_id"][begin + row]
            spare = list(_spare(blocks.keys[own], doc_id, holders))
            if not any(spare):
                continue
            first, last = np.searchsorted(blocks.rows, [row, row + 1])
            gone = set((own[spare]).tolist())
            text = _without(blocks, range(first, last), gone)
            holder = holders[int(blocks.keys[min(gone)])]
            yield begin + row, _Cut(text, sum(spare), holder)


def _spare(keys: NDArray[np.uint64], doc_id: str, holders: dict[int, str]) -> Iterator[bool]:
    """Tell for each repeated paragraph of a document whether it goes."""
    seen: set[int] = set()
    for key in keys.tolist():
        yield key in seen or holders[key] != doc_id
        seen.add(key)


def _without(blocks: "Blocks", own: Sequence[int], gone: set[int]) -> str:
    """Return the blocks of a document without some, and without headings over nothing else."""
    from pipeline.dedup.blocks import CODE, TEXT

    kept: list[int] = []
    below, emptied = 0, False  # level of the block kept last; whether some went since
    for block in reversed(own):
        kind = int(blocks.kinds[block])
        level = BODY if kind in (TEXT, CODE) else kind
        over_nothing = emptied and level < BODY and below <= level
        if block in gone or over_nothing:
            emptied = True
            continue
        kept.append(block)
        below, emptied = level, False
    return _joined(blocks, kept[::-1])


def _joined(blocks: "Blocks", kept: list[int]) -> str:
    """Return blocks as they stand in their text, with a blank line where others were between."""
    pieces: list[str] = []
    for place, block in enumerate(kept):
        pieces.append(blocks.text(block))
        if place + 1 < len(kept):
            following = kept[place + 1]
            between = blocks.data[blocks.stops[block] : blocks.starts[following]]
            adjacent = following == block + 1
            pieces.append(between.tobytes().decode() if adjacent else "\n\n")
    return "".join(pieces)


PARAGRAPHS = Stage(
    "paragraphs",
    find_repeated,
    RepeatedParagraphs,
    {"documents": Documents},
    section="paragraphs",
    dataset="repeated_paragraphs",
)
TRIM = Stage(
    "trim",
    trim,
    Documents,
    {"documents": Documents, "repeated": RepeatedParagraphs},
    dataset="trimmed_documents",
)
