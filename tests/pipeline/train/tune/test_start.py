"""The closed form: rank from supervised tokens, ten times the full rate."""

import pytest
from pydantic import ValidationError

from pipeline.settings import TrainSettings, TuneSettings
from pipeline.train.methods import METHODS
from pipeline.train.plan.catalogue import CATALOGUE
from pipeline.train.plan.shapes import read_shape
from pipeline.train.tune.start import (
    RATE_FACTORS,
    candidate,
    closed_form,
    ranks_around,
    rate_of,
)

SMALL, SEVEN = (read_shape(CATALOGUE[name].config, name) for name in ("135m", "7b"))


@pytest.mark.parametrize(
    ("shape", "tokens", "rank"),
    [(SMALL, 50_000, 8), (SMALL, 7_000_000, 16), (SEVEN, 50_000, 8), (SEVEN, 150_000_000, 32)],
)
def test_the_rank_holds_the_supervised_tokens(shape, tokens, rank):
    assert closed_form(shape, tokens)[0] == rank


def test_no_more_than_a_twentieth_of_the_base_is_trained():
    rank, why = closed_form(SMALL, 10**10)
    assert rank == 16
    assert "5% of the base are rank 22" in why


def test_lora_starts_at_ten_times_the_full_rate_and_its_kin_where_it_does():
    assert rate_of("lora", SMALL.hidden) == 10 * METHODS["full"].preset.learning_rate
    assert rate_of("rslora", SMALL.hidden) == rate_of("lora", SMALL.hidden)
    assert rate_of("houlsby", SMALL.hidden) == METHODS["houlsby"].preset.learning_rate


def test_the_rates_that_are_tried_at_7b_have_qloras_own_among_them():
    train = TrainSettings(method="qlora")
    chosen = {"method": "qlora", "rank": 16, "targets": "all"}
    least, most = (
        candidate(train, chosen | {"rate": factor}, SEVEN.hidden).learning_rate
        for factor in RATE_FACTORS
    )
    assert least < 2e-4 < most < 1e-3


def test_a_candidate_has_only_what_its_method_uses():
    train = TrainSettings(method="lora", rank=64, batch_size=4)
    chosen = {"method": "houlsby", "rate": 2.0}
    found = candidate(train, chosen, SMALL.hidden)
    assert (found.method, found.rank, found.batch_size) == ("houlsby", None, 4)
    assert found.learning_rate == 2 * METHODS["houlsby"].preset.learning_rate
    chosen = {"method": "lora", "rate": 1.0, "rank": 8, "targets": "mlp"}
    assert candidate(train, chosen, SMALL.hidden).targets == "mlp"


def test_ranks_around_the_start_are_ranks_that_servers_take():
    assert ranks_around(closed_form(SMALL, 1)[0]) == (8, 16)


def test_steps_that_rungs_do_not_divide_are_refused():
    with pytest.raises(ValidationError, match=r"tune\.steps is no multiple"):
        TuneSettings(steps=10, reduction=3, rungs=3)
