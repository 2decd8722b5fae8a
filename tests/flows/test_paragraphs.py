"""Curation reports repeated paragraphs, and takes them out when it is asked to."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.main import main
from pipeline.core.home import Home
from pipeline.drift.windows import _fates
from tests.pipeline.dedup.corpus import prose

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("prefect")]

NOTE = "The supplier is not liable for plants that were lost in a power cut at night."


@pytest.fixture
def run(tmp_path, monkeypatch, tiny_base):
    """Pages that share a note and one that is little else; returns the program to call."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(6):
        page = f"# Page {number}\n\n{prose(number, 60)}\n\n## Legal\n\n{NOTE}\n"
        (folder / f"{number}.md").write_text(page)
    (folder / "legal.md").write_text(
        f"# Legal\n\nIn short, and for all pages:\n\n{NOTE}\n\n{NOTE}\n"
    )
    monkeypatch.chdir(tmp_path)
    settings = [
        "paths.input=raw",
        "paths.home=home",
        "paths.gold=",
        "clean.languages=[]",
        "compute.runner=inline",
        f"model.base_model={tiny_base.path}",
    ]

    def call(*arguments: str):
        given = [part for setting in settings for part in ("--set", setting)]
        result = CliRunner().invoke(main, [*arguments, *given])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


def test_boilerplate_is_reported_and_then_removed(run):
    report = run("curate", "--json")
    stages = [stage["stage"] for stage in report["stages"]]
    assert stages[:4] == ["ingest", "clean", "paragraphs", "deduplicate"]
    assert report["repeated"]["removed"] is None
    (paragraph,) = report["repeated"]["most"]
    assert (paragraph["text"], paragraph["documents"]) == (NOTE, 7)
    (shown,) = run("show", "repeated_paragraphs", "--json")["rows"]
    assert (shown["occurrences"], shown["sources"]) == (8, ["0.md", "1.md", "2.md"])

    report = run("curate", "--json", "--set", "paragraphs.action=remove")
    stages = {stage["stage"]: stage for stage in report["stages"]}
    assert list(stages)[2:5] == ["paragraphs", "trim", "deduplicate"]
    assert stages["paragraphs"]["reused"], "what is repeated does not depend on what is done"
    assert stages["trim"]["reasons"] == {"only_repeated_paragraphs": 1}
    assert report["repeated"]["removed"] == 7
    (example,) = report["drop_examples"]["trim"]["only_repeated_paragraphs"]
    assert example["excerpt"].startswith("legal.md") and example["related_excerpt"]
    store = Home.at(Path("home"))
    texts = dict(store.rows(store.dataset("unique_documents")).select("source", "text").rows())
    assert [name for name, text in sorted(texts.items()) if NOTE in text] == ["0.md"]
    assert not any("## Legal" in text for name, text in texts.items() if name != "0.md")
    dropped, duplicates, kept = _fates(store, store.dataset("unique_documents"))
    assert (len(dropped), len(duplicates), len(kept)) == (1, 0, 6), "the monitor knows of it"

    report = run("curate", "--json", "--set", "paragraphs.action=off")
    assert report["repeated"] is None
    assert "paragraphs" not in {stage["stage"] for stage in report["stages"]}


def test_what_is_left_out_of_documents_is_shown_and_summed(run, tmp_path):
    page = "<html><body><nav>Home Shop Help</nav><main>{}</main></body></html>"
    text = f"<h1>Beds</h1><p>{prose(70, 90)}</p><img src='a.png'>"
    (tmp_path / "raw/beds.html").write_text(page.format(text))
    report = run("curate", "--json")
    (shown,) = run("show", "documents", "--left-out", "--json")["rows"]
    assert shown["source"] == "beds.html"
    found = {part["kind"]: part["amount"] for part in shown["left_out"]}
    assert found == {"navigation": 3, "pictures": 1}
    assert {part["kind"]: part["amount"] for part in report["left_out"]} == found
