import os
import random
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.cache import Cache, short_id
from pipeline.documents.files.files import SourceFile, scan
from pipeline.documents.files.ingest import ingest
from pipeline.settings import IngestSettings
from schemas.base import Drops
from schemas.documents import RawDocuments
from tests.pipeline.documents import making

CONTENT = {
    "a.md": b"# A\ntext",
    "b/c.html": b"<p>text</p>",
    "d.txt": b"text",
    "e.pdf": making.pdf([making.body("Hello")]),
    "f.docx": making.docx(making.paragraph("Hello")),
    "g.jsonl": b'{"text": "one"}\n{"text": "two"}\nbad',
    "h.md": b"",
    "i.pdf": b"%PDF-1.4 x",
    "j.md": b"a\0b",
    "k.xyz": b"?",
    "l.md": b"# A\ntext",
    "m.docx": b"PK\x03\x04 cut",
    "n.md": b"x" * 5_000_000,
}


def fill(root: Path) -> Path:
    for name, data in CONTENT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_each_file_is_a_document_or_a_named_drop(tmp_path: Path):
    outcome = making.read(fill(tmp_path / "in"), tmp_path, IngestSettings(max_file_megabytes=4))
    assert outcome.balances
    assert outcome.rows_in == len(CONTENT) + 2, "the JSONL file has three records"
    RawDocuments.validate(outcome.kept, lazy=True)
    Drops.validate(outcome.dropped, lazy=True)
    assert dict(outcome.dropped.select("id", "reason").iter_rows()) == {
        "g.jsonl#3": "bad_json",
        "h.md": "empty_file",
        "i.pdf": "unreadable_pdf",
        "j.md": "binary_file",
        "k.xyz": "unknown_format",
        "m.docx": "unreadable_docx",
        "n.md": "too_large",
    }
    large = outcome.dropped.filter(pl.col("reason") == "too_large").row(0, named=True)
    assert (large["value"], large["threshold"]) == (5e6, 4e6)
    by_source = {row["source"]: row for row in outcome.kept.to_dicts()}
    assert sorted(by_source) == [
        "a.md",
        "b/c.html",
        "d.txt",
        "e.pdf",
        "f.docx",
        "g.jsonl#1",
        "g.jsonl#2",
        "l.md",
    ]
    assert by_source["a.md"]["doc_id"] == short_id("a.md", "# A\ntext")
    assert by_source["g.jsonl#1"]["title"] == "g", "without a title field the stem stands in"


def test_what_was_read_is_not_read_again_even_after_it_has_left(tmp_path: Path):
    root = fill(tmp_path / "in")
    first = making.read(root, tmp_path)
    again = making.read(root, tmp_path)
    assert again.kept.equals(first.kept) and again.dropped.equals(first.dropped)
    assert again.metrics["files_read"] == 0
    for name in CONTENT:
        (root / name).unlink()
    gone = making.read(root, tmp_path)
    assert gone.kept.equals(first.kept) and gone.dropped.equals(first.dropped)
    assert gone.metrics["files_gone"] == len(CONTENT)


def test_a_run_that_was_killed_reads_only_the_rest(tmp_path: Path):
    root = fill(tmp_path / "in")
    files = scan(root, IngestSettings(), tmp_path / "i")
    cache = Cache(tmp_path / "cache")
    ingest(files[:5], IngestSettings(), cache)  # what a kill -9 leaves behind
    outcome = ingest(files, IngestSettings(), cache)
    assert outcome.metrics["files_read"] == len(files) - 5 - 1, "l.md has the content of a.md"
    assert outcome.kept.equals(ingest(files, IngestSettings(), Cache(tmp_path / "other")).kept)


def test_another_text_field_reads_records_anew_and_nothing_else(tmp_path: Path):
    root = fill(tmp_path / "in")
    making.read(root, tmp_path)
    assert making.read(root, tmp_path, IngestSettings(text_field="body")).metrics["files_read"] == 1


def test_a_gone_file_without_cached_text_and_an_unreadable_one_are_drops(tmp_path: Path):
    files = [
        SourceFile("gone.md", None, "0" * 64, 3),
        SourceFile("closed.md", tmp_path / "closed.md", "", 3),
    ]
    outcome = ingest(files, IngestSettings(), Cache(tmp_path / "cache"))
    assert outcome.reasons == {"unreadable_file": 1, "vanished_file": 1}
    assert outcome.balances


def test_a_file_that_changes_after_the_scan_does_not_poison_the_cache(tmp_path: Path):
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.md").write_text("old text")
    files = scan(root, IngestSettings(), tmp_path / "index.json")
    (root / "a.md").write_text("new text")
    os.utime(root / "a.md", ns=(1, 1))
    outcome = ingest(files, IngestSettings(), Cache(tmp_path / "cache"))
    assert outcome.reasons == {"changed_file": 1}
    assert making.read(root, tmp_path).kept["text"].to_list() == ["new text"]


def test_the_same_document_of_two_roots_is_kept_once(tmp_path: Path):
    first, second = tmp_path / "one", tmp_path / "two"
    for root in (first, second):
        root.mkdir()
        (root / "a.md").write_text("# A")
    making.read(first, tmp_path)
    first.rename(tmp_path / "elsewhere")
    outcome = making.read(second, tmp_path)
    assert outcome.kept.height == 1
    assert outcome.dropped.select("id", "reason", "related_id").rows() == [
        ("a.md", "same_document", outcome.kept["doc_id"][0])
    ]


@settings(max_examples=25, deadline=None)
@given(chosen=st.lists(st.sampled_from(sorted(CONTENT)), unique=True), seed=st.integers(0, 99))
def test_counts_balance_and_order_does_not_matter(tmp_path_factory, chosen, seed):
    folder = tmp_path_factory.getbasetemp() / "order"
    if not folder.exists():
        fill(folder / "in")
    files = [
        file
        for file in scan(folder / "in", IngestSettings(), folder / "i")
        if file.source in chosen
    ]
    cache = Cache(folder / "cache")
    outcome = ingest(files, IngestSettings(), cache)
    random.Random(seed).shuffle(files)
    shuffled = ingest(files, IngestSettings(), cache)
    assert outcome.balances
    assert outcome.kept.equals(shuffled.kept) and outcome.dropped.equals(shuffled.dropped)
