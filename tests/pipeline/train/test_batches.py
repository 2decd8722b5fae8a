"""The layout of a run: each row once an epoch, little padding, known in advance."""

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset.chat import IGNORED
from pipeline.settings import TrainSettings
from pipeline.train.batches import by_length, collate, learning_rate, plan_steps

row_lengths = st.lists(st.integers(1, 500), min_size=1, max_size=80)


def settings(**changes):
    return TrainSettings(**({"batch_size": 8, "micro_batch_size": 4} | changes))


@given(row_lengths, st.integers(1, 3), st.integers(1, 16), st.integers(1, 16))
def test_whole_epochs_visit_each_row_equally_often(lengths, epochs, batch, micro):
    steps = plan_steps(lengths, settings(epochs=epochs, batch_size=batch, micro_batch_size=micro))
    seen = Counter(row for step in steps for part in step for row in part)
    assert seen == dict.fromkeys(range(len(lengths)), epochs)
    assert all(sum(map(len, step)) <= batch + micro for step in steps)
    assert all(len(part) <= min(micro, batch) for step in steps for part in step)


@given(row_lengths)
def test_the_plan_depends_on_the_seed_alone(lengths):
    plan = plan_steps(lengths, settings(epochs=2))
    assert plan == plan_steps(lengths, settings(epochs=2))
    assert plan[:1] == plan_steps(lengths, settings(epochs=2, max_steps=1))


def test_another_seed_and_another_epoch_mix_otherwise():
    lengths = list(range(64))
    one, other = (plan_steps(lengths, settings(epochs=2, seed=seed)) for seed in (1, 2))
    assert one != other
    assert one[:8] != one[8:]


def test_rows_of_like_length_share_a_forward_pass_and_a_step_mixes_lengths():
    lengths = list(range(1, 65))
    plan = plan_steps(lengths, settings(epochs=1, batch_size=16))
    assert all(max(part) - min(part) == 3 for step in plan for part in step)
    assert any(max(map(max, step)) - min(map(min, step)) > 20 for step in plan)


@pytest.mark.parametrize(("epochs", "steps"), [(0.1, 1), (0.5, 4), (1.5, 12), (2, 16)])
def test_epochs_may_be_fractions(epochs, steps):
    assert len(plan_steps([10] * 64, settings(epochs=epochs))) == steps


def test_max_steps_ends_a_run_before_its_epochs():
    assert len(plan_steps([10] * 64, settings(epochs=2, max_steps=3))) == 3
    assert len(plan_steps([10] * 8, settings(epochs=2, max_steps=30))) == 2


@given(row_lengths, st.integers(1, 16))
def test_validation_batches_hold_every_row_once(lengths, size):
    batches = by_length(lengths, size)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))


def test_the_rate_warms_up_to_its_peak_and_decays():
    used = settings(warmup_share=0.1, learning_rate=1.0)
    rates = [learning_rate(step, 40, used) for step in range(40)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert all(a > b for a, b in pairwise(rates[4:]))
    assert 0 < rates[-1] < 0.01
    assert math.isclose(rates[22], 0.5)
    assert learning_rate(0, 1, settings(warmup_share=0.0, learning_rate=1.0)) == 1.0


def test_padding_trains_nothing_and_hides_no_end_of_turn():
    rows = {"input_ids": [[5, 2], [5, 6, 7, 2]], "labels": [[IGNORED, 2], [IGNORED, 6, 7, 2]]}
    ids, labels = collate(rows, pad=2, device="cpu")
    assert ids.tolist() == [[5, 2, 2, 2], [5, 6, 7, 2]]
    assert labels.tolist() == [[IGNORED, 2, IGNORED, IGNORED], [IGNORED, 6, 7, 2]]
