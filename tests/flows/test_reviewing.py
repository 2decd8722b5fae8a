"""A home whose pairs are reviewed: queues, what decisions settle, what they tell, pairs alike."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from prefect import flow

from annotation.decisions import Decision
from annotation.queue import read_policy
from annotation.queue_files import FileQueue
from annotation.queues import open_queue
from flows.cli.main import main
from flows.curate import latest_corpus
from flows.engine.context import open_run
from flows.review import review_pairs
from pipeline.core.home import Home
from pipeline.pairs.review_sample import DOUBTS
from pipeline.settings import Settings
from pipeline.train.models.base_model import BaseModel
from schemas.pairs import ScreenedPairs, SettledPairs
from tests.flows.conftest import prefect
from tests.flows.synthesized_home import synthesized_home

__all__ = ["prefect"]


@pytest.fixture(scope="module")
def synthesized(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel, prefect: None
) -> Settings:
    folder = tmp_path_factory.mktemp("reviewing")
    return synthesized_home(folder, tiny_base.path.parent, tiny_base.path)


@pytest.fixture
def settings(synthesized: Settings, tmp_path: Path) -> Settings:
    """The home, for one test alone."""
    shutil.copytree(synthesized.paths.home, tmp_path / "home")
    paths = synthesized.paths.model_copy(update={"home": tmp_path / "home"})
    return synthesized.model_copy(update={"paths": paths})


def said(settings: Settings, *words: str) -> str:
    result = CliRunner().invoke(main, [*words, "--set", f"paths.home={settings.paths.home}"])
    assert result.exit_code == 0, result.output
    return result.stdout


def items(settings: Settings) -> dict[str, dict[str, str]]:
    return FileQueue(settings.paths.home / "reviews").items()


def decide(settings: Settings, pair_id: str, verdict: str, reviewer: str = "ann", **texts: str):
    flags = ("wrong",) if verdict == "reject" else ()
    text = texts.get("response", "")
    decision = Decision(pair_id, verdict, text, flags, "", reviewer, texts.get("asked", ""))
    open_queue(settings).decide(decision)


@flow(name="settle")
def settle(settings: Settings) -> pl.DataFrame:
    with open_run("settle", settings) as run:
        corpus, screened = latest_corpus(Home.at(run.home))
        return run.store.read(review_pairs(run, corpus, screened), SettledPairs)


def test_each_queue_has_its_items_and_a_second_push_adds_none(settings: Settings) -> None:
    gold = read_policy(settings).gold
    queued = items(settings)
    assert gold and gold.keys() <= queued.keys()
    assert len(gold) == -(-(len(queued) - len(gold)) // 20)  # 5 %
    assert {queued[key]["queue"] for key in gold} == {"audit"}, "nobody knows which they are"
    fix = {key: item for key, item in queued.items() if item["queue"] == "fix"}
    assert len(fix) == settings.review.fix_size
    assert {item["hint"] for item in fix.values()} <= set(DOUBTS.values())
    assert json.loads(said(settings, "review", "push", "--json"))["new"] == 0
    assert items(settings) == queued and read_policy(settings).gold == gold
    about = json.loads(said(settings, "review", "status", "--json"))["about"]
    assert about["queues"]["gold"] == {"items": len(gold), "open": len(gold)}
    assert about["queues"]["fix"] == {"items": len(fix), "open": len(fix)}


def test_decisions_reach_the_pairs_that_are_trained_on(settings: Settings) -> None:
    gold, queued = read_policy(settings).gold, items(settings)
    audited = [key for key, item in queued.items() if item["queue"] == "audit" and key not in gold]
    doubted = [key for key, item in queued.items() if item["queue"] == "fix"]
    decide(settings, audited[0], "edit", asked="What does it say of this?")
    decide(settings, audited[1], "accept")
    decide(settings, audited[1], "reject", "bo")
    decide(settings, doubted[0], "accept")
    decide(settings, doubted[1], "edit", response="It takes a while, as the manual says.")
    decide(settings, doubted[2], "reject")
    for key in gold:
        decide(settings, key, "reject")

    rows = {row["pair_id"]: row for row in settle(settings).iter_rows(named=True)}
    edited = rows[audited[0]]
    assert edited["instruction"] == "What does it say of this?" and edited["status"] == "edited"
    assert edited["original_instruction"] == queued[audited[0]]["instruction"]
    assert audited[1] not in rows, "people disagree"
    assert rows[doubted[0]]["status"] == "accepted" and rows[doubted[1]]["status"] == "edited"
    assert not rows.keys() & {*doubted[2:], *gold}, "neither doubted nor gold items are trained on"
    stored = json.loads(said(settings, "show", "reviews", "--dropped", "-n", "99", "--json"))
    assert {row["reason"] for row in stored["rows"]} == {"gold_item"}

    facts = json.loads(said(settings, "review", "status", "--json"))["about"]
    assert facts["disputed"] == [audited[1]]
    assert facts["screens"][0] | {"low": 0, "high": 0} == {
        "name": "all", "hits": 2, "of": 3, "share": pytest.approx(2 / 3), "low": 0, "high": 0,
    }  # fmt: skip
    [ann, bo] = facts["reviewers"]
    right = sum(item.expected == "reject" for item in gold.values())
    assert (ann["gold_right"], ann["gold_answered"]) == (right, len(gold))
    assert (ann["decisions"], bo["decisions"]) == (5, 1) and ann["edit_share"] == 0.4
    lines = said(settings, "review", "status")
    assert f"disputed   {audited[1]}: they wait for a third person" in lines
    assert "screen     all: 2 of 3, 67% [21%, 94%] rightly dropped" in lines


def test_what_a_failing_reviewer_decided_is_held_back_and_asked_again(settings: Settings) -> None:
    said(settings, "review", "push", "--set", "review.gold=0.3")
    gold, queued = read_policy(settings).gold, items(settings)
    assert len(gold) >= 10
    for key, item in gold.items():
        decide(settings, key, "accept" if item.expected == "reject" else "reject", "bo")
    home = Home.at(settings.paths.home)
    screened = home.store.read(home.dataset("screened_pairs"), ScreenedPairs)
    pair = next(key for key in screened.filter(split="test")["pair_id"] if key in queued)
    decide(settings, pair, "accept", "bo")
    assert pair in settle(settings)["pair_id"].to_list()

    strict = ("--set", "review.min_gold_accuracy=0.7")
    lines = said(settings, "review", "status", *strict)
    assert "held back  1 decisions; their pairs are asked again" in lines
    assert f"reviewer   bo: 1 decisions, 0% edits, 0 of {len(gold)} gold items right" in lines
    review = settings.review.model_copy(update={"min_gold_accuracy": 0.7})
    held = settings.model_copy(update={"review": review})
    assert pair not in settle(held)["pair_id"].to_list()
    assert pair in {item["pair_id"] for item in open_queue(held).open_items("ann")}


def test_pairs_alike_are_listed_rejected_or_asked_again_together(settings: Settings) -> None:
    first = next(key for key, item in items(settings).items() if item["queue"] == "audit"
                 and key not in read_policy(settings).gold)  # fmt: skip
    listed = json.loads(said(settings, "review", "like", first, "-n", "3", "--json"))["pairs"]
    ids = [row["pair_id"] for row in listed]
    assert ids[0] == first and listed[0]["similarity"] == 1 and 1 < len(ids) <= 4
    shares = [row["similarity"] for row in listed]
    assert shares == sorted(shares, reverse=True)
    words = [set(row["instruction"].split()) for row in listed]
    assert all(len(words[0] & other) >= len(words[0]) / 2 for other in words[1:])

    decided = open_queue(settings).pull().decided
    assert not decided
    like = ("review", "like", first, "-n", "3", "--reviewer", "ann")
    assert f"{len(ids)} pairs rejected" in said(settings, *like, "--reject", "--flag", "incomplete")
    reviews = open_queue(settings).pull().reviews
    assert set(reviews["pair_id"]) == set(ids) and reviews["note"].unique().to_list() == [
        f"like {first}"
    ]
    assert reviews["flags"].to_list() == [["incomplete"]] * len(ids)
    facts = json.loads(said(settings, "review", "status", "--json"))["about"]
    assert sum(row["of"] for row in facts["audit"]) == 0, "they are no random sample"

    assert f"{len(ids)} pairs asked again" in said(settings, *like, "--requeue")
    assert set(ids) <= {item["pair_id"] for item in open_queue(settings).open_items("ann")}
    settle(settings)
    stored = said(settings, "show", "settled_pairs", "--dropped", "-n", "999", "--json")
    assert "rejected" not in {row["reason"] for row in json.loads(stored)["rows"]}


def test_an_unknown_pair_or_flag_is_told_in_one_line(settings: Settings) -> None:
    place = ("--set", f"paths.home={settings.paths.home}")
    result = CliRunner().invoke(main, ["review", "like", "0" * 16, *place])
    assert result.exit_code == 2 and "no pair '0000000000000000' found" in result.stderr
    home = Home.at(settings.paths.home)
    key = home.store.read(home.dataset("screened_pairs"), ScreenedPairs)["pair_id"][0]
    result = CliRunner().invoke(main, ["review", "like", key, "--reject", "--flag", "ugly", *place])
    assert result.exit_code == 2 and "unknown_flag" in result.stderr
    assert not open_queue(settings).pull().decided
