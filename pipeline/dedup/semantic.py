"""Semantic near duplicates: documents that say the same in other words.

As in SemDeDup (Abbas et al. 2023) documents are compared by the cosine of their embeddings, each
with each: 20 s for 50,000 on two cores. As in semhash, each document that goes is similar to the
very one that stays for it: similar is not transitive, and chains of it have joined whole
collections. And since an embedding overlooks what a manual is about, the pair must also name the
same things (:mod:`pipeline.dedup.specifics`).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.outcome import EXCERPT, Outcome
from pipeline.core.progress import advance
from pipeline.core.stage import Stage
from pipeline.dedup.embedding import LANGUAGE, embed
from pipeline.dedup.precedence import SMALL_CLUSTER, survival_order, survivors
from pipeline.dedup.specifics import facts, same_facts, same_wording
from pipeline.settings import SemanticSettings
from schemas.documents import NearMisses, UniqueDocuments

NEAR = 0.05  # how far below the threshold a pair is still worth a look

TRIED = 20
"""Most similar documents that one is compared with by facts and wording: a template has
thousands of pages that are all alike, and of one fact or another none is a copy."""

SIMILARITIES = 1 << 24  # computed at once: 64 MB


class Found(NamedTuple):
    """What was found of each document; arrays by row."""

    survivor: NDArray[np.int64]  # the row that stays for it: itself when it is kept
    similarity: NDArray[np.float64]  # with the survivor
    nearest: NDArray[np.int64]  # the most similar row that a kept one is no copy of, -1: none close
    nearest_similarity: NDArray[np.float64]


def deduplicate_meaning(
    documents: DataFrame[UniqueDocuments],
    settings: SemanticSettings,
    preferred_sources: tuple[str, ...] = (),
) -> Outcome[UniqueDocuments]:
    """Drop documents that say the same as one that stays, in other words.

    Documents are taken in the order of survival. One goes when the cosine of its embedding with
    that of a document that stays is at least ``settings.threshold``, both name the same numbers,
    identifiers and names, and they are not one wording with a few edits, about which
    deduplication has decided. Only English is compared, which is what the embedding knows.

    Returns:
        Survivors sorted by ``doc_id``; ``cluster_size`` counts what they stay for. Dropped rows
        (``semantic_duplicate``) have the cosine as value and their survivor as ``related_id``.
        The table ``near_misses`` has for each document that stays the most similar one that is no
        copy of it, down to 0.05 below the threshold.

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
        id="doc_id",
        reason=pl.lit("semantic_duplicate"),
        excerpt=pl.concat_str("source", pl.lit(": "), pl.col("text").str.head(EXCERPT)),
        value=pl.Series(found.similarity[gone]),
        threshold=pl.lit(settings.threshold),
        related_id=ids.gather(found.survivor[gone]),
    )
    misses = _near_misses(ids, found)
    return survivors(rows, dropped, misses, compared=known.height, semantic=dropped.height)


def _find(known: pl.DataFrame, settings: SemanticSettings, limit: int) -> Found:
    count = known.height
    found = Found(np.arange(count), np.ones(count), np.full(count, -1), np.zeros(count))
    texts = known["text"]
    read = lru_cache(maxsize=4_096)(lambda row: facts(texts[row]))
    sizes = np.ones(count, dtype=np.int64)
    for row, kept in _walk(embed(texts), settings.threshold - NEAR, found):
        advance(row + 1, count, "documents compared")
        for other, similarity in kept:
            pair = read(row), read(other)
            alike = similarity >= settings.threshold
            if alike and same_facts(*pair) and not same_wording(*pair):
                found.survivor[row], found.similarity[row] = other, similarity
                found.nearest[row] = -1
                sizes[other] += 1
                if sizes[other] > limit:
                    raise _alarm(known["source"].filter(found.survivor == other), limit)
                break
            if found.nearest[row] < 0:
                found.nearest[row], found.nearest_similarity[row] = other, similarity
    return found


def _walk(
    vectors: NDArray[np.float32], least: float, found: Found
) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Yield each row with the rows that stay and are similar to it, best first.

    ``vectors`` of length 1 are in the order of survival. Whether a row stays is read from ``found``
    after it was yielded.
    """
    stays = np.zeros(len(vectors), dtype=bool)
    block = max(1, SIMILARITIES // max(1, len(vectors)))
    for begin in range(0, len(vectors), block):
        end = begin + block
        for row, alike in enumerate(vectors[begin:end] @ vectors[:end].T, start=begin):
            close = np.flatnonzero((alike >= least) & stays[: len(alike)])
            best = close[np.argsort(-alike[close], kind="stable")[:TRIED]]
            yield row, [(int(other), min(1.0, float(alike[other]))) for other in best]
            stays[row] = found.survivor[row] == row


def _near_misses(ids: pl.Series, found: Found) -> pl.DataFrame:
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
