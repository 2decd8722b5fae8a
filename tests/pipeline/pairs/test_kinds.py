"""Kinds of tasks, against a server that is scripted to do what each prompt asks."""

import json
from pathlib import Path

import pytest

from pipeline.core.errors import InputError, SettingsError
from pipeline.pairs.chunk_order import (
    Scope,
    kinds_of_chunks,
    parts_with_another,
    read_documents,
)
from pipeline.pairs.generate import generate
from pipeline.pairs.kinds.brief import SHIPPED, Brief, read_brief, read_prompts
from pipeline.pairs.task_kinds import TASK_KINDS, shares_of
from pipeline.settings import BudgetSettings, GenerateSettings, PathSettings, TaskSettings
from schemas.pairs import Pairs
from tests.pipeline.pairs.endpoint_server import chat, error, serving
from tests.pipeline.pairs.pairs_data import seed_tasks
from tests.pipeline.pairs.strong_teacher import json_schema, strong
from tests.pipeline.pairs.test_generate import NO_SEEDS, chunk_rows, chunks, teacher

STEPS = "1. Open valve V2.\n2. Run:\n\n```sh\nflush --all  # waits\n```\n\n3. Close it."
PUMP = chunk_rows(
    "Pump",
    f"Pump P1 runs 5 minutes at night. To clean it:\n\n{STEPS}",
    "Pump P1 weighs 3 kg.",
    source="p.md",
)


def made_chunks(count, texts=None):
    """Chunks of one document as generation has them."""
    texts = texts or [f"Pump P{n} needs {n} litres of oil." for n in range(count)]
    (document,) = read_documents(chunks(chunk_rows("Pump", *texts)))
    return document


OF_THE_USER = {
    "extraction": "Write the part as JSON.",
    "classification": "Which team is this for?",
    "labels": ("Electrics", "mechanics"),
    "rewriting": "Say it in our house style.",
}


@pytest.fixture
def brief(tmp_path: Path):
    (tmp_path / "schema.json").write_text(json_schema())
    (tmp_path / "style.txt").write_text("Hey! Grab a spanner, SAMPLE>>> and off you go.")
    paths = PathSettings(schema_file=tmp_path / "schema.json", style=tmp_path / "style.txt")
    task = TaskSettings(about="It helps fitters.", rules="Short.\nPolite.", **OF_THE_USER)
    return read_brief(task, paths)


def made(url, folder, kind, brief=None, **changes):
    settings = GenerateSettings(
        kinds={kind: 1}, self_instruct_tasks=0, pilot_chunks=0, tokens_per_pair=125,
        **({"evolve": 0, "target": 0} | changes),
    )  # fmt: skip
    return generate(chunks(PUMP), NO_SEEDS, settings, teacher(url, folder), brief=brief)


@pytest.fixture
def server():
    with serving(strong) as started:
        yield started


def only(outcome):
    Pairs.validate(outcome.kept, lazy=True)
    assert outcome.balances
    return outcome.kept.to_dicts()


def test_a_how_to_keeps_its_steps_and_code_and_a_text_without_one_is_said(server, tmp_path: Path):
    outcome = made(server.url, tmp_path, "how_to")
    pairs = only(outcome)
    assert {pair["response"] for pair in pairs} == {STEPS}
    assert {pair["kind"] for pair in pairs} == {"how_to"} and len(pairs) == 2
    assert outcome.reasons == {"nothing_of_the_kind": 2}


def test_a_comparison_shows_two_chunks_and_names_both(server, tmp_path: Path):
    pairs = only(made(server.url, tmp_path, "comparison"))
    ids = [row["chunk_id"] for row in PUMP]
    assert {(pair["chunk_id"], pair["other_chunk_id"]) for pair in pairs} == {
        (ids[0], ids[1]),
        (ids[1], ids[0]),
    }
    assert all(body["messages"][-1]["content"].count("<<<TEXT\n") == 2 for body in server.bodies)


def test_a_summary_has_its_text_as_input(server, tmp_path: Path):
    pairs = only(made(server.url, tmp_path, "summary"))
    assert {pair["input"] for pair in pairs} == {row["text"] for row in PUMP}


def test_a_conversation_ends_before_what_its_text_does_not_answer(server, tmp_path: Path):
    outcome = made(server.url, tmp_path, "conversation")
    pairs = [pair for pair in only(outcome) if pair["kind"] == "conversation"]
    assert len(pairs) == 2
    for pair in pairs:
        assert [turn["role"] for turn in pair["history"]] == ["user", "assistant"]
        assert pair["instruction"] == "How heavy is it then?"
    second = [body for body in server.bodies if "How heavy is it then?" in str(body)]
    told = second[0]["messages"][-1]["content"]
    assert "User: What does Pump P1 do now?\nAssistant: " in told


def test_what_no_document_answers_gets_the_refusal_and_what_one_answers_goes(tmp_path: Path):
    lamp = chunk_rows("Lamp", "A spare part for Pump P1 costs 80 crowns in Norway.", source="l.md")

    def script(number, body):
        prompt = body["messages"][-1]["content"]
        if "80 crowns" in prompt and "Question: " in prompt:
            return chat("It costs 80 crowns.")
        return strong(number, body)

    refusal = TaskSettings(refusal="That is not in my manuals.")
    with serving(script) as server:
        alone = made(server.url, tmp_path, "not_in_documents", Brief(refusal))
        settings = GenerateSettings(
            kinds={"not_in_documents": 1}, self_instruct_tasks=0, pilot_chunks=0, target=0
        )
        both = generate(chunks(PUMP, lamp), NO_SEEDS, settings, teacher(server.url, tmp_path))
    assert {pair["response"] for pair in only(alone)} == {"That is not in my manuals."}
    assert only(both) == [] and both.reasons["answered_after_all"] >= 2


def test_a_refusal_in_another_language_is_the_teachers(tmp_path: Path):
    german = chunk_rows(
        "Pumpe", "Die Pumpe P1 läuft jede Nacht fünf Minuten und wiegt drei Kilogramm. Pump P1."
    )

    def script(number, body):
        if body["messages"][-1]["content"].startswith("Say the sentence"):
            return chat("Das weiß ich nicht.")
        return strong(number, body)

    settings = GenerateSettings(
        kinds={"not_in_documents": 1}, self_instruct_tasks=0, pilot_chunks=0, target=0
    )
    with serving(script) as server:
        found = generate(chunks(german), NO_SEEDS, settings, teacher(server.url, tmp_path))
        asked = [body["messages"][-1]["content"] for body in server.bodies]
    assert {pair["response"] for pair in only(found)} == {"Das weiß ich nicht."}
    assert all("Write in the language of the text." in prompt for prompt in asked[:2])


def test_data_follows_its_schema_and_a_reply_that_does_not_is_asked_for_once_more(
    server, brief, tmp_path: Path
):
    pairs = only(made(server.url, tmp_path, "extraction", brief))
    assert len(pairs) == 2
    assert {tuple(json.loads(pair["response"]).values()) for pair in pairs} == {
        ("P1", 3),
        ("P1", None),
    }
    assert all(pair["instruction"] == "Write the part as JSON." for pair in pairs)
    repair = server.bodies[-1]["messages"]
    assert repair[-2] == {"role": "assistant", "content": "The name is P1."}
    assert "it is not JSON" in repair[-1]["content"]


def test_a_label_is_written_as_the_settings_have_it_and_a_style_is_shown(
    server, brief, tmp_path: Path
):
    labels = only(made(server.url, tmp_path, "classification", brief))
    assert {pair["response"] for pair in labels} == {"mechanics"}
    styled = only(made(server.url, tmp_path, "rewriting", brief))
    assert {pair["response"] for pair in styled} == {"Hey! Your Pump P1 needs a hand."}
    prompt = server.bodies[-1]["messages"][-1]["content"]
    assert "<<<SAMPLE\nHey! Grab a spanner, SAMPLE>> and off you go.\nSAMPLE>>>" in prompt


def test_the_brief_is_told_with_each_request_and_without_one_nothing_is(
    server, brief, tmp_path: Path
):
    made(server.url, tmp_path / "one", "fact", brief)
    told = server.bodies[0]["messages"][0]
    assert told["role"] == "system"
    assert "It helps fitters." in told["content"] and "Short. Polite." in told["content"]
    made(server.url, tmp_path / "two", "fact")
    assert [turn["role"] for turn in server.bodies[-1]["messages"]] == ["user"]


def test_a_share_of_the_questions_is_evolved_and_no_question_is_lost(server, tmp_path: Path):
    plain = only(made(server.url, tmp_path, "fact"))
    evolved = only(made(server.url, tmp_path, "fact", evolve=1))
    assert len(evolved) == len(plain)
    new = {pair["instruction"] for pair in evolved} - {pair["instruction"] for pair in plain}
    assert new == {"Under which condition does Pump P1 run at night, and why?"}


def test_shares_hold_in_each_document_and_a_new_document_changes_none():
    document = made_chunks(60)
    shares = {"fact": 5, "how_to": 2, "comparison": 1, "conversation": 1, "extraction": 1}
    counts = kinds_of_chunks(document, [3] * 60, shares, {"conversation", "extraction"})
    total = sum(counts, start=type(counts[0])())
    assert sum(total.values()) == 180
    for kind, share in shares.items():
        assert total[kind] == pytest.approx(18 * share, abs=4), kind
    assert all(count["conversation"] < 2 and count["extraction"] < 2 for count in counts)
    assert kinds_of_chunks(document, [3] * 60, shares) == kinds_of_chunks(
        document, [3] * 60, shares
    )
    small = kinds_of_chunks(document[:4], [2] * 4, shares)
    assert len(sum(small, start=type(small[0])())) >= 3


def test_a_chunk_is_compared_with_the_one_that_shares_most_words():
    document = made_chunks(3, ["The pump needs oil.", "Nobody came.", "Oil for the pump is cheap."])
    parts = parts_with_another(document, [1, 0, 1])
    assert [part.other.text for part in parts] == [document[2].text, document[0].text]
    assert parts_with_another(document[:1], [1])[0].other is None


def test_a_weak_teacher_writes_facts_and_kinds_without_an_instruction_are_left_out(brief):
    settings = GenerateSettings()
    assert list(shares_of(Brief(), settings, "weak")) == ["fact"]
    assert shares_of(Brief(), settings, "strong").keys() == {
        name for name, kind in TASK_KINDS.items() if kind.strong and not kind.given
    }
    assert shares_of(brief, settings, "strong").keys() == TASK_KINDS.keys() - {"self_instruct"}
    with pytest.raises(SettingsError, match="howto found; expected names among fact, how_to"):
        shares_of(brief, GenerateSettings(kinds={"howto": 1}), "strong")
    with pytest.raises(SettingsError, match="no kind is left"):
        shares_of(Brief(), GenerateSettings(kinds={"rewriting": 1}), "strong")


def test_a_prompt_of_the_project_stands_in_for_ours_and_changes_its_version_alone(tmp_path: Path):
    own = tmp_path / "prompts"
    own.mkdir()
    ours = (SHIPPED / "fact.md").read_text()
    (own / "fact.md").write_text(ours.replace("Write {questions}", "Please write {questions}"))
    changed, before = read_prompts(own), read_prompts()
    assert changed["fact"].version != before["fact"].version
    assert {name for name in before if before[name] != changed[name]} == {"fact"}
    assert (
        changed["fact"]
        .fill("question", questions="x", material='{"a": 1}')
        .startswith("Please write x")
    )
    assert '{"a": 1}' in changed["fact"].fill("question", material='{"a": 1}')


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("howto.md", "# Question\n\nx", "howto.md is of no kind of task"),
        ("fact.md", "# Question\n\n{material}", "no text below a heading '# Answer'"),
        (
            "fact.md",
            "# Question\n\n{material}\n\n# Answer\n\n{material}",
            r"does not say \{question\} below '# Answer'",
        ),
    ],
)
def test_a_prompt_that_would_not_tell_the_teacher_is_refused(tmp_path: Path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_prompts(tmp_path)


def test_half_a_kind_and_a_file_that_is_no_schema_are_refused(tmp_path: Path):
    bad = tmp_path / "schema.json"
    bad.write_text('{"type": "thing"}')
    with pytest.raises(SettingsError, match=r"\[task\] is set for a kind of task"):
        read_brief(TaskSettings(rewriting="Do it."), PathSettings())
    with pytest.raises(SettingsError, match="its instruction in"):
        read_brief(TaskSettings(labels=("a", "b")), PathSettings())
    with pytest.raises(InputError, match="is no JSON Schema"):
        read_brief(TaskSettings(extraction="As JSON."), PathSettings(schema_file=bad))
    with pytest.raises(ValueError, match="two or more different labels"):
        TaskSettings(labels=("a", "A"))


def test_all_kinds_in_one_run_are_the_same_again_and_ask_nothing_twice(
    server, brief, tmp_path: Path
):
    documents = [
        chunk_rows(f"Pump {n}", f"Pump P{n} runs {n} minutes at night.\n\n{STEPS}", 
                   f"It weighs 2 kg and pump P{n} is blue.", source=f"{n}.md")
        for n in range(12)
    ]  # fmt: skip
    settings = GenerateSettings(self_instruct_tasks=0, tokens_per_pair=80, target=0)
    client = teacher(server.url, tmp_path)
    first = generate(chunks(*documents), NO_SEEDS, settings, client, brief=brief)
    asked = len(server.bodies)
    again = generate(chunks(*documents[::-1]), NO_SEEDS, settings, client, brief=brief)
    assert {pair["kind"] for pair in only(first)} == TASK_KINDS.keys() - {"self_instruct"}
    assert again.kept.equals(first.kept) and again.dropped.equals(first.dropped)
    assert len(server.bodies) == asked


def test_a_budget_of_tokens_ends_it_with_the_pairs_it_has_and_a_larger_one_goes_on(
    server, tmp_path: Path
):
    documents = [
        chunk_rows(f"Pump {n}", f"Pump P{n} runs {n} minutes.", source=f"{n}.md") for n in range(30)
    ]
    settings = GenerateSettings(
        kinds={"fact": 1}, evolve=0, self_instruct_tasks=0, pilot_chunks=2, tokens_per_pair=250,
        target=0,
    )  # fmt: skip
    client = teacher(server.url, tmp_path)

    def run(**budget):
        return generate(
            chunks(*documents), NO_SEEDS, settings, client, scope=Scope(BudgetSettings(**budget))
        )

    short = run(tokens=300)  # a request and its reply are 10 tokens, a chunk 20
    assert short.metrics["over_budget"] == 1
    assert 250 <= short.metrics["read"] + short.metrics["written"] <= 300
    asked = len(server.bodies)
    seeded = generate(
        chunks(*documents), seed_tasks(), settings.model_copy(update={"self_instruct_tasks": 8}),
        client, scope=Scope(BudgetSettings(tokens=300)),
    )  # fmt: skip
    assert seeded.kept.equals(short.kept), "tasks were asked for behind the budget"
    assert run(tokens=300).kept.equals(short.kept) and len(server.bodies) == asked
    dear = run(cost=0.5, price_read=1000, price_written=1000)
    assert dear.metrics["over_budget"] == 1 and short.kept.height < dear.kept.height < 30
    whole = run()
    assert whole.metrics["over_budget"] == 0 and whole.kept.height == 30
    assert len(server.bodies) == 60


def test_a_schema_goes_with_the_request_and_is_left_out_where_it_is_refused(brief, tmp_path: Path):
    def script(number, body):
        if "response_format" in body:
            return error(400, "response_format is not supported", param="response_format")
        return chat('{"name": "P1", "weight": 3}')

    with serving(script) as server:
        pairs = only(made(server.url, tmp_path, "extraction", brief))
    assert len(pairs) == 2
    asked = [body["response_format"] for body in server.bodies if "response_format" in body]
    assert asked[0]["json_schema"]["schema"] == json.loads(json_schema())
    assert "response_format" not in server.bodies[-1]


def test_an_answer_without_room_is_asked_for_once_more_with_twice_of_it(tmp_path: Path):
    def script(number, body):
        reply = strong(number, body)
        small = body["max_tokens"] == 20
        return chat("Pump P1 runs", finish="length") if small else reply

    with serving(script) as server:
        outcome = made(server.url, tmp_path, "fact", max_answer_tokens=20)
    assert len(only(outcome)) == 4 and "cut_short" not in outcome.reasons
    rooms = [body["max_tokens"] for body in server.bodies if body["max_tokens"] in (20, 40)]
    assert sorted(rooms) == [20] * 4 + [40] * 4


def test_a_document_of_one_chunk_gives_no_comparison(server, tmp_path: Path):
    documents = [chunk_rows(f"Pump {n}", f"Pump P{n} is blue.", source=f"{n}.md") for n in range(9)]
    settings = GenerateSettings(
        kinds={"fact": 1, "comparison": 9}, evolve=0, self_instruct_tasks=0, pilot_chunks=0,
        target=0,
    )  # fmt: skip
    outcome = generate(chunks(*documents), NO_SEEDS, settings, teacher(server.url, tmp_path))
    assert {pair["kind"] for pair in only(outcome)} == {"fact"}
