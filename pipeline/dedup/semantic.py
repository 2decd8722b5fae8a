"""Semantic near duplicates: documents that say the same in other words.

As in SemDeDup (Abbas et al. 2023) documents are compared by the cosine of their embeddings, within
cells of a k-means clustering when they are many. As in semhash, each document that goes is
similar to the very one that stays for it: similar is not transitive, and chains of it have joined
whole collections. And since an embedding overlooks what a manual is about, the pair must also
name the same things (:mod:`pipeline.dedup.specifics`).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.outcome import EXCERPT, Outcome, ledger
from pipeline.core.progress import advance
from pipeline.core.stage import Stage
from pipeline.dedup.embedding import LANGUAGE, embed
from pipeline.dedup.precedence import survival_order
from pipeline.dedup.specifics import Facts, facts, same_facts, same_wording
from pipeline.settings import SemanticSettings
from schemas.documents import NearMisses, UniqueDocuments

SMALL_CLUSTER = 20
"""A cluster up to this size is never an alarm, however small the corpus."""

NEAR = 0.05
"""How far below the threshold a pair is still worth a look."""

TRIED = 20
"""Most similar documents that one is compared with by facts and wording: a template has
thousands of pages that are all alike, and of one fact or another none is a copy."""

BLOCK = 1_024
"""Documents whose similarities are computed at once, with ``WIDTH`` others."""

WIDTH = 16_384
"""64 MB of similarities in a block."""

EXACT = 50_000
"""Documents up to which each is compared with each: 6e11 operations, about 20 s on two cores."""

CELL = 10_000
"""Documents of a cell on average where there are more (SemDeDup: 440 million in 50,000)."""


class Found(NamedTuple):
    """What was found of each document; arrays by row."""

    survivor: NDArray[np.int64]
    """The row that stays for it: itself when it is kept."""
    similarity: NDArray[np.float64]
    """With the survivor."""
    nearest: NDArray[np.int64]
    """The most similar row that a kept one is no copy of, -1: none close."""
    nearest_similarity: NDArray[np.float64]


def deduplicate_meaning(
    documents: DataFrame[UniqueDocuments],
    settings: SemanticSettings,
    preferred_sources: tuple[str, ...] = (),
) -> Outcome[UniqueDocuments]:
    """Drop documents that say the same as one that stays, in other words.

    Documents are taken in the order of survival (the most preferred source, then the longest,
    then the smallest ``doc_id``). One goes when the cosine of its embedding with that of a
    document that stays is at least ``settings.threshold``, both name the same numbers,
    identifiers and names, and they are not one wording with a few edits, about which
    deduplication has decided. Only English is compared, which is what the embedding knows.

    Returns:
        Survivors sorted by ``doc_id``; ``cluster_size`` counts what they stay for. Dropped rows
        (``semantic_duplicate``) have the cosine as value and their survivor as ``related_id``.
        The table ``near_misses`` has for each document that stays the most similar one that is no
        copy of it, down to 0.05 below the threshold. Metrics: ``compared``, ``semantic``,
        ``near_misses``, ``largest_cluster``.

    Raises:
        InputError: the embedding is not installed, or more documents than ``max_cluster_share``
            (and more than 20) would go for one.
    """
    rows = documents.sort("doc_id")
    known = rows.filter(language=LANGUAGE)
    limit = int(max(SMALL_CLUSTER, settings.max_cluster_share * rows.height))
    order = np.argsort(survival_order(known, preferred_sources), kind="stable")
    found = _find(known[order], settings, limit)
    known = known[order]
    gone = np.flatnonzero(found.survivor != np.arange(known.height))
    ids = known["doc_id"]
    dropped = known[gone].select(
        "cluster_size",
        id="doc_id",
        reason=pl.lit("semantic_duplicate"),
        excerpt=pl.concat_str("source", pl.lit(": "), pl.col("text").str.head(EXCERPT)),
        value=pl.Series(found.similarity[gone]),
        threshold=pl.lit(settings.threshold),
        related_id=ids.gather(found.survivor[gone]),
    )
    copies = dropped.group_by(doc_id="related_id").agg(copies=pl.col("cluster_size").sum())
    kept = (
        rows.join(dropped.select(doc_id="id"), on="doc_id", how="anti")
        .join(copies, on="doc_id", how="left")
        .with_columns(cluster_size=pl.col("cluster_size") + pl.col("copies").fill_null(0))
        .select(UniqueDocuments.columns())
        .sort("doc_id")
    )
    near_misses = _near_misses(ids, found)
    return Outcome(
        cast("DataFrame[UniqueDocuments]", kept),
        ledger(dropped),
        rows_in=rows.height,
        metrics={
            "compared": float(known.height),
            "semantic": float(dropped.height),
            "near_misses": float(near_misses.height),
            "largest_cluster": float(cast("int", kept["cluster_size"].max() or 0)),
        },
        tables={"near_misses": (NearMisses, near_misses)},
    )


def _find(known: pl.DataFrame, settings: SemanticSettings, limit: int) -> Found:
    """Return what stays for each document.

    Raises:
        InputError: one stays for more.
    """
    count = known.height
    found = Found(np.arange(count), np.ones(count), np.full(count, -1), np.zeros(count))
    texts = known["text"]
    read = lru_cache(maxsize=4 * BLOCK)(lambda row: facts(texts[row]))
    sizes = np.ones(count, dtype=np.int64)
    done = 0
    vectors = embed(texts)
    for cell in _cells(vectors):
        least = settings.threshold - NEAR
        for row, kept in _walk(vectors[cell], least, found, cell):
            done += 1
            advance(done, count, "documents compared")
            for other, similarity in kept:
                if similarity >= settings.threshold and _is_copy(read(row), read(other)):
                    found.survivor[row], found.similarity[row] = other, similarity
                    found.nearest[row] = -1
                    sizes[other] += 1
                    if sizes[other] > limit:
                        raise _alarm(known["source"].filter(found.survivor == other), limit)
                    break
                if found.nearest[row] < 0:
                    found.nearest[row], found.nearest_similarity[row] = other, similarity
    return found


def _is_copy(one: Facts, other: Facts) -> bool:
    return same_facts(one, other) and not same_wording(one, other)


def _cells(vectors: NDArray[np.float32]) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each cell, in order; one cell holds all when they are few."""
    if len(vectors) <= EXACT:
        yield np.arange(len(vectors))
        return
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(-(-len(vectors) // CELL), random_state=0, n_init=1, batch_size=4_096)
    labels = means.fit_predict(vectors)
    for label in range(labels.max() + 1):
        yield np.flatnonzero(labels == label)


def _walk(
    vectors: NDArray[np.float32], least: float, found: Found, rows: NDArray[np.int64]
) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Yield each row with the most similar rows that stay, best first.

    Whether a row stays is read from ``found`` after it was yielded.

    Args:
        vectors: of a cell, of length 1, in the order of survival.
        least: similarity from which one counts.
        found: written by the caller.
        rows: which row of ``found`` each vector is of.
    """
    stay = np.empty(len(vectors), dtype=np.int64)  # places of those that stay so far
    count = 0
    for begin in range(0, len(vectors), BLOCK):
        block = vectors[begin : begin + BLOCK]
        near: list[list[tuple[float, int]]] = [[] for _ in block]
        for first in range(0, count, WIDTH):
            others = stay[first : min(first + WIDTH, count)]
            _collect(block @ vectors[others].T, others, least, near)
        within = block @ block.T
        before = count
        for place in range(len(block)):
            own = stay[before:count]
            _collect(within[place : place + 1, own - begin], own, least, near[place : place + 1])
            best = sorted(near[place], key=lambda item: (-item[0], item[1]))[:TRIED]
            row = int(rows[begin + place])
            yield row, [(int(rows[other]), similarity) for similarity, other in best]
            if found.survivor[row] == row:
                stay[count] = begin + place
                count += 1


def _collect(
    similarities: NDArray[np.float32],
    others: NDArray[np.int64],
    least: float,
    near: list[list[tuple[float, int]]],
) -> None:
    """Add the most similar others of each row to its list: ``TRIED`` at most."""
    if similarities.shape[1] == 0:
        return
    for row in np.flatnonzero(similarities.max(axis=1) >= least):
        close = np.flatnonzero(similarities[row] >= least)
        best = close[np.argsort(-similarities[row, close], kind="stable")[:TRIED]]
        pairs = zip(similarities[row, best].tolist(), others[best].tolist(), strict=True)
        near[row].extend((min(1.0, similarity), other) for similarity, other in pairs)


def _near_misses(ids: pl.Series, found: Found) -> pl.DataFrame:
    """Return each document that stays with the most similar one that is no copy of it."""
    row = np.flatnonzero(found.nearest >= 0)
    one, other = ids.gather(row), ids.gather(found.nearest[row])
    pairs = {"doc_id": one, "other_id": other, "similarity": found.nearest_similarity[row]}
    frame = pl.DataFrame(pairs, schema_overrides=NearMisses.dtypes())
    return frame.sort(["similarity", "doc_id"], descending=[True, False])


def _alarm(sources: pl.Series, limit: int) -> InputError:
    examples = ", ".join(sources.sort().head(3))
    return InputError(
        f"semantic: more than {limit} documents say the same as one (for example {examples}); "
        "expected at most that many, so these are likely pages of a template whose differences "
        "the embedding does not see; look at them, then leave them out (ingest.exclude), raise "
        "semantic.threshold, or, if they are copies, raise semantic.max_cluster_share"
    )


SEMANTIC = Stage(
    "semantic",
    deduplicate_meaning,
    UniqueDocuments,
    {"documents": UniqueDocuments},
    section="semantic",
    dataset="unique_documents",
)
