"""Served, rated, drifted, reviewed, retrained, promoted, served: on real servers."""

import json

import httpx
import openai
import polars as pl
import pytest

from annotation.decisions import Decision
from annotation.queue_files import FileQueue
from pipeline.core.home import Home
from pipeline.drift.traffic import REASONS
from schemas.pairs import Examples
from tests.end_to_end.drifting import FIRST, deliver, make_drifting_project, sample_documents
from tests.end_to_end.servers import running_up
from tests.end_to_end.test_living_loop import decisions, retrains
from tests.flows.gateway.conftest import serving

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.usefixtures("prefect"),
]

ASKED = 40
"""Exchanges of a window."""
KNOWN = (
    "irrigation", "firmware", "battery", "password", "webhook", "ventilation", "shading", "soil",
    "valve", "touchscreen", "backup", "climate", "relay", "gateway", "export", "heating",
)  # fmt: skip
"""What the documents are about."""
CRAFT = ("bellows", "clapper", "headstock", "garter", "sally", "belfry", "treble", "tenor")
"""What they know nothing of."""
FORMS = (
    "How do I reset the {} when the {} was changed?",
    "What does the {} do while the {} is off?",
    "Why does my {} not see the {} any more?",
    "Where do I find the {} of the {}?",
    "Can the {} be used without a {} in winter?",
)
ANSWER, MENDED = "Ask the warden.", "Who knows about the sally of the treble?"
FIRST_SETTINGS = "few_shot = 0\narms = []\nplacebo = 0"
"""In place of the arms of [evaluate], which this loop does not need."""
TRAINING = (
    'train.method="full"', "train.epochs=40", "train.max_steps=140", "train.batch_size=8",
    "train.micro_batch_size=8", "train.evaluations=1", "train.checkpoint_steps=1000",
    "train.learning_rate=1e-2", "gate.max_forgetting=99", "gate.max_forgetting_over_champion=99",
    "gate.min_stop_rate=0", "gate.beat_retrieval=false", "gate.refuse_worse_slices=false",
)  # fmt: skip
"""For a base of random weights, which has nothing to forget and learns one answer by heart."""
WINDOW = f"monitor.window={ASKED}"


def questions(things, count):
    """Return different questions about things and the topics of the documents."""
    pairs = [(thing, topic) for topic in KNOWN for thing in things if thing != topic]
    return [FORMS[number % 5].format(*pairs[number % len(pairs)]) for number in range(count)]


def ask(client, question):
    return client.chat.completions.create(
        model="champion", messages=[{"role": "user", "content": question}], max_tokens=8
    )


def journal(project):
    path = project.home / "reviews" / "traffic.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def review(project, chosen):
    """Edit each queued exchange: what a person would have answered."""
    queue = FileQueue(project.home / "reviews")
    waiting = {item["pair_id"]: item for item in queue.open_items("ada")}
    for row in chosen:
        item = waiting[row["pair_id"]]
        assert (item["instruction"], item["response"]) == (row["prompt"], row["response"])
        assert item["chunk_text"], "the reviewer sees a passage"
        assert (item["queue"], item["hint"]) == ("fix", REASONS[row["reason"]])
        question = MENDED if row["reason"] == "rated_down" else ""
        queue.decide(
            Decision(row["pair_id"], "edit", ANSWER, (), "", "ada", edited_instruction=question)
        )


def test_what_people_ask_comes_back_as_a_better_champion(tmp_path, tiny_base, endpoint):
    project = make_drifting_project(tmp_path / "p", tiny_base.path, endpoint.url)
    deliver(project, sample_documents()[FIRST:])
    config = project.folder / "tuneloop.toml"
    config.write_text(config.read_text("utf-8").replace("few_shot = 1", FIRST_SETTINGS), "utf-8")
    project.run()
    first = project.call("promote", "--reason", "the first one")["fingerprint"]
    base = tiny_base.path

    with (
        running_up(project, WINDOW, *TRAINING) as prefect,
        serving(project.home, base, project.folder, "serve.retrieval=on", "serve.log=true") as web,
    ):
        client = web.client()
        # Served: what people asked first is what later questions are compared with.
        for question in questions(KNOWN, ASKED):
            answer = ask(client, question)
        assert answer.system_fingerprint == first
        # Rated, and asked about something else from here on.
        for question in questions(CRAFT, 2 * ASKED)[:-1]:
            last = ask(client, question)
        rated = client.post("/feedback", body={"id": last.id, "rating": -1}, cast_to=httpx.Response)
        assert rated.status_code == 201
        ask(client, "When is the sally of the treble replaced?")

        # Drifted: there is too little to learn from, so people look first.
        prefect.run("monitor")
        (*_, decision) = decisions(project)
        assert decision["action"] == "review"
        assert any(
            row["code"] in ("words", "shape") and row["values"]["kind"] == "exchange"
            for row in decision["reasons"]
        )
        chosen = journal(project)
        reasons = [row["reason"] for row in chosen]
        assert reasons[0] == "rated_down" and chosen[0]["rating"] == -1
        assert reasons.count("drifted") > 3
        assert len(chosen) == 40, "monitor.review_pairs"
        prefect.run("monitor")
        assert journal(project) == chosen, "nothing is chosen twice"

        # Reviewed; then there is enough, and the alarm that waited starts a retrain.
        review(project, chosen)
        prefect.run("monitor")
        (*_, decision) = decisions(project)
        assert decision["action"] == "retrain"
        run = prefect.wait_for_run("retrain", 1)
        assert run["parameters"]["evidence_id"] == decision["id"]
        assert retrains(project)[-1]["outcome"] == "promoted", retrains(project)[-1]

        # Served by the new champion, in the same process.
        home = Home.at(project.home)
        second = home.registry.get("model/champion").fingerprint
        assert second != first
        better = [ask(client, row["prompt"]) for row in chosen]
        assert {answer.system_fingerprint for answer in better} == {second}
        # That it is right more often is the gate's word: it was promoted for that.

    trained = home.dataset(home.store.manifest("model", second).inputs["from"])
    rows = home.store.read(trained, Examples).filter(origin="traffic")
    assert set(rows["pair_id"]) <= {row["pair_id"] for row in chosen}
    assert rows.filter(split="train").height >= 3
    assert set(rows["status"]) == {"edited"}
    assert {messages[-1]["content"] for messages in rows["messages"]} == {ANSWER}
    mended = rows.filter(pair_id=chosen[0]["pair_id"])["messages"].to_list()
    assert [messages[-2]["content"] for messages in mended] == [MENDED] * len(mended)
    ledger = home.rows(home.dataset("traffic_pairs"))
    assert ledger.height == len(chosen)
    assert pl.Series(ledger["split"]).n_unique() > 1, "each in the split of its document"
    assert isinstance(client, openai.OpenAI)
