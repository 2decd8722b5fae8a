"""How many chunks are asked: until ``generate.target`` pairs pass, spread over the documents."""

import re
import threading
from collections import Counter
from pathlib import Path

import pytest

from pipeline.core.outcome import table
from pipeline.core.progress import listening
from pipeline.pairs.chunk_order import Scope
from pipeline.pairs.generate import generate
from pipeline.pairs.screen.judge import Criteria
from pipeline.pairs.screen.screen import Screens, screen
from pipeline.settings import ScreenSettings
from schemas.pairs import Splits
from tests.pipeline.pairs.endpoint_server import chat, serving
from tests.pipeline.pairs.pairs_data import seed_tasks
from tests.pipeline.pairs.test_generate import NO_SEEDS, SETTINGS, chunk_rows, chunks, teacher

ONE = SETTINGS.model_copy(update={"tokens_per_pair": 250})
"""One pair for each chunk of 250 tokens."""


def document(name, length):
    """Chunks whose sentence says another number each."""
    texts = [
        f"Pump {name}{n} of the FW-200 runs for {n + 3} minutes every night." for n in range(length)
    ]
    return chunk_rows(f"Pump {name}", *texts, source=name)


DOCUMENTS = [document(name, 2) for name in "ABCDEFGH"] + [document("X", 12), document("Y", 24)]
"""52 chunks of ten documents."""


def answering(number, body):
    content = body["messages"][0]["content"]
    if "<<<TEXT" not in content:  # of a weak teacher, whose questions the rules could finish
        return chat("?")
    text = re.search(r"<<<TEXT\n(.*)\nTEXT>>>", content, re.S)[1]
    name = text.split()[1]
    return chat(f"How long does pump {name} run?" if content.startswith("Write") else text)


@pytest.fixture
def server():
    with serving(answering) as server:
        yield server


@pytest.fixture(params=["strong", "weak"])
def strength(request):
    return request.param


def test_the_test_split_is_asked_first_where_it_needs_pairs(server, strength, tmp_path):
    """Spread by length, a short test document would have one pair of twenty."""
    client = teacher(server.url, tmp_path, strength=strength)
    settings = ONE.model_copy(update={"target": 20})
    asked = chunks(*DOCUMENTS)
    held_out = frozenset(row["chunk_id"] for row in DOCUMENTS[0] + DOCUMENTS[1])
    counts = []
    for scope in (None, Scope(first=held_out)):
        outcome = generate(asked, NO_SEEDS, settings, client, scope=scope)
        counts.append(sum(pair["chunk_id"] in held_out for pair in outcome.kept.to_dicts()))
        assert 20 <= outcome.kept.height < 30
    assert counts == [2, 4]


def made(server, documents, folder, target, passing=len, settings=ONE, **changes):
    """Return the outcome and how many pairs each document gave, by the last letter of its title."""
    settings = settings.model_copy(update={"target": target})
    client = teacher(server.url, folder, **changes)
    outcome = generate(chunks(*documents), NO_SEEDS, settings, client, passing)
    assert outcome.balances
    titles = {row["doc_id"]: row["title"] for rows in documents for row in rows}
    return outcome, Counter(titles[doc_id][-1] for doc_id in outcome.kept["doc_id"])


def test_each_document_is_asked_once_then_all_at_the_same_rate_until_enough_pass(
    server, strength, tmp_path: Path
):
    outcome, counts = made(server, DOCUMENTS, tmp_path, 10, strength=strength)
    assert outcome.kept.height == outcome.rows_in == 10
    assert counts == dict.fromkeys("ABCDEFGHXY", 1)
    assert (outcome.metrics["chunks"], outcome.metrics["chunks_not_asked"]) == (52, 42)
    _, counts = made(server, DOCUMENTS, tmp_path, 26, strength=strength)
    assert counts["X"] == 6 and counts["Y"] == 12
    assert {counts[name] for name in "ABCDEFGH"} == {1}
    # Not the first chunks of a document alone.
    asked = made(server, [document("Y", 24)], tmp_path, 4, strength=strength)[0].kept
    assert {int(re.search(r"for (\d+)", said)[1]) - 3 for said in asked["response"]} == {
        0, 4, 8, 16,
    }  # fmt: skip


def test_only_pairs_that_pass_count_and_a_teacher_whose_pairs_never_do_is_asked_once(
    server, tmp_path: Path
):
    outcome, _ = made(server, DOCUMENTS, tmp_path, 10, passing=lambda pairs: len(pairs) // 2)
    assert outcome.kept.height == 20
    outcome, _ = made(server, DOCUMENTS, tmp_path, 10, passing=lambda pairs: 0)
    assert outcome.kept.height == 52
    assert outcome.metrics["chunks_not_asked"] == 0
    assert outcome.metrics["calls"] + outcome.metrics["cached"] == 2 * 52


def test_all_and_a_target_that_is_not_reached_give_the_same_rows(server, strength, tmp_path: Path):
    documents = [*DOCUMENTS, chunk_rows("Pump Z", *["Pump Z1 of the FW-200 runs 5 minutes."] * 2)]
    everything, _ = made(server, documents, tmp_path, 0, strength=strength)
    assert everything.rows_in == 54
    for target, passing in ((300, len), (40, lambda pairs: 0)):
        outcome, _ = made(server, documents, tmp_path, target, passing, strength=strength)
        assert outcome.kept.equals(everything.kept)
        assert outcome.dropped.equals(everything.dropped)


def test_rows_in_any_order_ask_the_same_and_groups_of_any_size_too(
    server, tmp_path: Path, monkeypatch
):
    first, _ = made(server, DOCUMENTS, tmp_path / "one", 17)
    monkeypatch.setattr("pipeline.pairs.asking.CHUNKS_AT_ONCE", 3)
    second, _ = made(server, [rows[::-1] for rows in DOCUMENTS[::-1]], tmp_path / "two", 17)
    assert first.kept.equals(second.kept)
    assert second.metrics["calls"] == first.metrics["calls"] == 2 * 17


@pytest.mark.parametrize("target", [0, 40])
def test_the_next_chunks_are_asked_while_a_reply_of_the_first_ones_is_out(
    target, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("pipeline.pairs.asking.CHUNKS_AT_ONCE", 3)
    monkeypatch.setattr("pipeline.pairs.asking.DOCUMENTS_AT_ONCE", 2)
    others, waited, lock = threading.Event(), [], threading.Lock()
    seen = set()

    def script(number, body):
        with lock:
            first = not seen
            seen.add(re.search(r"Pump \w\d+", body["messages"][0]["content"])[0])
            if len(seen) > 3 and len({name[5] for name in seen}) > 2:  # not all of the first group
                others.set()
        if first:
            waited.append(others.wait(20))
        return answering(number, body)

    with serving(script) as server:
        slow, _ = made(server, DOCUMENTS, tmp_path, target)
        whole, _ = made(server, DOCUMENTS, tmp_path, target)
    assert waited == [True], "the next group waited for the last reply of the one before"
    assert slow.kept.equals(whole.kept)


def test_with_a_target_a_new_document_asks_for_its_own_chunks_alone(server, tmp_path: Path):
    made(server, DOCUMENTS, tmp_path, 26)
    outcome, counts = made(server, [*DOCUMENTS, document("N", 4)], tmp_path, 26)
    assert outcome.kept.height == 26
    assert counts["N"] == 2
    assert outcome.metrics["calls"] == 2 * counts["N"]


def test_a_killed_generation_asks_for_nothing_twice(server, tmp_path: Path):
    class Killed(Exception):
        pass

    def passing(pairs):
        if len(pairs) > 8:
            raise Killed
        return len(pairs)

    with pytest.raises(Killed):
        made(server, DOCUMENTS, tmp_path, 20, passing, ONE.model_copy(update={"pilot_chunks": 5}))
    whole, _ = made(server, DOCUMENTS, tmp_path / "other", 20)
    again, _ = made(server, DOCUMENTS, tmp_path, 20)
    assert again.kept.equals(whole.kept)
    assert again.metrics["cached"] >= 2 * 9
    assert again.metrics["cached"] + again.metrics["calls"] == whole.metrics["calls"]


def test_requests_tokens_and_the_way_to_fewer_are_said_before_the_first_request(tmp_path: Path):
    said, heard = [], []

    def script(number, body):
        said.append("request")
        return answering(number, body)

    with serving(script) as server, listening(lambda *told: heard.append(told), said.append):
        made(
            server,
            DOCUMENTS,
            tmp_path,
            20,
            settings=ONE.model_copy(update={"pilot_chunks": 5}),
        )
    assert said[0] == (
        "generate: about 48 requests, 17,619 tokens to read, until 20 pairs pass; a smaller "
        "generate.target asks less, a larger one or 0 up to all 52 chunks (52 candidates)"
    )
    assert said[1:11] == ["request"] * 10
    assert re.fullmatch(
        r"generate: as the pilot goes, about 40 requests, 280 tokens read and 120 written, "
        r"[\d.]+ min in all",
        said[11],
    )
    assert heard[0][:2] == (0, 48)
    assert heard[1][2] == "requests, 5 of 20 pairs"
    assert heard[-1][:2] == (40, 40)
    said.clear()
    with serving(answering) as server, listening(lambda *told: None, said.append):
        made(server, DOCUMENTS, tmp_path, 0)
    assert said == [
        "generate: about 104 requests, 38,480 tokens to read for all 52 chunks (52 candidates); "
        "a smaller generate.target asks less"
    ]


def test_what_passes_on_the_way_is_what_the_screen_stage_keeps(tmp_path: Path):
    def script(number, body):
        said = answering(number, body)
        wrong = number % 3 == 0 and not body["messages"][0]["content"].startswith("Write")
        return chat("It runs for 987 minutes.") if wrong else said

    rows = chunks(*DOCUMENTS)
    screens = Screens(rows, seed_tasks(), ScreenSettings(), Criteria(("en",)))
    with serving(script) as server:
        outcome, _ = made(server, DOCUMENTS, tmp_path, 15, screens.passing)
    assert outcome.kept.height > 15
    places = [
        dict.fromkeys(("doc_id", "unit_id", "cluster_id"), doc_id)
        | {"chunk_id": "", "split": "train"}
        for doc_id in rows["doc_id"].unique()
    ]
    kept = screen(
        outcome.kept, rows, seed_tasks(), table(Splits, places), ScreenSettings(), Criteria(("en",))
    ).kept
    assert kept.height == 15
