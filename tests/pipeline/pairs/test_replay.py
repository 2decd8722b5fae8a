"""Replay rows: the base model's own answers, asked once, none of which gives a test row away."""

from collections import Counter

import polars as pl

from pipeline.core.cache import Cache
from pipeline.pairs.replay import GENERAL_PROMPTS, replay, rows_wanted
from pipeline.pairs.teachers.embedded import EmbeddedTeacher
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.pairs.user_files import read_jsonl, seed_tasks
from pipeline.settings import ModelSettings, TeacherSettings
from tests.conftest import ROOT
from tests.pipeline.pairs.endpoint_server import chat, serving
from tests.pipeline.train.seed_examples import make_examples

SEEDS = seed_tasks(read_jsonl(ROOT / "data/seeds/seed_tasks.jsonl"))
NONE_HELD_OUT = make_examples(1, 0).clear()


def answered_by(script, wanted, held_out=NONE_HELD_OUT, seeds=SEEDS):
    with serving(script) as server:
        settings = TeacherSettings(
            kind="openai", model="tiny", base_url=server.url, max_retries=0, concurrency=1
        )
        return replay(seeds, held_out, wanted, 17, EndpointTeacher(settings, None))


def test_the_share_counts_the_replay_rows_in():
    assert [rows_wanted(share, 90) for share in (0.0, 0.1, 0.5)] == [0, 10, 90]


def test_every_prompt_is_asked_before_one_is_asked_again_and_equal_answers_count_once():
    outcome = answered_by(
        lambda number, body: chat(f"Say: {body['messages'][0]['content'][:20]}"),
        45,
        seeds=SEEDS[:1],
    )
    assert outcome.balances
    assert outcome.kept.height == 41 == len(GENERAL_PROMPTS) + 1
    assert outcome.reasons == {"duplicate_reply": 4}
    assert set(outcome.kept["origin"]) == {"replay"}
    assert set(outcome.kept["split"]) == {"train"}
    asked = Counter(row[0]["content"] for row in outcome.kept["messages"])
    assert set(GENERAL_PROMPTS) <= set(asked)


def test_an_answer_without_end_an_empty_one_a_token_and_one_that_leaks_are_drops():
    leaking = GENERAL_PROMPTS[3]
    held_out = make_examples(1, 0).with_columns(
        split=pl.lit("test"),
        messages=pl.Series(
            [[{"role": "user", "content": leaking}, {"role": "assistant", "content": "Turn off."}]],
            dtype=NONE_HELD_OUT.schema["messages"],
        ),
    )

    def script(number, body):
        asked = body["messages"][0]["content"]
        if asked == GENERAL_PROMPTS[0]:
            return chat("It never en", finish="length")
        if asked == GENERAL_PROMPTS[2]:
            return chat("It never ends.<end_of_turn>")
        return chat("" if asked == GENERAL_PROMPTS[1] else f"Well: {asked[:9]}")

    outcome = answered_by(script, 10, held_out)
    assert outcome.balances
    assert outcome.reasons == {
        "control_token": 1, "empty_message": 1, "leaks_into_test": 1, "reply_cut": 1,
    }  # fmt: skip
    assert leaking not in {row[0]["content"] for row in outcome.kept["messages"]}


def test_the_base_model_itself_answers_and_is_asked_once(tiny_base, tmp_path):
    def asked():
        local = EmbeddedTeacher(tiny_base, ModelSettings(threads=1), batch_size=8)
        teacher = CachingTeacher(local, Cache(tmp_path))
        return replay(SEEDS, NONE_HELD_OUT, 4, 17, teacher), teacher.usage

    (first, usage), (second, again) = asked(), asked()
    assert (usage.calls, usage.cached, again.calls, again.cached) == (4, 0, 0, 4)
    assert first.kept.equals(second.kept)
    assert first.dropped.equals(second.dropped)
    assert first.balances
