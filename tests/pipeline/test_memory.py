"""Tables larger than their part of the memory lie in files, and nobody can tell by their rows."""

import gc
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.core.cache import Cache
from pipeline.core.manifest import content_digest
from pipeline.core.memory import bounded, joined, let_go
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.runner import Inline
from pipeline.core.store import Store
from pipeline.dedup.deduplicate import deduplicate
from pipeline.dedup.index import write_segment
from pipeline.dedup.paragraphs import find_repeated, trim
from pipeline.documents.chunk.chunk import chunk
from pipeline.documents.clean.clean import clean
from pipeline.documents.files.files import scan
from pipeline.documents.files.ingest import ingest
from pipeline.pairs.split import split
from pipeline.settings import Settings
from schemas.documents import RawDocuments
from tests.conftest import ROOT
from tests.pipeline.test_store import recipe

ROWS = 5000


def rows(count: int = ROWS) -> list[dict]:
    return [
        {
            "doc_id": f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}",
            "source": f"folder/{number}.md",
            "format": "markdown",
            "title": "ตาราง \u2028" if number % 7 == 0 else "a",
            "text": f"Row {number}. " * (1 + number % 40),
            "span_start": 0,
            "span_end": number,
        }
        for number in range(count)
    ]


def mapped(folder: Path) -> bool:
    """Whether a file of a folder is mapped into this process."""
    return str(folder) in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("height", [0, 1, 1024, 1025, ROWS])
def test_a_table_in_a_file_has_the_rows_of_one_in_memory(tmp_path, height):
    made = rows(height)
    expected = table(RawDocuments, made)
    with bounded(0.001, tmp_path):
        found = table(RawDocuments, made)
        assert list(tmp_path.iterdir()) == []  # it has no name
        assert mapped(tmp_path) == bool(height)
        assert_frame_equal(found, expected)
        for frame in (found.sort("doc_id"), found.filter(pl.col("span_end") % 3 == 1)):
            let_go()
            assert content_digest(frame) == content_digest(expected.join(frame, "doc_id", "semi"))
    del found, frame
    gc.collect()
    assert not mapped(tmp_path)


def test_lists_and_nulls_go_through_a_file(tmp_path):
    frame = pl.DataFrame({"a": [["x", "yé"], [], None], "b": [1.5, None, 2.0]})
    with bounded(0.000001, tmp_path):
        assert_frame_equal(joined([frame, frame[:0], frame]), pl.concat([frame, frame]))


def test_a_data_set_is_the_same_to_the_byte_whatever_the_memory(tmp_path):
    made = rows()
    stored = {}
    for megabytes in (2048, 0.5):
        store = Store(tmp_path / str(megabytes))
        with bounded(megabytes, tmp_path):
            kept = table(RawDocuments, made).sort("doc_id")
            outcome = Outcome(kept, drops([]), rows_in=len(made))
            dataset = store.write(recipe(), RawDocuments, outcome, 0.0, 0.0)
            assert_frame_equal(store.read(dataset, RawDocuments), kept)
        manifest = store.manifest(dataset.name, dataset.fingerprint)
        stored[megabytes] = dataset.content, manifest.files
    assert stored[2048] == stored[0.5]


def curated(folder: Path, megabytes: float) -> tuple[list[Outcome], dict[str, bytes]]:
    """Each stage of curation on the sample documents, and the files of the index."""
    made: list[Outcome] = []
    asked = Settings()
    (folder / "index").mkdir(parents=True)
    with bounded(megabytes, folder):
        reading = asked.ingest.model_copy(update={"include": ("**/*.md",)})
        files = scan(ROOT / "data/samples", reading, folder / "index.json")
        made.append(ingest(files, reading, Cache(folder / "reads"), Inline()))
        made.append(clean(made[-1].kept, asked.clean, Inline()))
        paragraphs = asked.paragraphs.model_copy(update={"min_documents": 2, "min_words": 3})
        repeated = find_repeated(made[-1].kept, paragraphs, Inline())
        made.append(trim(made[-1].kept, repeated.kept, lambda text: None, Inline()))
        unique = deduplicate(made[-1].kept, asked.dedup, runner=Inline())
        write_segment(folder / "index", unique.kept, asked.dedup, Inline())
        chunks = chunk(unique.kept, asked.chunk, len, Inline())
        splits = split(unique.kept, chunks.kept, asked.split)
        assert mapped(folder) == (megabytes < 1)
    written = {path.name: path.read_bytes() for path in (folder / "index").iterdir()}
    return [*made, repeated, unique, chunks, splits], written


def test_curation_is_the_same_whatever_the_memory(tmp_path):
    plenty, index = curated(tmp_path / "plenty", 2048)
    little, other = curated(tmp_path / "little", 0.01)
    assert index == other
    for one, two in zip(plenty, little, strict=True):
        assert one.kept.height
        assert_frame_equal(one.kept, two.kept)
        assert_frame_equal(one.dropped, two.dropped)
        assert one.metrics == two.metrics
        for name, (_, frame) in one.tables.items():
            assert_frame_equal(frame, two.tables[name][1])
