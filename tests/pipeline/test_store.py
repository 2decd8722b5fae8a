"""The store: nothing half-written is read, nothing wrong is kept, equal rows are equal datasets."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import manifest
from pipeline.core.cache import digest
from pipeline.core.errors import CorruptDataset, MissingDataset, SchemaMismatch
from pipeline.core.manifest import Recipe, content_digest, fingerprint
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.store import Dataset, Filled, Store
from schemas.documents import Documents
from schemas.pairs import Splits

BUDGET = 0.02


def rows(count, split="train"):
    return [
        dict.fromkeys(("doc_id", "unit_id", "cluster_id"), f"{i:016x}")
        | {"chunk_id": "", "split": split}
        for i in range(count)
    ]


def outcome(entries, dropped=(), rows_in=None):
    entries = list(entries)
    return Outcome(
        table(Splits, entries), drops(dropped), len(entries) if rows_in is None else rows_in
    )


def recipe(name="splits", key="a" * 16):
    return Recipe(
        dataset=name,
        fingerprint=key,
        stage_version=1,
        settings={"x": 1},
        inputs={"documents": "d/1"},
        code={},
        libraries={},
        created_at="2026-01-01T00:00:00Z",
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_what_is_written_is_read_back(store):
    dataset = store.write(recipe(), Splits, outcome(rows(5), [Drop("z", "gone")], 6), BUDGET, 0.5)
    assert store.find("splits", "a" * 16) == dataset
    assert store.read(dataset, Splits).to_dicts() == rows(5)
    assert store.read_dropped(dataset)["reason"].to_list() == ["gone"]
    facts = store.manifest("splits", "a" * 16).facts
    assert (facts.rows_in, facts.rows_kept, facts.rows_dropped) == (6, 5, 1)


def test_a_table_that_was_valid_is_looked_at_again_only_when_its_file_is_another(
    store, monkeypatch
):
    further = {"others": (Splits, table(Splits, rows(3, "test")))}
    made = replace(outcome(rows(5)), tables=further)
    dataset = store.write(recipe(), Splits, made, BUDGET, 0.5)
    looked = []
    monkeypatch.setattr("pipeline.core.store.validate", lambda *of: looked.append(of))
    for _ in range(2):
        Store(store.root).read(dataset, Splits)  # as another command does
    assert len(looked) == 1
    for _ in range(2):
        others = Store(store.root).read_table(dataset, "others", Splits)
    assert others.to_dicts() == rows(3, "test")
    assert len(looked) == 2
    file = store.path(dataset) / "part-00000.parquet"
    file.write_bytes(file.read_bytes())
    Store(store.root).read(dataset, Splits)
    assert len(looked) == 3

    def broken(*_):
        raise SchemaMismatch("a column is missing")

    monkeypatch.setattr("pipeline.core.store.validate", broken)
    file.write_bytes(file.read_bytes())
    for _ in range(2):
        with pytest.raises(SchemaMismatch):
            Store(store.root).read(dataset, Splits)


def test_a_stage_whose_counts_do_not_balance_fails(store):
    with pytest.raises(SchemaMismatch, match="7 rows in, 5 kept and 0 dropped"):
        store.write(recipe(), Splits, outcome(rows(5), rows_in=7), BUDGET, 0)
    assert store.find("splits", "a" * 16) is None


def test_a_bad_row_within_the_budget_goes_to_quarantine(store):
    entries = rows(100)
    entries[7]["split"] = "dev"
    dataset = store.write(recipe(), Splits, outcome(entries), BUDGET, 0)
    assert dataset.rows == 99
    dropped = store.read_dropped(dataset)
    assert dropped.select("id", "reason", "excerpt").rows() == [
        (entries[7]["doc_id"], "schema_split", "dev")
    ]
    facts = store.manifest("splits", "a" * 16).facts
    assert facts.rows_in == facts.rows_kept + facts.rows_dropped == 100


def test_mass_failure_stops_the_stage_and_names_the_check(store):
    with pytest.raises(SchemaMismatch, match=r"5 of 5 rows break Splits \(split fails isin"):
        store.write(recipe(), Splits, outcome(rows(5, "dev")), BUDGET, 0)


def test_a_missing_column_stops_the_stage(store):
    broken = Outcome(table(Splits, rows(3)).drop("split"), drops([]), 3)
    with pytest.raises(SchemaMismatch, match="no row of it can be trusted"):
        store.write(recipe(), Splits, broken, BUDGET, 0)


def test_a_dataset_without_manifest_is_not_there(store):
    dataset = store.write(recipe(), Splits, outcome(rows(2)), BUDGET, 0)
    (store.path(dataset) / "manifest.json").unlink()
    assert store.find("splits", "a" * 16) is None
    with pytest.raises(MissingDataset):
        store.read(dataset, Splits)
    again = store.write(recipe(), Splits, outcome(rows(2)), BUDGET, 0)
    assert store.read(again, Splits).height == 2


def test_what_a_killed_process_left_is_cleared(store):
    left = store.root / "splits" / f".{'a' * 16}.12345.tmp"
    left.mkdir(parents=True)
    (left / "part-00000.parquet").write_bytes(b"half")
    store.write(recipe(), Splits, outcome(rows(2)), BUDGET, 0)
    assert [path.name for path in (store.root / "splits").iterdir()] == ["a" * 16]


def test_two_flows_that_write_one_dataset_at_once_both_get_it(store):
    # A scheduled drift check and a run settle the same pairs.
    together = threading.Barrier(2)
    written = []

    def fill(folder: Path) -> Filled:
        (folder / "weights").write_bytes(b"w")
        time.sleep(0.01)
        written.append(folder)
        return Filled(identity=("weights",), rows=1)

    def write(number: int) -> Dataset:
        together.wait()
        return Store(store.root).write_folder(recipe("model", f"{number:016x}"), fill)

    with ThreadPoolExecutor(2) as pool:
        for number in range(50):
            one, other = pool.map(write, [number, number])
            assert one == other
            assert store.manifest("model", one.fingerprint).facts.rows == 1
    assert len(written) == 50


def test_a_failing_writer_leaves_nothing(store):
    def fill(folder: Path) -> Filled:
        (folder / "half").write_text("x")
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        store.write_folder(recipe("model"), fill)
    assert list((store.root / "model").iterdir()) == []


def test_timings_are_not_part_of_a_folder_s_content(store):
    def filler(seconds):
        def fill(folder: Path) -> Filled:
            (folder / "weights").write_bytes(b"w")
            (folder / "timing.json").write_text(json.dumps(seconds))
            return Filled(identity=("weights",), rows=1)

        return fill

    first = store.write_folder(recipe("model", "a" * 16), filler(1))
    second = store.write_folder(recipe("model", "b" * 16), filler(2))
    assert first.content == second.content


def test_a_folder_says_what_it_left_out(store):
    def fill(folder: Path) -> Filled:
        (folder / "weights").write_bytes(b"w")
        return Filled(identity=("weights",), rows=7, reasons={"response_too_long": 2})

    store.write_folder(recipe("model"), fill)
    facts = store.manifest("model", "a" * 16).facts
    assert (facts.rows_in, facts.rows_kept, facts.rows_dropped) == (9, 7, 2)


def test_truncated_parquet_is_named(store):
    dataset = store.write(recipe(), Splits, outcome(rows(50)), BUDGET, 0)
    part = store.path(dataset) / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:40])
    with pytest.raises(CorruptDataset, match="cannot be read as Parquet"):
        store.read(dataset, Splits)


def test_reading_with_another_schema_is_refused(store):
    dataset = store.write(recipe(), Splits, outcome(rows(2)), BUDGET, 0)
    with pytest.raises(SchemaMismatch, match="holds Splits version 3; expected Documents"):
        store.read(dataset, Documents)


@pytest.mark.parametrize(("version", "absent"), [(1, ["chunk_id", "unit_id"]), (2, ["unit_id"])])
def test_rows_of_an_earlier_version_are_upgraded(store, version, absent):
    """Before version 2 a split was of documents as a whole, before 3 there were no families."""
    dataset = store.write(recipe(), Splits, outcome(rows(3)), BUDGET, 0)
    folder = store.path(dataset)
    old = pl.read_parquet(folder / "part-00000.parquet").drop(absent)
    old.write_parquet(folder / "part-00000.parquet")
    text = (folder / "manifest.json").read_text()
    assert '"schema_version": 3' in text
    (folder / "manifest.json").write_text(
        text.replace('"schema_version": 3', f'"schema_version": {version}')
    )
    assert store.read(dataset, Splits).sort("doc_id").to_dicts() == rows(3)
    (folder / "manifest.json").write_text(
        text.replace('"schema_version": 3', '"schema_version": 0')
    )
    with pytest.raises(SchemaMismatch, match="holds Splits version 0; expected Splits version 3"):
        store.read(dataset, Splits)


def test_an_unknown_dataset_says_what_to_do(store):
    with pytest.raises(MissingDataset, match="run the stage"):
        store.read(Dataset("splits", "f" * 16, "", 0), Splits)


@given(st.permutations(range(6)))
def test_content_does_not_depend_on_the_order_of_rows(order):
    frame = pl.DataFrame({"a": list(range(6)), "b": [str(i) for i in range(6)]})
    assert content_digest(frame[list(order)]) == content_digest(frame)


def test_content_depends_on_each_value():
    one = pl.DataFrame({"a": ["x", "y"]})
    assert content_digest(one) != content_digest(pl.DataFrame({"a": ["x", "z"]}))
    assert content_digest(one) != content_digest(pl.DataFrame({"b": ["x", "y"]}))


def test_the_fingerprint_depends_on_stage_version_settings_and_inputs():
    names = {
        fingerprint("clean", 1, {"a": 1}, {"d": "1"}),
        fingerprint("clean", 2, {"a": 1}, {"d": "1"}),
        fingerprint("chunk", 1, {"a": 1}, {"d": "1"}),
        fingerprint("clean", 1, {"a": 2}, {"d": "1"}),
        fingerprint("clean", 1, {"a": 1}, {"d": "2"}),
    }
    assert len(names) == 5


@given(
    st.lists(
        st.tuples(st.text(max_size=3), st.sampled_from(["", "x" * 100]), st.integers(0, 3)),
        max_size=20,
    )
)
def test_the_digest_of_rows_is_that_of_their_sorted_lines(rows):
    schema = {"b": pl.String, "a": pl.String, "c": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    lines = frame.select("a", "b", "c").write_ndjson().splitlines()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "BATCH", 3)
        assert content_digest(frame) == digest(sorted(lines))
        assert content_digest(frame.reverse()) == content_digest(frame)
