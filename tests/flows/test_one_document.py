"""One handbook goes the whole way: split by section, judged by section, and said so."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.main import main
from pipeline.pairs.user_files import read_jsonl
from tests.conftest import ROOT
from tests.flows.test_first_project import LENIENT, Project, judged_as_not_right
from tests.pipeline.pairs.endpoint_server import serving, teach

GOLD = [
    row
    for row in read_jsonl(ROOT / "data/gold/gold.jsonl")
    if row["document"].startswith("manual/") and row["document"].endswith(".md")
]


def handbook() -> str:
    """The pages of the manual as chapters of one text."""
    names = sorted({row["document"] for row in GOLD})
    pages = [(ROOT / "data/samples" / name).read_text("utf-8") for name in names]
    return "# Handbook\n\n" + re.sub(r"^#", "##", "\n\n".join(pages), flags=re.MULTILINE)


@pytest.fixture
def project(tmp_path, tiny_base, prefect, monkeypatch):
    folder = tmp_path / "project"
    assert CliRunner().invoke(main, ["init", str(folder)]).exit_code == 0
    monkeypatch.chdir(folder)
    with serving(teach) as server:
        models = (f"model.base_model={tiny_base.path}", "teacher.kind=openai", "teacher.model=m")
        yield (
            Project(folder),
            (*models, f"teacher.base_url={server.url}", "compute.runner=inline"),
        )


def test_one_handbook_is_trained_on_and_judged_by_its_sections(project):
    loop, models = project
    Path("raw/handbook.md").write_text(handbook(), "utf-8")
    # The only document need not be named.
    gold = [{name: row[name] for name in ("question", "answer")} for row in GOLD]
    Path("gold.jsonl").write_text("\n".join(map(json.dumps, gold)), "utf-8")
    settings = (*models, *LENIENT, "paths.gold=gold.jsonl", "paths.general=")
    done = loop.ended("run", "--json", settings=settings)
    sections = re.search(r"split: by section, (\d+) of them, since there are fewer", done.stderr)
    assert sections is not None and int(sections[1]) >= 22  # one a page or more
    report = judged_as_not_right(done)
    evaluation = report["evaluation"]
    assert evaluation["unit"] == evaluation["foresight"]["unit"] == "sections"
    assert evaluation["test_clusters"] > 1
    assert report["splits"]["train"] > report["splits"]["test"] > 0
    said = {reason["name"]: reason["text"] for reason in report["gate"]["reasons"]}
    assert f"from {evaluation['test_clusters']} independent sections" in said["enough_clusters"]
    page = (Path("home/runs") / report["run"]["id"] / "report.html").read_text("utf-8")
    assert "independent sections" in page and "independent documents" not in page
    assert "All rows of a section are in one split" in loop.ended("card", "challenger").output
    shown = json.loads(loop.ended("show", "screened_pairs", "-n", "99", "--json").stdout)["rows"]
    for pair in {row["split"]: row for row in shown}.values():
        story = json.loads(loop.ended("trace", pair["pair_id"], "--json").stdout)["found"]
        for key in ("chunk_id", "cluster_id", "split"):
            assert story["splits"][key] == pair[key]
        assert story["chunks"]["chunk_id"] == pair["chunk_id"]


def test_a_document_too_short_for_three_parts_ends_in_one_line(project):
    loop, models = project
    text = "The pump of the greenhouse is primed for five seconds, then the valve is opened. "
    Path("raw/note.md").write_text("# Note\n\n" + text * 3, "utf-8")
    done = loop.call("run", settings=models)
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert "split: 1 sections in 1 documents found; expected at least 3" in done.stderr
