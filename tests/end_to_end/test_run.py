"""The whole loop on a small real project."""

import re
import shutil

import pytest

from tests.end_to_end.project import ROOT

pytestmark = [pytest.mark.model, pytest.mark.slow]


def test_the_report_accounts_for_every_row(undisturbed):
    project, report = undisturbed
    names = [stage["stage"] for stage in report["stages"]]
    curation = "ingest, clean, paragraphs, deduplicate, index, chunk, locate gold, split"
    assert names[:8] == curation.split(", ")
    assert names[-1] == "drift baseline"
    for stage in report["stages"]:
        assert stage["rows_in"] == stage["rows_kept"] + stage["rows_dropped"], stage
        assert sum(stage["reasons"].values()) == stage["rows_dropped"], stage
    assert report["teacher"]["calls"] > 0
    assert report["training"]["method"] == "qlora"
    assert report["training"]["train_loss"][0][1] > report["training"]["train_loss"][-1][1]
    assert report["evaluation"]["arms"].keys() == {
        "base",
        "few_shot",
        "retrieval",
        "challenger",
        "challenger_retrieval",
        "placebo",
    }
    assert report["evaluation"]["challenger_minus"]["base"]["loss"]["value"] < 0
    evaluation = report["evaluation"]
    assert evaluation["arms"]["retrieval"]["retrieval_hit"]["value"] > 0.5
    assert evaluation["costs"].keys() == evaluation["arms"].keys()
    assert evaluation["costs"]["retrieval"]["prompt_tokens"] > 100
    assert evaluation["advice"]["choice"] in ("prompt", "retrieval", "fine-tune", "both")
    assert evaluation["looks"]["number"] == 1
    assert "base" in evaluation["slices"]  # empty here: its few rows are of one kind each
    assert names.index("evaluate base") < names.index("train")  # what the test set can show
    assert evaluation["foresight"]["rows"] == evaluation["test_rows"]
    assert "not claimed of the recipe" in evaluation["claim"]["text"]
    reasons = {reason["name"]: reason for reason in report["gate"]["reasons"]}
    # Its teacher answers from the chunks, and each row is looked up behind its pair and chunk.
    assert reasons["taught_from_documents"]["passed"], reasons["taught_from_documents"]
    run = project.home / "runs" / report["run"]["id"]
    page = (run / "report.html").read_text("utf-8")
    assert re.findall(r"""\b(?:src|href|url|action)\s*[=(]\s*["']?(?!#)[\w/]""", page) == []
    assert "<script" not in page


def test_checkpoints_go_once_the_model_is_stored(undisturbed):
    project, _ = undisturbed
    assert list((project.home / "work").glob("*")) == []


def test_nothing_synthetic_is_in_the_test_set_without_an_accept(undisturbed):
    import polars as pl

    project, _ = undisturbed
    (path,) = (project.home / "store" / "test_set").glob("*/part-00000.parquet")
    assert set(pl.read_parquet(path)["status"]) == {"gold"}


def test_a_second_run_executes_no_stage_and_asks_no_teacher(undisturbed, tmp_path):
    project, first = undisturbed
    project = project.copy(tmp_path / "copy")
    before = project.replies()
    second = project.run()
    assert [stage["stage"] for stage in second["stages"] if not stage["reused"]] == []
    assert second["teacher"]["calls"] == 0
    assert project.replies() == before
    assert second["evaluation"] == first["evaluation"]
    assert second["gate"] == first["gate"]


def test_a_new_document_asks_the_teacher_about_its_chunks_only(quick, endpoint, tmp_path):
    project, first = quick
    copy = project.copy(tmp_path / "copy")
    before = copy.replies()
    asked_before = len(endpoint.bodies)
    new = ROOT / "data/samples/manual/irrigation-programs.md"
    shutil.copy(new, copy.folder / "raw" / "manual" / new.name)
    first_model = copy.call("promote", "--reason", "test")["fingerprint"]
    report = copy.run()
    after = copy.replies()
    assert {name: at for name, at in after.items() if name in before} == before
    assert 0 < report["teacher"]["calls"] < first["teacher"]["calls"]
    asked = [body["messages"][-1]["content"] for body in endpoint.bodies[asked_before:]]
    assert len(asked) == report["teacher"]["calls"] == len(after) - len(before)
    lines = [" ".join(part.split()) for part in new.read_text("utf-8").split("\n\n")]
    written = [sentence for line in lines for sentence in re.split(r"(?<=[.:])\s+", line)]
    sentences = [sentence[:40] for sentence in written if len(sentence.split()) >= 5]
    for prompt in asked:
        text = " ".join(prompt.split())
        assert any(sentence in text for sentence in sentences), prompt[:500]
    assert report["evaluation"]["looks"]["number"] == 2  # a second model on the same test rows
    # The model of the first run is the champion now: the new one has to beat it.
    assert "champion" in report["evaluation"]["arms"]
    assert report["evaluation"]["challenger_minus"]["champion"]["loss"]
    assert "better_than_champion" in {reason["name"] for reason in report["gate"]["reasons"]}
    copy.call("promote", "--reason", "the new one")
    assert copy.call("rollback", "--reason", "worse")["fingerprint"] == first_model
