"""Families of texts: what shares a quarter of its content belongs together."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup import families
from pipeline.dedup.families import BONDS, Families, find_families


def passage(name: str, words: int) -> str:
    return " ".join(f"{name}{number}" for number in range(words))


def found(*texts: str) -> Families:
    return find_families(pl.Series(texts, dtype=pl.String))


def others(count: int) -> list[str]:
    return [passage(f"other{letter}", 30) for letter in "abcdefghijklmnop"[:count]]


@pytest.mark.parametrize(
    ("shared", "own", "together"),
    [
        (40, 0, True),  # a page and the same page
        (40, 60, True),  # a page inside a longer one
        (20, 40, True),  # 16 of 56 shingles
        (14, 40, False),  # 10 of 50
    ],
)
def test_texts_that_share_a_quarter_of_the_smaller_one_are_a_family(shared, own, together):
    one = f"{passage('same', shared)} {passage('one', own)}"
    two = f"{passage('two', 60)} {passage('same', shared)}"
    family = found(one, two, *others(6)).family
    assert (family[0] == family[1]) == together
    assert len(set(family)) == (7 if together else 8)


def test_pages_of_a_template_are_a_family_however_their_facts_differ():
    pages = [
        f"# Error {1000 + n} The pump stops when the pressure is above {n} bar for {7 * n} s. "
        f"Open the valve, wait for {n} minutes and set parameter {2000 + n} before you start it."
        for n in range(12)
    ]
    family = found(*pages, *others(14)).family
    assert len(set(family[:12])) == 1
    assert len(set(family)) == 15


def test_short_copies_are_a_family():
    assert len(set(found("Open the valve.", "Open the  valve!", *others(4)).family)) == 5


def test_the_bond_rises_while_a_family_holds_most_of_the_texts():
    # All share a third; ten of them nine in ten.
    page = passage("page", 30)
    alike = [f"{page} {passage('long', 300)} {passage(f'x{n}y', 20)}" for n in range(10)]
    different = [f"{page} {passage(f'z{n}y', 60)}" for n in range(20)]
    result = found(*alike, *different)
    assert result.bond == 0.35
    sizes = np.unique(np.unique(result.family, return_counts=True)[1])
    assert sizes.tolist() == [1, 10]


def test_the_largest_share_across_parts_is_told():
    one = f"{passage('same', 14)} {passage('one', 40)}"
    result = found(one, f"{passage('two', 60)} {passage('same', 14)}", *others(6))
    assert result.bond == BONDS[0]
    parts = np.zeros(8, dtype=np.int64)
    assert result.closest(parts) == 0
    parts[1] = 1
    assert result.closest(parts) == pytest.approx(10 / 50)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[n : n + 5]) for n in range(max(1, len(words) - 4))}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from("abcdefghijkl"), min_size=2, max_size=6), min_size=8, max_size=20
    )
)
def test_no_pair_above_the_bond_is_apart(choices):
    texts = [" ".join(passage(letter, 9) for letter in chosen) for chosen in choices]
    result = found(*texts)
    sets = [shingles(text) for text in texts]
    for one, two in combinations(range(len(texts)), 2):
        share = len(sets[one] & sets[two]) / min(len(sets[one]), len(sets[two]))
        if share >= result.bond:
            assert result.family[one] == result.family[two]


def test_a_template_of_very_many_pages_is_chained_when_all_pairs_would_be_too_many(monkeypatch):
    monkeypatch.setattr(families, "COMPARISONS", 100)
    pages = [f"{passage('same', 30)} {passage(f'x{n}y', 30)}" for n in range(12)]
    family = found(*pages, *others(14)).family
    assert len(set(family[:12])) == 1
    assert len(set(family)) == 15


def test_of_a_large_corpus_a_sample_of_the_shingles_tells(monkeypatch):
    monkeypatch.setattr(families, "SHINGLES", 500)
    same = passage("same", 400)
    family = found(
        f"{same} {passage('one', 400)}", f"{same} {passage('two', 400)}", *others(6)
    ).family
    assert family[0] == family[1]
    assert len(set(family)) == 7
