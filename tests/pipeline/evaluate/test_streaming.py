"""Answers piece by piece, and the index of chunks: what is served is what was judged."""

import threading

import pytest
import torch

from pipeline.core.store import Store
from pipeline.evaluate.answers.answers import reply
from pipeline.evaluate.answers.chunk_index import ChunkIndex
from pipeline.evaluate.answers.retrieval import find_chunks
from pipeline.evaluate.answers.streaming import LOOP, Ending, Sampling, _loops, write
from pipeline.settings import ModelSettings
from pipeline.text.chat_template import prompt_ids
from pipeline.train.models.adapter import load_adapter
from tests.flows.trained_home import train_into
from tests.pipeline.evaluate.conftest import QUESTIONS, examples
from tests.pipeline.evaluate.test_retrieval import CHUNKS

ASKED = [{"role": "user", "content": "Why does the pump stop?"}]


@pytest.fixture(scope="module")
def loaded(tiny_base, tmp_path_factory):
    """A model that repeats two words, after three steps at a high rate."""
    home = tmp_path_factory.mktemp("streaming")
    model = train_into(home, tiny_base, method="lora", learning_rate=5e-2, max_steps=3)
    return load_adapter(tiny_base, Store(home / "store").path(model), ModelSettings(threads=1))


def answer(loaded, **sampling):
    ending = Ending()
    told = Sampling(**{"max_tokens": 24} | sampling)
    return "".join(write(*loaded, prompt_ids(loaded[1], ASKED), told, ending)), ending


def test_greedy_pieces_are_the_answer_of_evaluation(loaded):
    text, ending = answer(loaded)
    assert text == reply(*loaded, ASKED, 24) != ""
    assert (ending.tokens, ending.reason) == (24, "length")


def test_a_stop_text_ends_the_answer_before_it_also_across_tokens(loaded):
    whole, _ = answer(loaded)
    for start, size in ((5, 3), (9, 12), (14, 1)):
        stop = whole[start : start + size]
        text, ending = answer(loaded, stop=("never there", stop))
        assert text == whole[: whole.index(stop)].rstrip()
        assert ending.reason == "stop" and ending.tokens <= 24


def test_an_answer_in_a_loop_is_cut_and_said_to_be(loaded):
    _, ending = answer(loaded, max_tokens=300)
    assert (ending.reason, ending.tokens < 2 * LOOP) == ("length", True)


@pytest.mark.parametrize(
    ("tokens", "endless"),
    [
        ([7] * 65, True),
        ([7] * 64, False),
        ([*range(16)] * 5, True),
        ([*range(17)] * 5, False),
        ([*range(200), *([1, 2, 3] * 22), 1], True),
        ([*range(200), *([1, 2, 3] * 22), 9], False),
    ],
)
def test_a_loop_is_a_short_piece_again_and_again(tokens, endless):
    assert _loops(tokens) is endless


def test_a_seed_gives_the_same_draw_and_another_one_another(loaded):
    draws = [answer(loaded, temperature=1.0, seed=seed)[0] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert answer(loaded, temperature=1.0, top_p=1e-9, seed=3)[0] == answer(loaded)[0]


def test_no_step_keeps_a_graph_in_whatever_thread_it_runs(loaded):
    pieces = write(*loaded, prompt_ids(loaded[1], ASKED), Sampling(4), Ending())
    modes = []

    def step():
        next(pieces)
        modes.append(torch.is_grad_enabled())

    for _ in range(2):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert modes == [True, True], "the caller's own mode stays"


def test_the_index_finds_what_the_retrieval_arm_finds():
    index = ChunkIndex(CHUNKS)
    rows = examples([*QUESTIONS, ("Qwertz uiop?", "None.")], "test")
    found = find_chunks(rows, CHUNKS, 2)
    for pair, messages in rows.select("pair_id", "messages").iter_rows():
        ids = [row["chunk_id"] for row in index.find(messages[0]["content"], 2)]
        assert ids == found[pair]
    assert any(found.values())
    assert ChunkIndex(CHUNKS.clear()).find("anything", 3) == []
