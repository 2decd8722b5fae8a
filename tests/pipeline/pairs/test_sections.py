"""A corpus of too few documents is split by section: each section whole, none in two splits."""

from collections import defaultdict
from itertools import pairwise

import polars as pl
import pytest
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError
from pipeline.core.outcome import Outcome, table
from pipeline.dedup.decontaminate import check_leaks
from pipeline.documents.chunk.chunk import chunk
from pipeline.pairs.assignment import places, unit_of
from pipeline.pairs.split import ENOUGH, split
from pipeline.settings import ChunkSettings, SplitSettings
from schemas.documents import Chunks, UniqueDocuments
from schemas.pairs import Splits

SETTINGS = ChunkSettings(max_tokens=40, join_tokens=0, min_tokens=1, overlap_sentences=1)
WORDS = ["valve", "pump", "tank", "hose", "lever", "gauge", "filter", "motor", "panel", "screw"]


def paragraph(key: str, sentences: int = 7) -> str:
    """Sentences of their own words, so that no two paragraphs are near duplicates."""
    lots = [int(short_id(key, str(n)), 16) for n in range(sentences)]
    return " ".join(
        f"The {WORDS[lot % 10]} {key}{lot % 997} holds {WORDS[lot // 10 % 10]} {lot // 200 % 991}x."
        for lot in lots
    )


def handbook(sections: int, name: str = "a", levels: str = "##") -> str:
    parts = [f"{levels} Part {n}\n\n{paragraph(f'{name}p{n}q')}" for n in range(sections)]
    return "\n\n".join(["# Handbook", *parts])


def divided(
    *texts: str, previous: DataFrame[Splits] | None = None, **changed: object
) -> tuple[Outcome[Splits], DataFrame[Chunks]]:
    documents = table(
        UniqueDocuments,
        (
            {
                "doc_id": short_id(text), "source": f"{number}.md", "format": "markdown",
                "title": "Handbook", "text": text, "span_start": 0, "span_end": len(text),
                "language": "en", "cluster_id": short_id(f"{number}.md"), "cluster_size": 1,
            }
            for number, text in enumerate(texts)
        ),
    )  # fmt: skip
    chunks = chunk(documents, SETTINGS, lambda text: len(text.split())).kept
    outcome = split(documents, chunks, SplitSettings(**changed), None, previous)
    assert outcome.balances
    Splits.validate(outcome.kept, lazy=True)
    return outcome, chunks


def by_section(outcome: Outcome[Splits], chunks: DataFrame[Chunks]) -> dict[str, set[str]]:
    """Clusters of each heading path."""
    found = defaultdict(set)
    for row in outcome.kept.join(chunks, on=["doc_id", "chunk_id"]).iter_rows(named=True):
        found[row["section"]].add(row["cluster_id"])
    return found


def test_one_handbook_is_split_by_its_sections_and_each_section_stays_whole():
    outcome, chunks = divided(handbook(80))
    assert set(outcome.kept["chunk_id"]) == set(chunks["chunk_id"])
    assert chunks.height > 80  # some sections have several chunks
    sections = by_section(outcome, chunks)
    assert all(len(clusters) == 1 for clusters in sections.values())
    assert len({cluster for (cluster,) in sections.values()}) == 80
    assert outcome.metrics["sections"] == 80
    assert 3 <= outcome.kept.filter(split="test")["cluster_id"].n_unique() <= 25
    assert set(outcome.kept["split"]) == {"train", "validation", "test"}


def test_sections_are_those_of_the_fewest_levels_that_give_enough():
    chapters = [
        f"## Chapter {n}\n\n" + handbook(3, f"c{n}d", "###").removeprefix("# Handbook\n\n")
        for n in range(ENOUGH)
    ]
    outcome, _ = divided("# Handbook\n\n" + "\n\n".join(chapters))
    assert outcome.metrics["sections"] == ENOUGH
    few, _ = divided("# Handbook\n\n" + "\n\n".join(chapters[:10]))
    assert few.metrics["sections"] == 30  # ten chapters are too few, so their parts are taken


def test_a_text_without_headings_is_split_in_runs_of_consecutive_chunks():
    outcome, chunks = divided("\n\n".join(paragraph(f"w{n}x") for n in range(90)))
    where = dict(outcome.kept.select("chunk_id", "cluster_id").iter_rows())
    order = [where[key] for key in chunks.sort("start")["chunk_id"]]
    runs = [order[0], *(b for a, b in pairwise(order) if a != b)]
    assert len(runs) == len(set(runs)) == outcome.metrics["sections"]
    assert 3 <= len(order) / len(runs) <= 4
    assert set(outcome.kept["split"]) == {"train", "validation", "test"}


@pytest.mark.parametrize("own", [0, 6])
def test_sections_of_one_template_are_in_one_split(own):
    same = paragraph("warning", 9)
    parts = [f"## Model {n}\n\n{same} {paragraph(f'm{n}o', own)}" for n in range(20)]
    outcome, chunks = divided(handbook(60) + "\n\n" + "\n\n".join(parts))
    sections = by_section(outcome, chunks)
    models = set().union(*(found for name, found in sections.items() if "Model" in name))
    assert len(models) == 1
    assert outcome.metrics["sections"] == 61


@pytest.mark.parametrize("sections", [20, 70])
def test_an_edited_section_or_a_document_that_comes_in_moves_no_other(sections):
    before, chunks = divided(handbook(sections))
    edited = handbook(sections).replace(paragraph("ap7q"), paragraph("new", 6))
    after, other = divided(edited, previous=before.kept)
    assert by_section(after, other) == by_section(before, chunks)
    more = [handbook(sections), handbook(50, "b"), handbook(50, "c")]
    later, _ = divided(*more, *map(paragraph, map(str, range(60))), previous=before.kept)
    assert set(before.kept.rows()) < set(later.kept.rows())
    assert later.kept["chunk_id"].n_unique() == later.kept.height  # by section, though there are 63


@pytest.mark.parametrize(("text", "found"), [("The valve is open.", 1), (paragraph("a"), 2)])
def test_a_document_too_short_for_three_parts_is_said(text, found):
    says = f"split: {found} sections in 1 documents found; expected at least 3, one each for train"
    with pytest.raises(InputError, match=says):
        divided(text)


def test_a_document_of_three_pages_is_just_long_enough():
    outcome, chunks = divided("\n\n".join(paragraph(key, 5) for key in "abc"))
    assert chunks.height == 3
    assert set(outcome.kept["split"]) == {"train", "validation", "test"}


def test_the_unit_can_be_set():
    texts = [handbook(20, name) for name in "abcde"]
    assert divided(*texts, unit="document")[0].metrics["sections"] == 0
    for unit in ("section", "auto"):  # five documents are too few for a test split of documents
        assert divided(*texts, unit=unit)[0].metrics["sections"] == 100
    pages = [paragraph(f"d{n}p", 4) for n in range(40)]
    assert divided(*pages)[0].metrics["sections"] == 0
    assert divided(*pages[:39])[0].metrics["sections"] == 39
    with pytest.raises(InputError, match=r'2 documents found.*or take split.unit = "section"'):
        divided(*texts[:2], unit="document")
    assert divided(*texts[:2])[0].metrics["sections"] == 40


def test_pairs_follow_their_section_and_the_leak_check_sees_a_section_in_two_splits():
    outcome, chunks = divided(handbook(70))
    find = places(outcome.kept)
    rows = [
        {"pair_id": short_id(key), "instruction": key, "input": "", "response": "", "doc_id": doc}
        | {name: find(doc, key)[name] for name in ("cluster_id", "split")}
        for doc, key in chunks.select("doc_id", "chunk_id").iter_rows()
    ]
    assert check_leaks(pl.DataFrame(rows)) == []
    assert unit_of(pl.DataFrame(rows)) == "sections"
    test = next(row for row in rows if row["split"] == "test")
    moved = test | {"pair_id": short_id("moved"), "split": "train", "instruction": "other"}
    assert [leak.kind for leak in check_leaks(pl.DataFrame([*rows, moved]))] == ["cluster"]
