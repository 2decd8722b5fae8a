"""What was accepted stays, and a new batch is compared with it alone."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.core.errors import InputError
from pipeline.dedup import minhash
from pipeline.dedup.deduplicate import deduplicate
from pipeline.dedup.index import Index, write_segment
from pipeline.settings import DedupSettings
from tests.pipeline.dedup.corpus import corpus, edited, prose

DEFAULT = DedupSettings()


def indexed(folder: Path, *batches: pl.DataFrame) -> Index:
    """An index with one segment for each batch."""
    folders = []
    for number, batch in enumerate(batches):
        folders.append(folder / str(number))
        folders[-1].mkdir(parents=True)
        write_segment(folders[-1], batch, DEFAULT)
    return Index(folders)


def texts(first: int, last: int) -> dict[str, str]:
    return {f"{seed}.md": prose(seed) for seed in range(first, last)}


def test_a_new_document_loses_against_an_accepted_one_even_when_it_is_longer(tmp_path: Path):
    old = corpus(texts(0, 30))
    accepted = indexed(tmp_path, deduplicate(old, DEFAULT).kept)
    longer = {"longer.md": prose(3) + " and a longer end", "new.md": prose(99)}
    outcome = deduplicate(corpus(texts(0, 30) | longer), DEFAULT, accepted=accepted)
    source = dict(corpus(texts(0, 30) | longer).select("doc_id", "source").iter_rows())
    assert outcome.reasons == {"near_duplicate": 1}
    lost = outcome.dropped.row(0, named=True)
    assert (source[lost["id"]], source[lost["related_id"]]) == ("longer.md", "3.md")
    assert 0.9 < lost["value"] < 1
    assert outcome.metrics["compared"] == 2
    assert outcome.kept.filter(pl.col("source") == "3.md")["cluster_size"].to_list() == [2]
    assert "new.md" in outcome.kept["source"]
    assert outcome.balances


def test_a_copy_of_an_accepted_document_is_an_exact_duplicate(tmp_path: Path):
    old = corpus(texts(0, 5))
    accepted = indexed(tmp_path, old)
    copies = {
        "copy.md": prose(2).upper(),
        "marks.md": prose(2).replace(" ", ", ", 5),  # the same words, another text
    }
    outcome = deduplicate(corpus(texts(0, 5) | copies), DEFAULT, accepted=accepted)
    assert outcome.reasons == {"exact_duplicate": 1, "near_duplicate": 1}
    assert outcome.dropped["value"].to_list() == [1.0, 1.0]


def test_several_segments_are_one_index(tmp_path: Path):
    parts = [corpus(texts(first, first + 10)) for first in (0, 10, 20)]
    accepted = indexed(tmp_path, *parts)
    assert len(accepted) == 30
    new = {f"near-{seed}.md": edited(prose(seed), 2) for seed in (4, 14, 24)}
    everything = corpus(texts(0, 30) | new)
    outcome = deduplicate(everything, DEFAULT, accepted=accepted)
    source = dict(everything.select("doc_id", "source").iter_rows())
    pairs = {source[row["id"]]: source[row["related_id"]] for row in outcome.dropped.to_dicts()}
    assert pairs == {f"near-{seed}.md": f"{seed}.md" for seed in (4, 14, 24)}
    whole = tmp_path / "whole"
    whole.mkdir()
    write_segment(whole, pl.concat(parts), DEFAULT)
    again = deduplicate(everything, DEFAULT, accepted=Index([whole]))
    assert_frame_equal(outcome.kept, again.kept)
    assert_frame_equal(outcome.dropped, again.dropped)


def test_a_batch_is_looked_up_in_parts_of_any_size(tmp_path: Path, monkeypatch):
    new = {f"near-{seed}.md": edited(prose(seed), 2) for seed in range(0, 30, 2)} | texts(40, 50)
    accepted = indexed(tmp_path, corpus(texts(0, 30)))
    whole = deduplicate(corpus(new), DEFAULT, accepted=accepted)
    assert whole.reasons == {"near_duplicate": 15}
    monkeypatch.setattr(minhash, "SLICE_BYTES", 3000)
    parts = deduplicate(corpus(new), DEFAULT, accepted=accepted)
    assert_frame_equal(whole.kept, parts.kept)
    assert_frame_equal(whole.dropped, parts.dropped)


def test_a_document_that_has_left_the_corpus_hides_no_copy(tmp_path: Path):
    accepted = indexed(tmp_path, corpus(texts(0, 10)))
    now = texts(0, 10) | {"near.md": edited(prose(7), 2)}
    del now["7.md"]
    accepted.keep_only(corpus(now)["doc_id"])
    outcome = deduplicate(corpus(now), DEFAULT, accepted=accepted)
    assert outcome.dropped.height == 0
    assert "near.md" in outcome.kept["source"]


def test_a_batch_can_come_alone(tmp_path: Path):
    old = corpus(texts(0, 10))
    batch = corpus({"near.md": edited(prose(7), 2), "new.md": prose(77)})
    outcome = deduplicate(batch, DEFAULT, accepted=indexed(tmp_path, old))
    assert outcome.kept["source"].to_list() == ["new.md"]
    seventh = old.filter(pl.col("source") == "7.md")["doc_id"].to_list()
    assert outcome.dropped["related_id"].to_list() == seventh


def test_without_new_documents_all_stay(tmp_path: Path):
    documents = corpus(texts(0, 10))
    outcome = deduplicate(documents, DEFAULT, accepted=indexed(tmp_path, documents))
    assert outcome.kept.height == 10
    assert outcome.metrics["compared"] == 0
    empty = deduplicate(corpus(texts(0, 3)), DEFAULT, accepted=indexed(tmp_path / "e", corpus({})))
    assert empty.kept.height == 3


def test_a_new_document_between_two_accepted_ones_joins_neither_of_them(tmp_path: Path):
    alike = DedupSettings(containment=0)
    first = prose(9, 200)
    middle = edited(first, 3, seed=1)
    last = edited(middle, 3, seed=2)
    old = corpus({"first.md": first, "last.md": last})
    assert deduplicate(old, alike).kept.height == 2
    everything = corpus({"first.md": first, "last.md": last, "middle.md": middle})
    outcome = deduplicate(everything, alike, accepted=indexed(tmp_path, old))
    assert set(outcome.kept["source"]) == {"first.md", "last.md"}
    assert outcome.reasons == {"near_duplicate": 1}


def test_the_alarm_counts_accepted_documents_and_names_them(tmp_path: Path):
    alike = {f"page-{n:02}.html": edited(prose(1, 200), 1, seed=n) for n in range(40)}
    old = corpus(dict(list(alike.items())[:1]))
    with pytest.raises(InputError, match=r"more than 20 .*page-\d\d.html"):
        deduplicate(corpus(alike), DEFAULT, accepted=indexed(tmp_path, old))
