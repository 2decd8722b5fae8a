"""Keep one document of every cluster of exact and near duplicates."""

from collections import defaultdict
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from pandera.typing.polars import DataFrame

from pipeline.cache import short_id
from pipeline.dedup.clusters import Clusters
from pipeline.dedup.minhash import bands, candidate_pairs, signatures
from pipeline.dedup.shingles import jaccard, same_text, shingles
from pipeline.errors import InputError
from pipeline.outcome import Drop, Outcome, drops, table
from pipeline.settings import DedupSettings
from schemas.documents import Documents, UniqueDocuments

SMALL_CLUSTER = 20
"""A cluster up to this size is never an alarm, however small the corpus."""

Document = dict[str, Any]


class _Near(NamedTuple):
    clusters: Clusters
    edges: dict[tuple[int, int], float]
    """Verified edges: row numbers ``i < j`` and their Jaccard similarity."""
    candidates: int


def deduplicate(
    documents: DataFrame[Documents], settings: DedupSettings
) -> Outcome[UniqueDocuments]:
    """Keep one document of every cluster of duplicates.

    Documents with the same text but for case and white space are exact duplicates. Of what is
    left, documents that share a MinHash bucket are compared by the true Jaccard similarity of
    their word n-grams, and clusters grow along edges of at least ``settings.threshold`` only.
    The survivor is the one of the most preferred source, then the longest, then the one of the
    smallest ``doc_id``, so that the result does not depend on the order of the input.

    Args:
        documents: cleaned documents; sources must be distinct.
        settings: section ``dedup``.

    Returns:
        Survivors sorted by ``doc_id`` with ``cluster_id`` (hash of the survivor's source) and
        ``cluster_size`` (exact duplicates included). Dropped rows name the survivor of their
        cluster as ``related_id``: ``exact_duplicate`` (value and threshold 1: equal to a text
        that was kept or itself is a near duplicate of the survivor) and ``near_duplicate``
        (value: Jaccard similarity with the survivor, or the best verified edge where the two
        are linked through others only). Metrics: ``exact``, ``near``, ``candidates``,
        ``verified``, ``largest_cluster``.

    Raises:
        InputError: a cluster holds more distinct texts than ``max_cluster_share`` of the
            documents (and more than 20), or two documents have the same source.
    """
    rows: list[Document] = documents.sort("doc_id").to_dicts()
    _require_distinct_sources(rows)
    by_text: dict[str, list[Document]] = defaultdict(list)
    for row in rows:
        by_text[same_text(row["text"])].append(row)
    copies = [sorted(group, key=lambda row: _rank(row, settings)) for group in by_text.values()]
    originals = [group[0] for group in copies]
    near = _near_duplicates(
        originals, max(SMALL_CLUSTER, settings.max_cluster_share * len(rows)), settings
    )

    best_edge: dict[int, float] = defaultdict(float)
    for edge, similarity in near.edges.items():
        for end in edge:
            best_edge[end] = max(best_edge[end], similarity)
    kept: list[Document] = []
    dropped: list[Drop] = []
    for group in near.clusters.groups():
        best = min(group, key=lambda number: _rank(originals[number], settings))
        survivor = originals[best]
        for number in group:
            dropped += [
                Drop(
                    copy["doc_id"], "exact_duplicate", _excerpt(copy), 1.0, 1.0, survivor["doc_id"]
                )
                for copy in copies[number][1:]
            ]
            if number != best:
                edge = (min(number, best), max(number, best))
                dropped.append(
                    Drop(
                        originals[number]["doc_id"],
                        "near_duplicate",
                        _excerpt(originals[number]),
                        near.edges.get(edge, best_edge[number]),
                        settings.threshold,
                        survivor["doc_id"],
                    )
                )
        kept.append(
            survivor
            | {
                "cluster_id": short_id(survivor["source"]),
                "cluster_size": sum(len(copies[number]) for number in group),
            }
        )
    kept.sort(key=lambda row: row["doc_id"])
    return Outcome(
        table(UniqueDocuments, kept),
        drops(dropped),
        rows_in=len(rows),
        metrics={
            "exact": len(rows) - len(originals),
            "near": len(originals) - len(kept),
            "candidates": near.candidates,
            "verified": len(near.edges),
            "largest_cluster": max((row["cluster_size"] for row in kept), default=0),
        },
    )


def _near_duplicates(originals: list[Document], limit: float, settings: DedupSettings) -> _Near:
    sets = [shingles(row["text"], settings.ngram) for row in originals]
    matrix = signatures(sets, settings.num_perm, settings.seed)
    clusters = Clusters(len(originals))
    edges: dict[tuple[int, int], float] = {}
    candidates = 0
    for one, other in candidate_pairs(
        matrix, *bands(settings.num_perm, settings.candidate_threshold)
    ):
        candidates += 1
        similarity = jaccard(sets[one], sets[other])
        if similarity >= settings.threshold:
            edges[one, other] = similarity
            # Checked here and not at the end: ten thousand pages of one template would first
            # be compared fifty million times.
            if clusters.join(one, other) > limit:
                _alarm([originals[row] for row in clusters.members(one)], int(limit), settings)
    return _Near(clusters, edges, candidates)


def _alarm(members: list[Document], limit: int, settings: DedupSettings) -> None:
    examples = ", ".join(sorted(row["source"] for row in members)[:3])
    raise InputError(
        f"deduplicate: more than {limit} documents are near duplicates of each other "
        f"(for example {examples}); expected at most {limit} in one cluster, so this is likely "
        "a template or boilerplate and most of it would be lost; look at these files and leave "
        f"them out (ingest.exclude), raise dedup.threshold (now {settings.threshold:g}), or, if "
        "they are copies, raise dedup.max_cluster_share "
        f"(now {settings.max_cluster_share:g})"
    )


def _rank(row: Document, settings: DedupSettings) -> tuple[int, int, str]:
    """Return the place of a document in the order of survival: the smallest survives."""
    preferred = [
        place
        for place, glob in enumerate(settings.preferred_sources)
        if fnmatchcase(row["source"], glob)
    ]
    return min(preferred, default=len(settings.preferred_sources)), -len(row["text"]), row["doc_id"]


def _require_distinct_sources(rows: list[Document]) -> None:
    seen: set[str] = set()
    for row in rows:
        if row["source"] in seen:
            raise InputError(
                f"deduplicate: {row['source']} is the source of two documents; expected one "
                "document a source, since the source names the cluster; keep one version of the "
                "file"
            )
        seen.add(row["source"])


def _excerpt(row: Document) -> str:
    return f"{row['source']}: {row['text']}"
