"""Judging, whole: arms of one frozen test set, seeds, looks, costs; on a small random model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from prefect import flow

from flows.curate import curate_documents, input_files
from flows.engine.context import open_run
from flows.models.loaded_model import base_model
from flows.run import train_and_judge
from flows.training import build_examples
from flows.views.report import write_report
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.settings import Settings
from schemas.pairs import SettledPairs
from tests.conftest import ROOT

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("prefect")]

DOCUMENTS = (
    "manual/alarm-codes.md",
    "manual/climate-zones.md",
    "manual/relay-outputs.md",
    "support/factory-reset.html",
    "support/export-data-csv.html",
    "releases/release-4.1.txt",
)
ARMS = ["few_shot", "retrieval", "chain_of_thought", "challenger_retrieval"]


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_base):
    """Documents, their gold rows and settings: gold alone is enough to train and to judge."""
    folder: Path = tmp_path_factory.mktemp("judged")
    for name in DOCUMENTS:
        target = folder / "raw" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "data/samples" / name, target)
    gold = (ROOT / "data/gold/gold.jsonl").read_text("utf-8").splitlines()
    kept = [line for line in gold if json.loads(line)["document"] in DOCUMENTS]
    (folder / "gold.jsonl").write_text("\n".join(kept) + "\n", "utf-8")
    return {
        "paths": {
            "input": folder / "raw", "home": folder / "home", "gold": folder / "gold.jsonl",
            "general": None,
        },
        "split": {"validation": 0.2, "test": 0.4},
        "model": {"base_model": str(tiny_base.path)},
        "compute": {"runner": "inline"},
        "train": {"method": "lora", "max_steps": 2, "evaluations": 1, "rank": 2},
        "evaluate": {
            "arms": ARMS, "max_new_tokens": 3, "thinking_tokens": 2, "bootstrap_draws": 200,
            "seeds": 2, "prompt_price": 1.0,
        },
    }  # fmt: skip


def judge(project, **changes):
    """Take gold rows to a judged model and return the report."""
    sections = {name: project[name] | changes.get(name, {}) for name in project}
    settings = Settings.model_validate(sections)

    @flow(name="run")
    def body():
        with open_run("run", settings) as run:
            base = base_model(settings)
            corpus = curate_documents(run, base, input_files(run))
            none = Outcome(table(SettledPairs, []), drops([]), rows_in=0)
            nothing = Stage("settle", lambda: none, SettledPairs, dataset="no_pairs")
            settled = run(nothing)
            data = build_examples(run, corpus, settled)
            judged = train_and_judge(run, base, corpus, data)
            del run.datasets["settle"]  # the report would look for reviews
            return write_report(run, judged)

    return body()


@pytest.fixture(scope="module")
def report(project, prefect):
    return judge(project)


def test_every_arm_answers_the_same_rows(report):
    found = report.evaluation
    assert list(found.arms) == [
        "base",
        "few_shot",
        "retrieval",
        "chain_of_thought",
        "challenger",
        "challenger_retrieval",
        "placebo",
    ]
    assert found.challenger_minus.keys() == found.arms.keys() - {found.served}
    assert "loss" not in found.arms["chain_of_thought"]
    hits = [found.arms[arm]["retrieval_hit"].value for arm in ("retrieval", "challenger_retrieval")]
    assert hits[0] == hits[1] > 0.5  # BM25 finds the right document, whoever reads it
    (frozen,) = (stage for stage in report.stages if stage.stage == "test set")
    for arm in found.arms:
        (stage,) = (line for line in report.stages if line.stage == f"evaluate {arm}")
        assert stage.rows_kept == frozen.rows_kept


def test_the_base_model_answers_before_anything_is_trained(report):
    stages = [stage.stage for stage in report.stages]
    before = stages[: stages.index("train")]
    assert {"evaluate base", "evaluate few_shot", "evaluate retrieval"} <= set(before)
    assert "evaluate challenger" not in before
    assert report.evaluation.foresight.rows == report.evaluation.test_rows
    assert report.evaluation.foresight.effect is not None


def test_a_second_seed_is_trained_and_only_its_losses_are_taken(report):
    assert report.evaluation.claim.by_seed.keys() == {17, 18}
    stages = [stage.stage for stage in report.stages]
    assert "train seed 18" in stages and "evaluate seed 18" in stages
    means, arms = list(report.evaluation.claim.by_seed.values()), report.evaluation.arms
    difference = arms["challenger"]["loss"].value - arms["base"]["loss"].value
    assert means[0] == pytest.approx(difference) and means[0] != means[1]


def test_a_placebo_is_trained_for_a_quarter_of_the_steps_on_dealt_answers(report):
    steps, full = report.evaluation.placebo_steps
    assert steps == max(1, round(full / 4))
    stages = [stage.stage for stage in report.stages]
    assert stages.index("train") < stages.index("deal") < stages.index("train placebo")
    assert "better_than_placebo" in {reason.name for reason in report.gate.reasons}


def test_each_arm_has_its_cost_and_an_adaptation_is_advised(report):
    found = report.evaluation
    assert found.costs.keys() == found.arms.keys()
    base, retrieval = found.costs["base"], found.costs["retrieval"]
    assert retrieval.prompt_tokens > base.prompt_tokens + 50
    assert base.price == pytest.approx(base.prompt_tokens / 1e6)
    assert base.seconds > 0 and base.tokens_per_second > 0
    assert found.advice.choice in ("prompt", "retrieval", "fine-tune", "both")


def test_a_price_is_no_reason_to_ask_or_train_again_and_the_same_model_no_second_look(
    project, report
):
    again = judge(project, evaluate={"prompt_price": 2.0})
    assert [stage.stage for stage in again.stages if not stage.reused] == ["gate"]
    found = again.evaluation
    assert found.costs["base"].price == pytest.approx(2 * report.evaluation.costs["base"].price)
    assert replace(found, costs={}) == replace(report.evaluation, costs={})
    assert found.looks.number == 1
