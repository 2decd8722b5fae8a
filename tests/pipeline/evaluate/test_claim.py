"""A gain is claimed of a recipe only when its seeds agree."""

from math import isinf

import numpy as np
import pytest

from pipeline.core.record import as_json
from pipeline.evaluate.statistics.power import claim

CLUSTERS = [f"d{row // 5}" for row in range(60)]
TOKENS = np.full(60, 12)


def seeds(means, spread=0.2, seed=4):
    generator = np.random.default_rng(seed)
    return {17 + place: mean + generator.normal(0, spread, 60) for place, mean in enumerate(means)}


def test_one_seed_measures_an_adapter_and_claims_nothing():
    found = claim(seeds([-0.5]), CLUSTERS, TOKENS)
    assert not found.claimed and isinf(found.difference.high)
    assert found.text == "measured on one seed: this adapter is better; not claimed of the recipe"
    assert as_json(found)["difference"]["high"] is None


def test_two_seeds_that_agree_claim_a_gain():
    found = claim(seeds([-0.5, -0.48]), CLUSTERS, TOKENS)
    assert found.claimed and found.difference.high < 0
    assert found.difference.value == pytest.approx(-0.49, abs=0.05)
    assert found.text.startswith("a gain of the recipe is claimed: 2 seeds agree")


def test_seeds_that_disagree_in_sign_claim_nothing_however_good_their_mean():
    found = claim(seeds([-0.9, 0.02, -0.9], spread=0.01), CLUSTERS, TOKENS)
    assert found.difference.value < -0.5 and not found.claimed
    assert "no gain of the recipe is claimed: 3 seeds" in found.text


def test_seeds_that_lie_far_apart_give_a_wide_interval():
    near = claim(seeds([-0.50, -0.52]), CLUSTERS, TOKENS).difference
    far = claim(seeds([-0.20, -0.82]), CLUSTERS, TOKENS).difference
    assert far.high > 0 > near.high  # two seeds that differ by 0.6 say little


def test_documents_that_agree_with_themselves_count_once():
    shared = np.repeat(np.random.default_rng(1).normal(-0.2, 0.3, 12), 5)
    both = {17: shared, 18: shared + 0.001}
    rows = [str(row) for row in range(60)]
    clustered, plain = claim(both, CLUSTERS, TOKENS), claim(both, rows, TOKENS)
    width = clustered.difference.high - clustered.difference.low
    assert width > 1.8 * (plain.difference.high - plain.difference.low)


def test_an_interval_holds_the_truth_in_95_percent_of_recipes():
    generator = np.random.default_rng(9)
    hits = 0
    for _ in range(400):
        shared = np.repeat(generator.normal(0, 0.3, 12), 5)
        rows = {
            seed: shared + generator.normal(0, 0.1) + generator.normal(0, 0.2, 60)
            for seed in range(3)
        }
        found = claim(rows, CLUSTERS, TOKENS).difference
        hits += found.low <= 0 <= found.high
    assert 0.92 <= hits / 400 <= 0.995  # a little wide: the rows' own noise is counted twice


def test_rows_and_clusters_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="claim: "):
        claim({17: [0.1, 0.2]}, ["a"], [1, 2])
