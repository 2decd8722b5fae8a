import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.core.cache import Cache
from pipeline.pairs.kinds.self_instruct import diversity, parse_task, self_instruct
from pipeline.pairs.kinds.writing import Writing
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.pairs.user_files import read_jsonl, seed_tasks
from pipeline.settings import GenerateSettings, TeacherSettings
from tests.conftest import ROOT
from tests.pipeline.pairs.endpoint_server import chat, error, serving

SEEDS = seed_tasks(read_jsonl(ROOT / "data/seeds/seed_tasks.jsonl"))


@pytest.mark.parametrize(
    ("text", "task"),
    [
        (" Name three herbs.\nInput: <none>", ("Name three herbs.", "")),
        (" Name three herbs.\nInput:", ("Name three herbs.", "")),
        ("Sort the words.\nInput: pear, apple\nOutput: apple", ("Sort the words.", "pear, apple")),
        (" Name three herbs.\nOutput: thyme, sage, dill", ("Name three herbs.", "")),
        ("Name three herbs.", None),
        ("", None),
        ("\nInput: pear", None),
        ("Sort the following:\nInput: pear", None),
        ("12.\nInput: pear", None),
    ],
)
def test_a_task_is_an_instruction_line_and_an_input_line(text, task):
    assert parse_task(text) == task


def _teacher(url, strength="weak"):
    return EndpointTeacher(
        TeacherSettings(
            kind="openai", model="tiny", base_url=url, max_retries=0, strength=strength
        ),
        None,
    )


def _script(number, body):
    content = body["messages"][0]["content"]
    if "Task:" not in content:
        return chat(f"Done: {content[:40]}")
    token = sum(content.encode()) % 10_007
    return chat(f" Write about topic number {token}.\nInput: <none>")


def _shown_tasks(body):
    lines = body["messages"][0]["content"].splitlines()
    return [line.split("Task: ", 1)[1] for line in lines if ". Task: " in line]


def test_six_human_tasks_and_two_of_its_own_are_shown_and_only_human_ones_at_first():
    settings = GenerateSettings(self_instruct_tasks=16)
    with serving(_script) as server:
        harvest = self_instruct(SEEDS, Writing(settings, _teacher(server.url)))
    human = {" ".join(text.split()) for text in SEEDS["instruction"]}
    prompts = [body for body in server.bodies if "Task:" in body["messages"][0]["content"]]
    own = sorted(sum(task not in human for task in _shown_tasks(body)) for body in prompts)
    assert own == [0] * 8 + [2] * 8
    assert all(len(_shown_tasks(body)) == 8 for body in prompts)
    assert len(harvest.pairs) == 16
    ids = set(SEEDS["seed_task_id"])
    for pair in harvest.pairs:
        shown = pair["seed_task_id"].split(" ")
        assert len(shown) in (6, 8)
        assert set(shown) <= ids
        assert (pair["origin"], pair["doc_id"], pair["chunk_id"]) == ("self_instruct", "", "")


def test_each_failure_is_a_drop_with_its_reason():
    def script(number, body):
        content = body["messages"][0]["content"]
        if "Task:" not in content:
            return chat("half an ans", finish="abort") if "cut" in content else chat("")
        replies = ["no task", " Write cut text.\nInput: <none>", " Say nothing.\nInput: <none>"]
        return chat(replies[sum(content.encode()) % 3])

    with serving(script) as server:
        harvest = self_instruct(
            SEEDS, Writing(GenerateSettings(self_instruct_tasks=12), _teacher(server.url))
        )
    assert harvest.pairs == []
    assert len(harvest.drops) == 12
    assert {drop.reason for drop in harvest.drops} == {"unparsable", "cut_short"}


def test_a_task_whose_reply_was_cut_is_none():
    cut = chat(" Sort the words by their length.\nInput: pear, app", finish="content_filter")
    with serving(lambda number, body: cut) as server:
        settings = GenerateSettings(self_instruct_tasks=1)
        harvest = self_instruct(SEEDS, Writing(settings, _teacher(server.url)))
    assert (harvest.pairs, [drop.reason for drop in harvest.drops]) == ([], ["cut_short"])


def test_seed_tasks_in_any_order_give_the_same_requests(tmp_path: Path):
    settings = GenerateSettings(self_instruct_tasks=8)
    with serving(_script) as server:
        teacher = CachingTeacher(_teacher(server.url), Cache(tmp_path))
        first = self_instruct(SEEDS, Writing(settings, teacher))
        calls = len(server.bodies)
        shuffled = SEEDS.sample(fraction=1.0, shuffle=True, seed=5)
        second = self_instruct(shuffled, Writing(settings, teacher))
    assert len(server.bodies) == calls
    assert json.dumps(first.pairs) == json.dumps(second.pairs)


def _strong(number, body):
    """Two tasks by turns, of which one is a classification; further ones are alike."""
    prompt = body["messages"][-1]["content"]
    if prompt.startswith("Here are tasks"):
        made = ["Tell whether a wire is live.", "Draw a map of the river.", "Do it.",
                "Rank some metals by how well they carry heat."]  # fmt: skip
        return chat(made[sum(prompt.encode()) % 4])
    task = prompt.rsplit("Task: ", 1)[-1]
    if "fixed labels" in prompt:
        return chat("Yes." if "live" in task else "no")
    if "first the label" in prompt:
        one = "Label: dead\nInput: No current.\nNo lamp."
        both = "Label: live\nInput: A lamp is on.\n---\nLabel: dead\nInput: a lamp  is on."
        return chat(f"{one}\n---\n{both}")
    if "different inputs" in prompt:
        return chat("iron\ncopper\n---\nInput 2: gold, lead")
    if "Does the answer below" in prompt:
        return chat("no" if "gold, lead" in task else "Yes, it does.")
    return chat("copper first")


def test_a_strong_teacher_writes_labels_first_several_instances_and_stands_by_them():
    settings = GenerateSettings(self_instruct_tasks=40)
    with serving(_strong) as server:
        harvest = self_instruct(SEEDS, Writing(settings, _teacher(server.url, "strong")))
    rows = {(pair["instruction"], pair["input"]): pair["response"] for pair in harvest.pairs}
    assert rows == {
        ("Tell whether a wire is live.", "No current.\nNo lamp."): "dead",
        ("Rank some metals by how well they carry heat.", "iron\ncopper"): "copper first",
    }
    reasons = Counter(drop.reason for drop in harvest.drops)
    assert reasons["judged_wrong"] == 1 and reasons.keys() == {
        "judged_wrong", "like_another_task", "not_for_text", "unparsable",
    }  # fmt: skip
    assert {pair["prompt_version"].split("/")[0] for pair in harvest.pairs} == {"self_instruct"}


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (error(400, "Too many tokens were asked for."), "request_failed"),
        (chat("", refusal="I cannot help with that."), "refused"),
    ],
)
def test_what_a_failure_says_is_no_input_of_a_task(failure, reason):
    def script(number, body):
        asked = "different inputs" in body["messages"][-1]["content"]
        return failure if asked else _strong(number, body)

    settings = GenerateSettings(self_instruct_tasks=40)
    with serving(script) as server:
        harvest = self_instruct(SEEDS, Writing(settings, _teacher(server.url, "strong")))
    assert {pair["instruction"] for pair in harvest.pairs} == {"Tell whether a wire is live."}
    assert Counter(drop.reason for drop in harvest.drops)[reason] == 1


def test_tasks_are_asked_for_in_the_languages_of_the_corpus_by_turns():
    settings = GenerateSettings(self_instruct_tasks=4)
    with serving(_strong) as server:
        writing = Writing(settings, _teacher(server.url, "strong"), languages=("en", "de"))
        self_instruct(SEEDS, writing)
    prompts = [body["messages"][-1]["content"] for body in server.bodies]
    asked = [prompt for prompt in prompts if prompt.startswith("Here are tasks")]
    assert sum("ISO 639 code de" in prompt for prompt in asked) == 2 and len(asked) == 4


def test_diversity_falls_when_tasks_are_alike():
    varied = ["Sort the words by length.", "Why is the sky blue?", "Write a short poem on rain."]
    alike = ["Sort the words by length.", "Sort the words by name.", "Sort the words by age."]
    assert diversity(varied)["distinct_2"] > diversity(alike)["distinct_2"]
    assert diversity(varied)["nearest"] < diversity(alike)["nearest"]
    assert diversity(["One."]) == {}
