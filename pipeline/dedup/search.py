"""Find the duplicates among texts: text in, what stays for each out."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.core.progress import advance
from pipeline.core.runner import LOCAL, Runner
from pipeline.dedup.arrays import Duplicates, all_distinct
from pipeline.dedup.buckets import Buckets, components, links, opened_buckets
from pipeline.dedup.containment import Accepted, Corpus, drop_contained
from pipeline.dedup.minhash import (
    Signed,
    bands,
    key_slice,
    sign_slice,
    verify_slice,
)
from pipeline.dedup.sharing import SAMPLED, Samples
from pipeline.dedup.slices import ranges, slices
from pipeline.settings import DedupSettings


class TooManyAlike(Exception):
    """A cluster above the limit; caught where the message is written, never beyond."""

    def __init__(self, rows: NDArray[np.int64]) -> None:
        super().__init__(f"{len(rows)} rows")
        self.rows = rows


def find_duplicates(
    texts: pl.Series,
    order: NDArray[np.int64],
    settings: DedupSettings,
    *,
    limit: int,
    runner: Runner = LOCAL,
    accepted: Accepted | None = None,
) -> Duplicates:
    """Return what stays for each text.

    Signatures of all texts are sorted by bands; texts that a chain of shared buckets connects
    are compared by their true similarity, and clusters grow along pairs that reach the
    threshold. Of those that stay, one goes for a longer one that holds nearly all of its words.
    The result depends neither on the runner nor on the memory.

    Args:
        texts: strings.
        order: place of each row in the order of survival: the smallest of a cluster survives,
            of equal ones the first.
        settings: section ``dedup``.
        limit: distinct texts that a cluster may have.
        runner: who computes.
        accepted: texts that stay whatever comes: a row of theirs counts on from the last one of
            ``texts`` and survives before any of these.

    Raises:
        TooManyAlike: a cluster is above the limit.
    """
    rows = len(texts)
    with ExitStack() as stack:
        buckets, sampled = empty_buckets(texts, settings, stack)
        samples = Samples(sampled, rows, accepted)
        linked: list[NDArray[np.int64]] = []
        signatures = np.empty(rows, dtype=np.uint64)
        for begin, end, signed in signed_slices(texts, settings, runner):
            own = np.arange(begin, end)
            signatures[begin:end] = signed.whole
            buckets.add(signed.keys, own[:, None])
            if settings.containment:
                samples.add(signed.sample, np.repeat(own, signed.sizes))
            if accepted is not None:
                linked.append(accepted.links(signed.keys) + np.array([begin, rows]))
        linked += runner.each(links, buckets.parts())
        original = _originals(texts, signatures, order, runner)
        pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *linked])
        corpus = Corpus(texts, order, accepted)
        result = _similar(corpus, pairs, original, limit, settings, runner)
        if settings.containment:
            drop_contained(corpus, samples, result, settings, runner)
    return result


def _similar(
    corpus: Corpus,
    pairs: NDArray[np.int64],
    original: NDArray[np.int64],
    limit: int,
    settings: DedupSettings,
    runner: Runner,
) -> Duplicates:
    """Return the clusters of similar texts among pairs that share a bucket."""
    rows = len(corpus.own)
    # Copies share all buckets: the best of them stands for all.
    names = np.arange(rows + (0 if corpus.accepted is None else len(corpus.accepted)))
    names[:rows] = original
    pairs = names[pairs]
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    result = all_distinct(rows)
    members, begins = components(pairs, len(names))
    candidates = _Candidates(members, begins, corpus.texts(members), corpus.ranks(members))
    for members, verified in _verified(candidates, limit, settings, runner):
        own = members < rows  # an accepted text is no row of the result
        new = members[own]
        nearest = verified.nearest[own]
        result.survivor[new] = members[verified.survivor[own]]
        result.similarity[new] = verified.similarity[own]
        result.exact[new] = verified.exact[own]
        result.nearest[new] = np.where(nearest < 0, -1, members[nearest])
        result.nearest_similarity[new] = verified.nearest_similarity[own]
    copies = np.flatnonzero(original != np.arange(rows))
    result.exact[copies] = True
    result.survivor[copies] = result.survivor[original[copies]]
    result.similarity[copies] = result.similarity[original[copies]]
    return result


def empty_buckets(
    texts: pl.Series, settings: DedupSettings, stack: ExitStack
) -> tuple[Buckets, Buckets]:
    """Return buckets for the bands of texts and for the samples of their shingles."""
    count, _ = bands(settings.num_perm, settings.candidate_threshold)
    sampled = int(texts.str.len_bytes().sum()) // (6 * SAMPLED)  # a word is six bytes
    keys = (len(texts) * count, sampled)
    first, second = (stack.enter_context(opened_buckets(len(texts), need)) for need in keys)
    return first, second


def signed_slices(
    texts: pl.Series, settings: DedupSettings, runner: Runner
) -> Iterator[tuple[int, int, Signed]]:
    """Yield the signatures of texts slice by slice, with the rows where each begins and ends."""
    bounds = slices(texts)
    calls = ((texts[begin:end], settings) for begin, end in bounds)
    for (begin, end), signed in zip(bounds, runner.each(sign_slice, calls), strict=True):
        yield begin, end, signed
        advance(end, len(texts), "documents")


def _originals(
    texts: pl.Series, whole: NDArray[np.uint64], order: NDArray[np.int64], runner: Runner
) -> NDArray[np.int64]:
    """Return for each row the best of those with the same text but for case and white space."""
    original = np.arange(len(texts))
    # Texts with the same words in the same order have the same signature: few are looked at.
    suspects = np.flatnonzero(pl.Series(whole).is_duplicated().to_numpy())
    if len(suspects) == 0:
        return original
    chosen = texts.gather(suspects)
    calls = ((chosen[begin:end],) for begin, end in slices(chosen))
    keys = np.concatenate(list(runner.each(key_slice, calls)))
    by_key = np.lexsort((suspects, order[suspects], keys[:, 1], keys[:, 0]))
    ordered = keys[by_key]
    first = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    best = by_key[np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))]
    original[suspects[by_key]] = suspects[best]
    return original


class _Candidates(NamedTuple):
    """The texts to compare, one component behind the other, accepted ones among them."""

    members: NDArray[np.int64]
    """Row of each."""
    begins: NDArray[np.int64]
    texts: pl.Series
    order: NDArray[np.int64]


def _verified(
    candidates: _Candidates, limit: int, settings: DedupSettings, runner: Runner
) -> Iterator[tuple[NDArray[np.int64], Duplicates]]:
    """Yield the rows of some components and what their comparison gave, until all are done."""
    members, begins, texts, order = candidates
    ends = np.cumsum(texts.str.len_bytes().to_numpy(), dtype=np.int64)[begins[1:] - 1]
    stops = begins.tolist()
    batches = [(first, end, slice(stops[first], stops[end])) for first, end in ranges(ends)]
    calls = (
        (texts[own], begins[first : end + 1] - begins[first], order[own], limit, settings)
        for first, end, own in batches
    )
    for (_, _, own), result in zip(batches, runner.each(verify_slice, calls), strict=True):
        oversized = np.flatnonzero(result.survivor < 0)
        if len(oversized):
            raise TooManyAlike(members[own][oversized])
        yield members[own], result
        advance(own.stop, len(members), "candidates")
