"""The layout of a run: each row once an epoch, little padding, known in advance."""

import math
from collections import Counter
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings import TrainSettings
from pipeline.text.chat import IGNORED
from pipeline.train.batch.batches import (
    FILLER,
    collate,
    first_fit,
    learning_rate,
    pack,
    passes,
    plan_steps,
)

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
    lengths = list(range(101, 165))
    plan = plan_steps(lengths, settings(epochs=1, batch_size=16))
    for step in plan:
        for part in step:
            assert len(part) == 4
            padded = 4 * max(lengths[row] for row in part)
            assert sum(lengths[row] for row in part) >= 0.875 * padded
        assert max(map(max, step)) - min(map(min, step)) > 20


@given(row_lengths, st.integers(1, 16), st.integers(1, 2000))
def test_how_a_step_is_passed_does_not_change_what_is_in_it(lengths, micro, room):
    usual = settings(epochs=1)
    memory = {"micro_batch_size": micro, "micro_batch_tokens": room}
    one, other = (plan_steps(lengths, used) for used in (usual, usual.model_copy(update=memory)))
    assert [sorted(chain(*step)) for step in one] == [sorted(chain(*step)) for step in other]
    for part in chain(*other):
        longest = max(lengths[row] for row in part)
        assert len(part) == 1 or len(part) * longest <= room


def test_long_rows_take_more_passes_of_the_same_step():
    lengths = [100] * 16 + [400] * 16
    used = settings(epochs=1, batch_size=16, micro_batch_size=8, micro_batch_tokens=1000)
    plan = plan_steps(lengths, used)
    assert [sum(map(len, step)) for step in plan] == [16, 16]
    for step in plan:
        long = [row for part in step for row in part if lengths[row] == 400]
        passes = [len(part) for part in step if lengths[part[0]] == 400]
        assert passes == [2] * (len(long) // 2)
        assert sum(lengths[part[0]] == 100 for part in step) == math.ceil((16 - len(long)) / 8)
    wide = plan_steps(lengths, used.model_copy(update={"micro_batch_tokens": 10_000}))
    assert [sorted(chain(*step)) for step in plan] == [sorted(chain(*step)) for step in wide]


@given(row_lengths, st.integers(1, 16), st.integers(1, 2000))
def test_passes_hold_every_row_once_and_no_more_than_there_is_room_for(lengths, size, room):
    batches = passes(range(len(lengths)), lengths, size, room)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= size
        padded = len(batch) * max(lengths[row] for row in batch)
        assert len(batch) == 1 or padded <= room
        assert sum(lengths[row] for row in batch) >= 0.875 * padded


def test_each_process_has_rows_of_every_step():
    plan = plan_steps([10] * 32, settings(epochs=1, batch_size=16, processes=4))
    assert [len(step) for step in plan] == [4, 4]


@pytest.mark.parametrize(("epochs", "steps"), [(0.1, 1), (0.5, 4), (1.5, 12), (2, 16)])
def test_epochs_may_be_fractions(epochs, steps):
    assert len(plan_steps([10] * 64, settings(epochs=epochs))) == steps


def test_max_steps_ends_a_run_before_its_epochs():
    assert len(plan_steps([10] * 64, settings(epochs=2, max_steps=3))) == 3
    assert len(plan_steps([10] * 8, settings(epochs=2, max_steps=30))) == 2


def test_the_rate_warms_up_to_its_peak_and_decays():
    used = settings(warmup_share=0.1)
    rates = [learning_rate(1.0, step, 40, used) for step in range(40)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert all(a > b for a, b in pairwise(rates[4:]))
    assert 0 < rates[-1] < 0.01
    assert math.isclose(rates[22], 0.5)
    assert learning_rate(2.0, 0, 1, settings(warmup_share=0.0)) == 2.0


def test_padding_trains_nothing_and_hides_no_end_of_turn():
    rows = {"input_ids": [[5, 2], [5, 6, 7, 2]], "labels": [[IGNORED, 2], [IGNORED, 6, 7, 2]]}
    ids, labels = collate(rows, device="cpu")
    assert ids.tolist() == [[5, 2, FILLER, FILLER], [5, 6, 7, 2]]
    assert labels.tolist() == [[IGNORED, 2, IGNORED, IGNORED], [IGNORED, 6, 7, 2]]


@given(row_lengths, st.integers(1, 3), st.integers(1, 16))
def test_packed_epochs_visit_each_row_equally_often_in_full_steps(lengths, epochs, batch):
    used = settings(epochs=epochs, batch_size=batch, packing=True)
    steps = plan_steps(lengths, used)
    assert Counter(row for step in steps for part in step for row in part) == dict.fromkeys(
        range(len(lengths)), epochs
    )
    assert all(sum(map(len, step)) <= batch for step in steps)
    packs = [part for step in steps for part in step]
    assert all(sum(lengths[row] for row in part) <= used.max_tokens for part in packs)


def test_packs_are_filled_longest_first():
    assert first_fit([0, 1, 2, 3], [5, 9, 4, 1], 10) == [[1, 3], [0, 2]]
    assert first_fit([0, 1], [50, 3], 10) == [[0], [1]], "too long for any pack: alone"


def test_a_pack_starts_positions_again_and_trains_no_first_token():
    rows = {"input_ids": [[5, 2], [6, 7, 2]], "labels": [[5, 2], [IGNORED, 7, 2]]}
    ids, labels, positions = (part.tolist() for part in pack(rows, "cpu"))
    assert ids == [[5, 2, 6, 7, 2]]
    assert labels == [[IGNORED, 2, IGNORED, 7, 2]]
    assert positions == [[0, 1, 0, 1, 2]]


def test_packs_are_shared_out_to_every_process():
    lengths = [60] * 32
    used = settings(epochs=1, batch_size=16, packing=True, max_tokens=512)
    alone = plan_steps(lengths, used, "cuda")
    assert [list(map(len, step)) for step in alone] == [[16], [16]], "a pass of a GPU"
    four = plan_steps(lengths, used.model_copy(update={"processes": 4}), "cuda")
    assert [list(map(len, step)) for step in four] == [[4] * 4] * 2
    bounded = plan_steps(lengths, used.model_copy(update={"micro_batch_size": 1}), "cuda")
    assert max(len(rows) * 60 for step in bounded for rows in step) <= 512
