"""Splits over several runs: free until a model was trained, and kept from then on."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.main import main
from pipeline.core.home import Home
from pipeline.core.journal import now
from pipeline.core.registry import CHALLENGER
from tests.pipeline.dedup.corpus import prose

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("prefect")]


class Curated:
    """A folder of pages that is curated again and again."""

    def __init__(self, model: Path) -> None:
        self.model = model
        Path("raw").mkdir()
        self.add(range(60))

    def add(self, numbers: range) -> None:
        for number in numbers:
            Path(f"raw/{number}.md").write_text(f"# Page {number}\n\n{prose(number, 60)}\n")

    def splits(self, gold: str = "") -> tuple[dict[str, str], bool, str]:
        """Curate; return the split of each page, whether that was reused, and what was said."""
        settings = [
            "paths.input=raw", "paths.home=home", f"paths.gold={gold}", "clean.languages=[]",
            f"model.base_model={self.model}", "compute.runner=inline",
        ]  # fmt: skip
        given = [part for setting in settings for part in ("--set", setting)]
        result = CliRunner().invoke(main, ["curate", "--json", *given])
        assert result.exit_code == 0, result.output
        home = Home.at(Path("home"))
        sources = home.rows(home.dataset("unique_documents")).select("doc_id", "source")
        rows = home.rows(home.dataset("splits")).join(sources, on="doc_id")
        (stage,) = [s for s in json.loads(result.stdout)["stages"] if s["stage"] == "split"]
        return dict(rows.select("source", "split").iter_rows()), stage["reused"], result.stderr


def test_gold_rows_move_documents_until_a_model_has_learned_from_them(
    tmp_path, monkeypatch, tiny_base
):
    monkeypatch.chdir(tmp_path)
    corpus = Curated(tiny_base.path)
    first, _, _ = corpus.splits()
    train = sorted(source for source, split in first.items() if split == "train")
    rows = [
        json.dumps({"question": f"What is {n} in {source}?", "answer": "A.", "document": source})
        for source in train[:12]
        for n in range(3)
    ]
    Path("gold.jsonl").write_text("\n".join(rows[:15]))
    with_gold, _, said = corpus.splits("gold.jsonl")
    moved = {source for source in first if first[source] != with_gold[source]}
    assert moved <= set(train[:5]) and {with_gold[source] for source in moved} >= {"test"}
    assert "with 15 gold rows of 5 of them (0 in validation, 0 in train)" in said

    home = Home.at(Path("home"))
    home.registry.point(CHALLENGER, home.dataset("splits"), "as if one was trained", now())
    assert corpus.splits("gold.jsonl")[:2] == (with_gold, True)
    Path("gold.jsonl").write_text("\n".join(rows))
    corpus.add(range(60, 70))
    later, reused, _ = corpus.splits("gold.jsonl")
    assert not reused
    assert {source: later[source] for source in with_gold} == with_gold
    assert len(later) == 70
    assert corpus.splits("gold.jsonl")[:2] == (later, True)
