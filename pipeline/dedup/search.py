"""Find the duplicates among texts: text in, what stays for each out."""

from contextlib import ExitStack

import numpy as np
import polars as pl

from pipeline.core.progress import advance
from pipeline.core.runner import LOCAL, Runner
from pipeline.dedup import minhash
from pipeline.dedup.arrays import Duplicates, Hashes, Rows, all_distinct
from pipeline.dedup.buckets import components, links
from pipeline.dedup.containment import Corpus, Samples, drop_contained
from pipeline.dedup.index import NOTHING, Index
from pipeline.settings import DedupSettings


class TooManyAlike(Exception):
    """A cluster above the limit; caught where the message is written, never beyond."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(f"{len(rows)} rows")
        self.rows = rows


def find_duplicates(
    texts: pl.Series,
    order: Rows,
    settings: DedupSettings,
    *,
    limit: int,
    runner: Runner = LOCAL,
    accepted: Index = NOTHING,
) -> Duplicates:
    """Return what stays for each text; the result depends neither on the runner nor on the memory.

    Texts that a chain of shared MinHash buckets connects are compared by the true Jaccard
    similarity of their word n-grams, and clusters grow along pairs that reach the threshold, unless
    their numbers differ by more than their words. Of those that stay, one goes for a longer one
    that holds ``settings.containment`` of its words.

    The smallest of a cluster in ``order`` survives, of equal ones the first. ``accepted`` texts
    count on from the last one of ``texts`` and survive before any of these. TooManyAlike is raised
    for a cluster of more distinct texts than ``limit``.
    """
    rows = len(texts)
    with ExitStack() as stack:
        buckets, sampled = minhash.empty_buckets(texts, settings, stack)
        samples = Samples(sampled, rows, accepted)
        linked: list[Rows] = []
        signatures = np.empty(rows, dtype=np.uint64)
        for begin, end, signed in minhash.signed_slices(texts, settings, runner):
            own = np.arange(begin, end)
            signatures[begin:end] = signed.whole
            buckets.add(signed.keys, own[:, None])
            if settings.containment:
                samples.add(signed.sample, np.repeat(own, signed.sizes))
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
    corpus: Corpus, pairs: Rows, original: Rows, limit: int, settings: DedupSettings, runner: Runner
) -> Duplicates:
    """Return the clusters of similar texts among pairs that share a bucket."""
    rows = len(corpus.own)
    # Copies share all buckets: the best of them stands for all.
    names = np.arange(rows + len(corpus.accepted))
    names[:rows] = original
    pairs = names[pairs]
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    result = all_distinct(rows)
    members, begins = components(pairs, len(names))
    texts, order = corpus.texts(members), corpus.ranks(members)
    ends = np.cumsum(texts.str.len_bytes().to_numpy(), dtype=np.int64)[begins[1:] - 1]
    stops = begins.tolist()
    batches = [(first, end, slice(stops[first], stops[end])) for first, end in minhash.ranges(ends)]
    calls = (
        (texts[part], begins[first : end + 1] - begins[first], order[part], limit, settings)
        for first, end, part in batches
    )
    verify = minhash.verify_slice
    for (_, _, part), verified in zip(batches, runner.each(verify, calls), strict=True):
        batch = members[part]
        if (oversized := verified.survivor < 0).any():
            raise TooManyAlike(batch[oversized])
        own = batch < rows  # an accepted text is no row of the result
        new, nearest = batch[own], verified.nearest[own]
        result.survivor[new] = batch[verified.survivor[own]]
        result.similarity[new] = verified.similarity[own]
        result.exact[new] = verified.exact[own]
        result.nearest[new] = np.where(nearest < 0, -1, batch[nearest])
        result.nearest_similarity[new] = verified.nearest_similarity[own]
        advance(part.stop, len(members), "candidates")
    copies = np.flatnonzero(original != np.arange(rows))
    result.exact[copies] = True
    result.survivor[copies] = result.survivor[original[copies]]
    result.similarity[copies] = result.similarity[original[copies]]
    return result


def _originals(texts: pl.Series, whole: Hashes, order: Rows, runner: Runner) -> Rows:
    """Return for each row the best of those with the same text but for case and white space."""
    original = np.arange(len(texts))
    # Texts with the same words in the same order have the same signature: few are looked at.
    suspects = np.flatnonzero(pl.Series(whole).is_duplicated().to_numpy())
    if len(suspects) == 0:
        return original
    chosen = texts.gather(suspects)
    calls = ((chosen[begin:end],) for begin, end in minhash.slices(chosen))
    keys = np.concatenate(list(runner.each(minhash.key_slice, calls)))
    by_key = np.lexsort((suspects, order[suspects], keys[:, 1], keys[:, 0]))
    ordered = keys[by_key]
    first = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    best = by_key[np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))]
    original[suspects[by_key]] = suspects[best]
    return original
