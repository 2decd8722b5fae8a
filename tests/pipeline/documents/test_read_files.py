"""Files are read in workers: limits, what is cached, and the same result for any number."""

import threading
from pathlib import Path

import polars as pl
import pytest

from pipeline.core.cache import Cache
from pipeline.core.runner import Processes
from pipeline.documents.files.files import scan
from pipeline.documents.files.ingest import ingest
from pipeline.settings import IngestSettings
from tests.pipeline.documents import hostile_binary, making
from tests.pipeline.documents.test_ingest import CONTENT, fill

HANGS = hostile_binary.hanging_pdf(10_000, b"q Q ")


def quick(**changes: float) -> IngestSettings:
    return IngestSettings(**{"seconds_per_file": 3, "max_memory_megabytes": 256} | changes)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder with good files, bad files, and two that meet a limit."""
    root = fill(tmp_path / "in")
    for number in range(40):
        (root / f"many-{number}.md").write_text(f"# Number {number}\n\n{making.PROSE}")
    (root / "hangs.pdf").write_bytes(HANGS)
    page = hostile_binary.flate(2**28)
    (root / "floods.pdf").write_bytes(
        hostile_binary.pdf_of(
            hostile_binary.CATALOG,
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            hostile_binary.PAGE,
            page,
        )
    )
    return root


def test_any_number_of_workers_gives_the_same_documents_and_reasons(inbox: Path, tmp_path: Path):
    outcomes = [
        making.read(inbox, tmp_path / str(workers), quick(), Processes(workers))
        for workers in (1, 2, 3)
    ]
    for outcome in outcomes:
        assert outcome.balances
        assert outcome.kept.equals(outcomes[0].kept)
        # How much memory it held when it was refused more is not the same in each run.
        named = [one.dropped.drop("value") for one in (outcome, outcomes[0])]
        assert named[0].equals(named[1])
    found = dict(outcomes[0].dropped.select("id", "reason").iter_rows())
    assert (found["hangs.pdf"], found["floods.pdf"]) == ("reader_timeout", "out_of_memory")
    assert outcomes[0].kept.height == 9 + 40


def test_a_torn_entry_of_the_cache_is_read_again(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.md").write_text(making.PROSE)
    first = making.read(tmp_path / "in", tmp_path)
    [entry] = (tmp_path / "cache").rglob("*.json")
    entry.write_text('{"key": ')
    again = making.read(tmp_path / "in", tmp_path)
    assert again.kept.equals(first.kept) and again.metrics["files_read"] == 1


def test_a_limit_is_told_with_its_numbers_and_what_to_do(inbox: Path, tmp_path: Path):
    dropped = making.read(inbox, tmp_path, quick()).dropped
    row = dropped.filter(pl.col("id") == "hangs.pdf").row(0, named=True)
    assert (row["value"], row["threshold"]) == (3, 3)
    assert "raise ingest.seconds_per_file" in row["excerpt"]
    row = dropped.filter(pl.col("id") == "floods.pdf").row(0, named=True)
    assert row["threshold"] == 256
    assert "raise ingest.max_memory_megabytes" in row["excerpt"]


def test_a_limit_is_tried_again_and_a_bad_file_is_not(inbox: Path, tmp_path: Path):
    files = len(CONTENT) + 42
    assert making.read(inbox, tmp_path, quick()).metrics["files_read"] == files - 1, "l.md is a.md"
    assert making.read(inbox, tmp_path, quick()).metrics["files_read"] == 2


def test_a_file_that_was_lost_before_it_was_read_does_not_speak_for_its_equals(tmp_path: Path):
    root = tmp_path / "in"
    root.mkdir()
    for name in "abc":
        (root / f"{name}.md").write_text(making.PROSE)
    files = scan(root, IngestSettings(), tmp_path / "i")
    (root / "a.md").unlink()
    (root / "b.md").write_text("another text")
    outcome = ingest(files, IngestSettings(), Cache(tmp_path / "cache"))
    assert outcome.reasons == {"changed_file": 1, "unreadable_file": 1}
    assert outcome.kept["source"].to_list() == ["c.md"]


def test_a_file_that_grows_while_it_is_read_is_read_again_later(tmp_path: Path):
    root = tmp_path / "in"
    root.mkdir()
    growing = root / "log.txt"
    growing.write_text("The log begins.\n")
    stop = threading.Event()

    def grow() -> None:
        with growing.open("a") as stream:
            while not stop.wait(0.001):
                stream.write("One line more.\n" * 100)
                stream.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        outcome = making.read(root, tmp_path)
    finally:
        stop.set()
        writer.join()
    assert set(outcome.reasons) <= {"changed_file"}
    assert outcome.balances and outcome.rows_in == 1
    final = making.read(root, tmp_path)
    assert final.kept["text"].to_list() == [growing.read_text()]


def test_halves_of_surrogate_pairs_do_not_end_the_run(tmp_path: Path):
    root = tmp_path / "in"
    root.mkdir()
    page = b'<meta charset="unicode_escape"><title>\\ud800</title><p>a \\udfff caf\xe9</p>'
    (root / "page.html").write_bytes(page)
    outcome = making.read(root, tmp_path)
    assert outcome.balances and outcome.rows_in == 1
    assert outcome.kept.write_ndjson()
