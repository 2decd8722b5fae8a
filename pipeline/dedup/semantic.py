"""Semantic near duplicates: documents that say the same in other words.

As in SemDeDup (Abbas et al. 2023) documents are compared by the cosine of their embeddings, each
with each: 20 s for 50,000 on two cores. As in semhash, each document that goes is similar to the
very one that stays for it: chains of similar ones have joined whole collections. And since an
embedding overlooks what a manual is about, the pair must also name the same things
(:mod:`pipeline.dedup.specifics`).

A text's embedding is the mean of the vectors of its tokens, those of WordLlama (MIT licence): token
embeddings of large models, trained to be averaged. Its own loader asks the network for a tokenizer
that lies beside them in the wheel, so that the two files are read here and none of its code is.
"""

from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.outcome import EXCERPT, Outcome
from pipeline.core.progress import advance
from pipeline.core.stage import Stage
from pipeline.dedup.arrays import Duplicates, Rows, all_distinct
from pipeline.dedup.precedence import SMALL_CLUSTER, survival_order, survivors
from pipeline.dedup.specifics import facts, same_facts, same_wording
from pipeline.settings import SemanticSettings
from schemas.documents import NearMisses, UniqueDocuments

NEAR = 0.05  # how far below the threshold a pair is still worth a look
TRIED = 20
"""Most similar documents that one is compared with by facts and wording: a template has
thousands of pages that are all alike, and of one fact or another none is a copy."""
SIMILARITIES = 1 << 24  # computed at once: 64 MB
PACKAGE = "wordllama"
WEIGHTS = "wordllama/weights/l2_supercat_256.safetensors"
TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"
LANGUAGE = "en"  # the vectors were trained on English; of other languages they know little
BATCH = 64  # texts tokenized at once
LONGEST_WORD = 100  # characters of a word that count: what is longer is an address or data


def deduplicate_meaning(
    documents: DataFrame[UniqueDocuments],
    settings: SemanticSettings,
    preferred_sources: tuple[str, ...] = (),
) -> Outcome[UniqueDocuments]:
    """Drop documents that say the same as one that stays, in other words.

    Of English documents one goes when the cosine of its embedding with that of one that stays is at
    least ``settings.threshold``, both name the same numbers, identifiers and names, and they are
    not one wording with a few edits, about which deduplication has decided.

    Returns:
        Survivors sorted by ``doc_id``; ``cluster_size`` counts what they stay for. Dropped rows
        (``semantic_duplicate``) have the cosine as value and their survivor as ``related_id``.
        The table ``near_misses`` has the most similar document of each that stays, no copy of it.

    Raises:
        InputError: the embedding is not installed, or more documents than ``max_cluster_share``
            (and more than 20) would go for one.
    """
    rows = documents.sort("doc_id")
    known = rows.filter(language=LANGUAGE)
    limit = int(max(SMALL_CLUSTER, settings.max_cluster_share * rows.height))
    order = np.argsort(survival_order(known, preferred_sources), kind="stable")
    known = known[order]
    found = _find(known, settings, limit)
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


def _find(known: pl.DataFrame, settings: SemanticSettings, limit: int) -> Duplicates:
    """Return what stays for each document; similarities are cosines."""
    found, texts = all_distinct(known.height), known["text"]
    read = lru_cache(maxsize=4_096)(lambda row: facts(texts[row]))
    sizes = np.ones(known.height, dtype=np.int64)
    for row, kept in _walk(embed(texts), settings.threshold - NEAR, found.survivor):
        advance(row + 1, known.height, "documents compared")
        for other, similarity in kept:
            pair = read(row), read(other)
            alike = similarity >= settings.threshold
            if alike and same_facts(*pair) and not same_wording(*pair):
                found.survivor[row], found.similarity[row] = other, similarity
                found.nearest[row] = -1
                sizes[other] += 1
                if sizes[other] > limit:
                    sources = known["source"].filter(found.survivor == other)
                    raise InputError(
                        f"semantic: more than {limit} documents say the same as one (for example "
                        f"{', '.join(sources.sort().head(3))}); expected at most that many, so "
                        "these are likely pages of a template whose differences the embedding does "
                        "not see; look at them, then leave them out (ingest.exclude), raise "
                        "semantic.threshold, or, if they are copies, raise "
                        "semantic.max_cluster_share"
                    )
                break
            if found.nearest[row] < 0:
                found.nearest[row], found.nearest_similarity[row] = other, similarity
    return found


def _walk(
    vectors: NDArray[np.float32], least: float, survivor: Rows
) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Yield each row with the rows that stay and are similar to it, best first.

    ``vectors`` are in the order of survival; ``survivor`` is read after a row was yielded.
    """
    stays = np.zeros(len(vectors), dtype=bool)
    block = max(1, SIMILARITIES // max(1, len(vectors)))
    for begin in range(0, len(vectors), block):
        end = begin + block
        for row, alike in enumerate(vectors[begin:end] @ vectors[:end].T, start=begin):
            close = np.flatnonzero((alike >= least) & stays[: len(alike)])
            best = close[np.argsort(-alike[close], kind="stable")[:TRIED]]
            yield row, [(int(other), min(1.0, float(alike[other]))) for other in best]
            stays[row] = survivor[row] == row


def _near_misses(ids: pl.Series, found: Duplicates) -> pl.DataFrame:
    row = np.flatnonzero(found.nearest >= 0)
    one, other = ids.gather(row), ids.gather(found.nearest[row])
    pairs = {"doc_id": one, "other_id": other, "similarity": found.nearest_similarity[row]}
    frame = pl.DataFrame(pairs, schema_overrides=NearMisses.dtypes())
    return frame.sort(["similarity", "doc_id"], descending=[True, False])


def embedding_version() -> str:
    """Return which vectors are installed; an InputError without."""
    _located(WEIGHTS)
    return f"{PACKAGE} {metadata.version(PACKAGE)}"


def embed(texts: pl.Series) -> NDArray[np.float32]:
    """Return a vector of length 1 for each text (texts x 256); zeros for one without a token.

    InputError where the vectors are not installed.
    """
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    vectors = load_file(_located(WEIGHTS))["embedding.weight"].astype(np.float32)  # 32,000 x 256
    tokenizer = Tokenizer.from_file(str(_located(TOKENIZER)))
    sums = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    for begin in range(0, len(texts), BATCH):
        words = (text.split() for text in texts[begin : begin + BATCH])  # layout left out
        batch = [" ".join(word[:LONGEST_WORD] for word in own) for own in words]
        encoded = tokenizer.encode_batch(batch, add_special_tokens=False)
        for row, text in enumerate(encoded, start=begin):
            sums[row] = vectors[text.ids].sum(axis=0)
        advance(begin + len(batch), len(texts), "documents embedded")
    # The mean and the sum have the same direction.
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return sums


def _located(name: str) -> Path:
    """Return a file of the package, whose code is not run."""
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(name)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        found = "is not installed" if path is None else f"has no file {name}"
        raise InputError(
            f"semantic.enabled: {PACKAGE}, which holds the vectors of words, {found}; expected "
            "the extra `semantic`; run `pip install 'tuneloop[semantic]'`, or set "
            "semantic.enabled to false"
        )
    return path


SEMANTIC = Stage(
    "semantic",
    deduplicate_meaning,
    UniqueDocuments,
    {"documents": UniqueDocuments},
    section="semantic",
    dataset="unique_documents",
)
