"""What is found depends neither on who computes nor on the memory nor on slices."""

import json
import random

import numpy as np
import polars as pl
import pytest

from pipeline.core.memory import bounded
from pipeline.core.progress import listening
from pipeline.core.runner import Inline, Processes
from pipeline.dedup import buckets, minhash
from pipeline.dedup.arrays import Duplicates
from pipeline.dedup.minhash import bands_for
from pipeline.dedup.search import TooManyAlike, find_duplicates
from pipeline.settings import DedupSettings
from tests.pipeline.dedup.corpus import edited, prose

DEFAULT = DedupSettings()


def planted(count: int) -> pl.Series:
    """Texts with copies, near copies, and texts that are merely alike."""
    texts = [prose(seed) for seed in range(count)]
    for seed in range(0, count, 4):
        texts += [prose(seed).upper(), edited(prose(seed), 2), edited(prose(seed), 5, seed)]
    random.Random(3).shuffle(texts)
    return pl.Series(texts)


def order(texts: pl.Series) -> np.ndarray:
    return -texts.str.len_chars().cast(pl.Int64).to_numpy()


def find(texts: pl.Series, settings: DedupSettings = DEFAULT, **options) -> Duplicates:
    return find_duplicates(texts, order(texts), settings, limit=100, **options)


def assert_same(one: Duplicates, other: Duplicates) -> None:
    for name, left, right in zip(Duplicates._fields, one, other, strict=True):
        assert left.dtype == right.dtype
        assert np.array_equal(left, right), name


def test_threads_find_what_one_process_finds_in_any_slices(monkeypatch: pytest.MonkeyPatch):
    texts = planted(200)
    expected = find(texts, runner=Inline())
    assert 50 < (expected.survivor != np.arange(len(texts))).sum() < 150
    assert_same(find(texts, runner=Processes(3)), expected)
    monkeypatch.setattr(minhash, "SLICE_BYTES", 3000)
    monkeypatch.setattr(minhash, "SLICE_ROWS", 7)
    assert_same(find(texts), expected)


def test_buckets_in_files_give_what_those_in_memory_give(tmp_path, monkeypatch):
    texts = planted(120)
    expected = find(texts)
    written = []
    make = buckets.TemporaryDirectory

    def noted(*args, **kwargs):
        written.append(kwargs["dir"])
        return make(*args, **kwargs)

    monkeypatch.setattr(buckets, "TemporaryDirectory", noted)
    count, _ = bands_for(DEFAULT)
    with bounded(len(texts) * count * 8 / 2**20, tmp_path):
        assert_same(find(texts), expected)
    assert written == [tmp_path, tmp_path]  # bands, and samples of shingles
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_in_plain_numbers():
    told = []
    with listening(lambda *report: told.append(json.dumps(report))):  # a number of numpy fails
        find(planted(8))
    assert json.loads(told[-1])[2] == "candidates"


def test_each_pair_is_what_a_comparison_of_all_pairs_finds():
    texts = planted(60)
    found = find(texts, DedupSettings(containment=0))
    grams = [{*zip(*(text.lower().split()[i:] for i in range(5)), strict=False)} for text in texts]
    for one in range(len(texts)):
        for other in range(one):
            union = len(grams[one] | grams[other])
            alike = len(grams[one] & grams[other]) / union >= DEFAULT.threshold
            together = found.survivor[one] == found.survivor[other]
            assert alike <= together, (one, other)
    for row, survivor in enumerate(found.survivor):
        union = len(grams[row] | grams[survivor])
        assert found.similarity[row] == pytest.approx(len(grams[row] & grams[survivor]) / union)


def test_the_nearest_text_of_another_cluster_is_just_below_the_threshold():
    base = prose(1, 200)
    texts = pl.Series([base, edited(base, 3), prose(2, 200)])
    found = find(texts, DedupSettings(threshold=0.9, containment=0))
    assert found.survivor.tolist() == [0, 1, 2]
    assert found.nearest.tolist() == [1, 0, -1]
    assert 0.8 <= found.nearest_similarity[0] < 0.9
    assert find(texts).nearest.tolist() == [-1, -1, -1]


def test_a_cluster_above_the_limit_names_its_rows():
    texts = pl.Series([prose(7), *(edited(prose(1, 200), 1, seed=n) for n in range(9)), prose(8)])
    with pytest.raises(TooManyAlike) as alarm:
        find_duplicates(texts, order(texts), DEFAULT, limit=5)
    assert set(alarm.value.rows) <= set(range(1, 10))
    assert len(alarm.value.rows) > 5


def test_texts_without_any_words_and_empty_ones():
    texts = pl.Series(["", " ", "!!!", "???", "!!!", "\u0301", "one", "One"])
    found = find(texts)
    assert found.survivor.tolist() == [1, 1, 2, 3, 2, 5, 6, 6]
    assert len(find(pl.Series([], dtype=pl.String)).survivor) == 0
