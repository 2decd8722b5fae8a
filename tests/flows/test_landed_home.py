"""A home of November 2026, before stages knew their code: it opens, and nothing in it is lost."""

import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.main import main

ARCHIVE = Path(__file__).parent / "home_2026_11.tar.xz"
"""Nine documents and then twelve more, a teacher at an endpoint, a champion with random weights,
two decisions of a reviewer, a check of drift; without models, replies and servers."""
CHAMPION = "5beb71ab11f3e42f"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landed")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def said(folder: Path, *words: str) -> str:
    settings = ("--config", str(folder / "tuneloop.toml"))
    done = CliRunner().invoke(main, [*words, *settings])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_stored_file_is_whole(folder: Path):
    assert json.loads(said(folder, "fsck", "--json"))["problems"] == []


def test_champion_reviews_and_the_last_check_of_drift_are_known(folder: Path):
    status = json.loads(said(folder, "status", "--json"))
    assert CHAMPION in json.dumps(status["champion"])
    assert status["decision"]["action"] == "ok"
    assert status["reviews"]["done"] == 2
    [model] = json.loads(said(folder, "models", "--json"))["models"]
    assert (model["fingerprint"], model["verdict"]) == (CHAMPION, "refused")
    counts = json.loads(said(folder, "review", "status", "--json"))
    assert counts["queued"] > counts["done"] == 2


def test_the_card_tells_what_evaluation_and_gate_said_then(folder: Path):
    cards = json.loads(said(folder, "card", "--json"))
    assert "0% of answers end by themselves, needed 90% or more" in cards["model"]
    assert "needed > 0" in cards["model"] and "documents" in cards["data"]


def test_every_table_is_read_by_the_schema_of_today(folder: Path):
    listed = json.loads(said(folder, "show", "--json"))["rows"]
    tables = {row["dataset"]: row["rows"] for row in listed}
    assert {"chunks", "splits", "screened_pairs", "test_set", "drift_reference"} <= tables.keys()
    for name in tables.keys() - {"model", "verdict", "dedup_index"}:
        rows = json.loads(said(folder, "show", name, "--json"))["rows"]
        assert len(rows) == min(5, tables[name]), name
    [pair, *_] = json.loads(said(folder, "show", "screened_pairs", "--json"))["rows"]
    story = json.loads(said(folder, "trace", pair["pair_id"], "--json"))
    assert "screened_pairs" in story["found"]


def test_the_reports_of_its_runs_are_read_and_rendered(folder: Path):
    from pipeline.report.contents import Report
    from pipeline.report.html import render

    for path in (folder / "home" / "runs").glob("*/report.json"):
        report = Report.model_validate_json(path.read_text())
        assert report.stages and report.run.flow in render(report)


def test_its_pairs_are_counted_and_exported_as_those_of_today(folder: Path):
    covered = json.loads(said(folder, "show", "coverage", "--json"))["rows"]
    assert {kind for row in covered for kind in row["kinds"]} == {"fact"}
    written = json.loads(said(folder, "export", "data", "--to", str(folder / "data"), "--json"))
    assert set(written["splits"]) == {"test", "train", "validation"}


def test_a_document_of_it_can_be_forgotten(folder: Path):  # last: it is gone then
    [document, *_] = json.loads(said(folder, "show", "unique_documents", "--json"))["rows"]
    words = document["text"].split("\n")[-1]
    assert said(folder, "forget", document["doc_id"], "--yes")
    files = [path for path in (folder / "home").rglob("*") if path.is_file()]
    assert not [path for path in files if words.encode() in path.read_bytes()]
    assert json.loads(said(folder, "fsck", "--json"))["problems"] == []
