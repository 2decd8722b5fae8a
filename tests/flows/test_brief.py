"""A project with a brief goes the whole way: pairs of every kind, the system prompt everywhere."""

import json
import re
import shutil

import pytest
from click.testing import CliRunner

from flows.cli.main import main
from pipeline.pairs.task_kinds import TASK_KINDS
from pipeline.pairs.user_files import read_jsonl
from tests.conftest import ROOT
from tests.flows.test_first_project import LENIENT, Project
from tests.pipeline.pairs.endpoint_server import chat, serving
from tests.pipeline.pairs.strong_teacher import TEXT, json_schema

PROMPT = "You are the help desk of a greenhouse. Be brief."
BRIEF = """
[paths]
input = "raw"
home = "home"
seeds = "seeds/seed_tasks.jsonl"
gold = ""
general = ""
rows = ["rows"]
schema_file = "schema.json"
style = "style.txt"
[task]
about = "It answers growers who use the FW-200."
system_prompt = "You are the help desk of a greenhouse. Be brief."
refusal = "My manual does not say."
extraction = "Write the subject of this page as JSON."
classification = "Which team is this page for?"
labels = ["electrics", "water", "climate"]
rewriting = "Say it in our house style."
[generate]
target = 40
evolve = 0.5
[screen]
max_response_words = 400
"""


def growers(number, body):
    """Do what each prompt asks, in words that differ from page to page."""
    prompt = body["messages"][-1]["content"]
    texts = TEXT.findall(prompt)
    titles = re.findall(r"(?<=Title: )[^\n]+", prompt)
    said = [
        part
        for text in texts
        for line in text.splitlines()
        for part in re.split(r"(?<=\.) ", line)
        if re.match(r"[A-Z].{30,}\.$", part)
    ]
    begins = [" ".join(sentence.split()[:6]) for sentence in said]
    asked = prompt.rsplit("Question: ", 1)[-1].split("\n")[0]
    if not texts:
        return seeds(prompt)
    if "as JSON" in prompt:
        return chat(json.dumps({"name": titles[0], "weight": None}))
    if "Which team" in prompt:
        return chat("Water.")
    if "house style" in prompt:
        return chat(f"Hey there! {said[0] if said else titles[0]}")
    if "asks for a summary" in prompt:
        return chat(f"Sum up for a beginner what is said of {titles[0]}.")
    if "Instruction: " in prompt:
        return chat(said[0] if said else "NONE")
    if "does not answer: another model" in prompt:
        return chat(f"What does a spare part for {titles[0]} cost in Norway?")
    if "Norway" in asked or not said:
        return chat("NOT ANSWERABLE")
    if "Rewrite the question" in prompt or "Write a new question" in prompt:
        return chat(f"Why does it matter that {begins[-1]}?")
    if "how something is done" in prompt:
        return chat(f"How is it done when {begins[0]}?")
    if "both texts together" in prompt:
        return chat(f"How do {begins[0]} and {begins[-1]} go together?")
    if "three questions" in prompt:
        return chat("\n".join(f"And what holds when one reads of {begin}?" for begin in begins[:3]))
    if prompt.startswith("Write"):
        return chat("\n".join(f"What holds when one reads of {begin}?" for begin in begins))
    found = [line for line, begin in zip(said, begins, strict=True) if begin in asked]
    if "How is it done" in asked:
        return chat("\n".join(f"{place}. {line}" for place, line in enumerate(said[:2], 1)))
    return chat(" ".join(found) or "NOT ANSWERABLE")


def seeds(prompt):
    """Self-instruct: one task, whose answer it stands by."""
    if prompt.startswith("Here are tasks"):
        return chat("Rank three metals by how well they carry heat, the best one first.")
    if "fixed labels" in prompt:
        return chat("no")
    if "different inputs" in prompt:
        return chat("NONE")
    return chat("yes" if "Does the answer below" in prompt else "Copper, aluminium, iron.")


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_base, prefect):
    folder = tmp_path_factory.mktemp("brief") / "project"
    assert CliRunner().invoke(main, ["init", str(folder)]).exit_code == 0
    for page in sorted((ROOT / "data/samples/manual").glob("*.md"))[:24]:
        shutil.copy(page, folder / "raw")
    (folder / "rows").mkdir()
    chats = [
        {
            "conversations": [
                {"from": "human", "value": f"Who sells part number {n} of the kit for beginners?"},
                {"from": "gpt", "value": f"Dealer {n} in town {n + 40} has it on the shelf."},
                {"from": "human", "value": f"Is dealer {n} open late on day {n + 7} as well?"},
                {"from": "gpt", "value": f"Until {n + 12} o'clock, ask for clerk {n} at the desk."},
            ]
        }
        for n in range(6)
    ]
    (folder / "rows" / "chats.json").write_text(json.dumps(chats))
    (folder / "schema.json").write_text(json_schema())
    (folder / "style.txt").write_text("Hey there! Grab a can and off you go.")
    (folder / "tuneloop.toml").write_text(BRIEF)
    with serving(growers) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        models = (
            f"model.base_model={tiny_base.path}", "teacher.kind=openai", "teacher.model=m",
            f"teacher.base_url={server.url}", *LENIENT,
        )  # fmt: skip
        loop = Project(folder)
        dry = loop.ended("synthesize", "--dry-run", settings=(*models, "budget.price_read=2"))
        asked = len(server.bodies)
        done = loop.ended("run", "--json", settings=models)
        yield loop, models, dry, json.loads(done.stdout), (asked, server)


def test_a_dry_run_says_what_it_takes_and_its_replies_are_kept(project):
    _, _, dry, report, (asked, server) = project
    line = re.search(
        r"as the pilot goes, about [\d,]+ requests, ([\d,]+) tokens read and [\d,]+ written, "
        r"[\d.]+ at the prices of \[budget\], [\d.]+ min in all",
        dry.output,
    )
    assert line is not None and asked > 0, dry.output
    assert report["teacher"]["cached"] >= asked
    sent = [json.dumps(body["messages"]) for body in server.bodies]
    assert len(sent) == len(set(sent)), "a request was sent twice"


def test_pairs_of_every_kind_are_made_trained_on_and_counted(project):
    loop, _, _, report, _ = project
    kinds = {row["kind"]: row for row in report["coverage"]["kinds"]}
    assert kinds.keys() == TASK_KINDS.keys()
    assert {name for name, row in kinds.items() if not row["pairs"]} == set()
    passed = sum(row["passed"] for name, row in kinds.items() if name != "self_instruct")
    assert passed >= 40, kinds
    rows = json.loads(loop.ended("show", "screened_pairs", "-n", "999", "--json").stdout)["rows"]
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in TASK_KINDS}
    steps = [row for row in by_kind["how_to"] if "How is it done" in row["instruction"]]
    assert all(row["response"].startswith("1. ") for row in steps)  # the others were evolved
    assert any("\n2. " in row["response"] for row in steps)
    assert all(json.loads(row["response"])["name"] for row in by_kind["extraction"])
    assert {row["response"] for row in by_kind["classification"]} <= {"water"}
    assert {row["response"] for row in by_kind["not_in_documents"]} == {"My manual does not say."}
    assert all(row["history"] for row in by_kind["conversation"])
    assert all(row["input"] for row in by_kind["summary"] + by_kind["rewriting"])
    assert all(row["other_chunk_id"] for row in by_kind["comparison"])
    missing = {kind for kind, found in by_kind.items() if not found}
    assert not missing, (missing, report["stages"])
    assert sum(row["origin"] == "rows" for row in rows) == 6


def test_the_system_prompt_is_in_each_row_the_card_the_export_and_the_chat(project, tmp_path):
    loop, models, _, _, _ = project
    rows = json.loads(loop.ended("show", "examples", "-n", "999", "--json").stdout)["rows"]
    assert {row["messages"][0]["content"] for row in rows} == {PROMPT}
    assert {row["messages"][0]["role"] for row in rows} == {"system"}
    assert f"> {PROMPT}" in loop.ended("card", "challenger").output
    out = tmp_path / "out"
    loop.ended("export", "challenger", "--to", str(out), settings=(*models, "export.prompts=2"))
    assert json.loads((out / "export.json").read_text())["system_prompt"] == PROMPT
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(out)
    asked = [{"role": "user", "content": "Hi"}]
    told = [{"role": "system", "content": PROMPT}, *asked]
    assert tokenizer.apply_chat_template(asked, tokenize=False) == (
        tokenizer.apply_chat_template(told, tokenize=False)
    )


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing:FutureWarning")
def test_the_data_goes_out_and_trl_trains_on_it(project, tmp_path, tiny_base):
    loop, *_ = project
    out = tmp_path / "rows"
    loop.ended("export", "data", "--to", str(out))
    import datasets
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    found = datasets.load_dataset("json", data_dir=str(out), cache_dir=str(tmp_path / "cache"))
    assert {"train", "validation"} <= found.keys()
    assert all(row["pair_id"] and row["messages"][0]["content"] == PROMPT for row in found["train"])
    assert "## " in (out / "data_card.md").read_text()
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(tiny_base.path),
        SFTConfig(str(tmp_path / "trl"), max_steps=1, report_to=[], use_cpu=True, max_length=256),
        train_dataset=found["train"].select_columns("messages"),
    )
    trainer.train()
    for form in ("sharegpt", "alpaca", "parquet", "hf"):
        loop.ended("export", "data", "--format", form, "--to", str(tmp_path / form))
    assert len(read_jsonl(tmp_path / "alpaca" / "train.jsonl")) == len(found["train"])
    saved = datasets.load_from_disk(str(tmp_path / "hf"))
    assert saved["train"].num_rows == len(found["train"])


def test_coverage_names_the_sections_without_a_pair(project):
    loop, *_ = project
    lines = loop.ended("show", "coverage").output
    assert "alarm-codes.md" in lines
    rows = json.loads(loop.ended("show", "coverage", "--json").stdout)["rows"]
    assert sum(row["pairs"] for row in rows) >= 40
    for row in rows:
        assert bool(row["pairs"]) != bool(row["why_none"])
