"""What the gate looks at, measured in a real run on a small random model, with a real judge."""

import json
import shutil

import pytest
from huggingface_hub import ModelCard

from flows.curate import curate
from flows.models.listing import judgement
from flows.sweep import _documents_behind, sweep
from pipeline.core.home import Home
from pipeline.core.registry import CHALLENGER
from pipeline.settings import Settings
from tests.conftest import ROOT
from tests.flows.test_judge import judge, project  # noqa: F401 - a fixture
from tests.pipeline.evaluate.test_judge import likes_all, likes_the_first
from tests.pipeline.pairs.endpoint_server import serving

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("prefect")]
TAKEN = {"texts": 3, "questions": 2, "instructions": 3, "safety": 4}
"""Lines of the repository's general set."""


@pytest.fixture(scope="module")
def changes(tmp_path_factory):
    """A home of its own, a small general set, no prompted arms."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "general").mkdir()
    for name, count in TAKEN.items():
        lines = (ROOT / f"data/general/{name}.jsonl").read_text("utf-8").splitlines()[:count]
        (folder / f"general/{name}.jsonl").write_text("\n".join(lines), "utf-8")
    return {
        "paths": {"home": folder / "home", "general": folder / "general"},
        "evaluate": {"arms": [], "few_shot": 0, "seeds": 1},
    }


@pytest.fixture(scope="module")
def judged(project, changes, prefect):  # noqa: F811
    """The report of a run with a judge behind a server, and how often that was asked."""

    def likes(number, body):
        graded = body["messages"][-1]["content"].endswith("Grade?")
        return likes_all(number, body) if graded else likes_the_first(number, body)

    with serving(likes) as server:
        section = {"model": "biased", "base_url": server.url, "bootstrap_draws": 100}
        report = judge(project | {"judge": section}, **changes)
        asked = len(server.bodies)
        again = judge(project | {"judge": section}, **changes)
        assert len(server.bodies) == asked
    assert [stage.stage for stage in again.stages if not stage.reused] == []
    return report, asked


def test_instructions_and_requests_are_asked_of_both_models(judged):
    report, _ = judged
    assert report.forgetting.texts == 3
    assert report.behaviour.instructions.items == 3
    assert report.behaviour.refused.items == report.behaviour.answered.items == 2
    names = {reason.name for reason in report.gate.reasons}
    assert {"forgetting", "instructions", "refusals", "over_refusals", "claim"} <= names


def test_a_judge_without_decisions_of_people_is_shown_and_does_not_gate(judged):
    report, asked = judged
    rows = report.evaluation.test_rows
    # A grade of each answer, and both orders; equal answers are one request.
    assert 2 * rows <= asked <= 4 * rows
    (graded,) = (reason for reason in report.gate.reasons if reason.name == "graded_against_base")
    assert graded.passed and "grades the challenger 100% correct, +0.000" in graded.text
    (said,) = (reason for reason in report.gate.reasons if reason.name == "judge_against_base")
    assert said.passed and "prefers the challenger to base in 0.500" in said.text
    assert "0% consistent in both orders" in said.text
    assert said.text.endswith("0 decisions of people, needed 30; shown, does not gate")


def test_the_evidence_of_the_verdict_is_stored_and_the_card_agrees_with_it(judged, changes):
    report, _ = judged
    home = Home.at(changes["paths"]["home"])
    model = home.model("challenger")
    found = judgement(home, model)
    assert found.summary == report.gate.summary
    assert found.record["thresholds"]["max_forgetting"] == 0.2
    assert found.record["pairwise"]["against"]["base"]["comparisons"] == report.evaluation.test_rows
    manifest = home.store.manifest(*found.evidence.split("/"))
    assert {"base", "challenger", "general_base", "behaviour_challenger", "pairwise"} <= (
        manifest.inputs.keys()
    )
    card = ModelCard.load(changes["paths"]["home"] / "runs" / report.run.id / "model_card.md")
    values = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert values["loss"] == report.evaluation.arms["challenger"]["loss"].value


def test_a_scaled_model_is_judged_without_training_by_the_documents_of_its_model(
    judged,
    project,  # noqa: F811
    changes,
    tmp_path,
):
    sections = {name: project[name] | changes.get(name, {}) for name in project}
    sections["forgetting"] = {"scales": [0.5, 1.0]}
    home = Home.at(changes["paths"]["home"])
    whole = home.model("challenger")
    corpus = {name: home.dataset(name) for name in ("unique_documents", "chunks", "splits")}
    shutil.copytree(project["paths"]["input"], tmp_path / "raw")
    shutil.copy(ROOT / "data/samples/manual/gateway-pairing.md", tmp_path / "raw")
    later = sections | {"paths": sections["paths"] | {"input": tmp_path / "raw"}}
    curate(Settings.model_validate(later))
    assert all(home.dataset(name) != dataset for name, dataset in corpus.items())
    report = sweep(Settings.model_validate(sections), scale=0.5)
    stages = [stage.stage for stage in report.stages]
    assert "sweep" in stages and "scale" in stages and "train" not in stages
    half = home.model("challenger")
    assert half.content != whole.content
    assert judgement(home, half).summary == report.gate.summary
    ref = json.loads((home.registry.root / CHALLENGER).read_text())
    assert ref["reason"] == f"scale 0.5 of {whole}"
    (reference,) = (
        item
        for item in home.manifests()
        if item.dataset == "drift_reference" and item.inputs["model"] == str(half)
    )
    assert reference.inputs["documents"] == str(corpus["unique_documents"])
    behind = _documents_behind(home, home.dataset(reference.inputs["examples"]))
    assert [behind.documents, behind.chunks, behind.splits] == list(corpus.values())
