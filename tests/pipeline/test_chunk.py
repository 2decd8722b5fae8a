"""Chunks follow headings, blocks and sentences, and are found again in their document."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.typing.polars import DataFrame
from polars.testing import assert_frame_equal
from tokenizers import Tokenizer

from pipeline.core.cache import short_id
from pipeline.core.outcome import Outcome, table
from pipeline.core.runner import Processes
from pipeline.documents import parallel as spread
from pipeline.documents.chunk.chunk import chunk
from pipeline.settings import ChunkSettings
from schemas.base import Drops
from schemas.documents import Chunks, UniqueDocuments


def count(text: str) -> int:
    return len(text.split())


def documents(*texts: str) -> DataFrame[UniqueDocuments]:
    return table(
        UniqueDocuments,
        (
            {
                "doc_id": short_id(str(number), text),
                "source": f"{number}.md",
                "format": "markdown",
                "title": f"Document {number}",
                "text": text,
                "span_start": 0,
                "span_end": len(text),
                "language": "en",
                "cluster_id": short_id(str(number)),
                "cluster_size": 1,
            }
            for number, text in enumerate(texts)
        ),
    )


def cut(text: str, **changed: int) -> list[dict]:
    return run(text, **changed).kept.to_dicts()


def run(*texts: str, **changed: int) -> Outcome[Chunks]:
    chosen = ChunkSettings(
        **{"max_tokens": 40, "min_tokens": 5, "join_tokens": 5, "overlap_sentences": 0} | changed
    )
    return chunk(documents(*texts), chosen, count)


def sentences(number: int, words: int = 8) -> str:
    return " ".join(
        f"Sentence {n} says " + " ".join(f"w{n}x{w}" for w in range(words - 3)) + "."
        for n in range(number)
    )


MANUAL = f"""# Manual

{sentences(2)}

## Set points

{sentences(3)}

### Night

{sentences(1)}

## Alarms

{sentences(2)}
"""


def test_a_chunk_stays_under_one_heading_and_carries_its_path():
    assert [(c["section"], c["tokens"]) for c in cut(MANUAL)] == [
        ("Manual", 16),
        ("Manual > Set points", 24),
        ("Manual > Set points > Night", 8),
        ("Manual > Alarms", 16),
    ]
    assert not any("#" in c["text"] for c in cut(MANUAL))


def test_a_short_section_joins_the_neighbour_with_the_longer_common_path():
    found = cut(MANUAL, min_tokens=10)
    assert [c["section"] for c in found] == ["Manual", "Manual > Set points", "Manual > Alarms"]
    assert "### Night" in found[1]["text"]


def test_a_joined_chunk_keeps_the_headings_that_its_path_no_longer_names():
    found = cut("# A\n\n## B\n\none two\n\n## C\n\nthree four", min_tokens=5)
    assert [(c["section"], c["text"]) for c in found] == [
        ("A", "## B\n\none two\n\n## C\n\nthree four")
    ]


def test_a_heading_in_a_code_fence_is_no_heading():
    text = f"# Code\n\n{sentences(1)}\n\n```sh\n# not a heading\nrun --fast\n```\n\n{sentences(1)}"
    assert [c["section"] for c in cut(text)] == ["Code"]


def test_headings_lose_their_markup_and_underlined_ones_count():
    text = f"Set *points* of `A17`\n=====\n\n{sentences(1)}"
    assert cut(text)[0]["section"] == "Set points of A17"


def test_blocks_stay_whole_when_they_fit():
    table_block = "| key | value |\n|---|---|\n" + "\n".join(f"| k{n} | v{n} |" for n in range(4))
    bullets = "\n".join(f"- item {n} does this" for n in range(6))
    found = cut(f"{sentences(3)}\n\n{table_block}\n\n{bullets}")
    assert len(found) > 1
    for block in (sentences(3), table_block, bullets):
        assert sum(block in c["text"] for c in found) == 1


HEADER = "| key | value |\n|---|---|\n"


def test_each_part_of_a_long_table_has_its_header():
    rows = [f"| k{n} | v{n} |" for n in range(40)]
    found = cut(HEADER + "\n".join(rows))
    assert len(found) > 3
    assert all(c["text"].startswith(HEADER + "| k") for c in found)
    assert [row for c in found for row in c["text"].removeprefix(HEADER).split("\n")] == rows
    assert all(c["tokens"] <= 40 for c in found)


def test_a_header_that_takes_much_of_a_chunk_is_not_repeated():
    header = f"| {' '.join(f'w{n}' for n in range(20))} |\n|---|\n"
    found = cut(header + "\n".join(f"| a{n} |" for n in range(40)))
    assert [c["text"].startswith(header) for c in found] == [True, *[False] * (len(found) - 1)]


@pytest.mark.parametrize("mark", ["```python", "~~~~ c"])
@pytest.mark.parametrize("margin", ["", "> "])
def test_long_code_stays_code_and_is_cut_where_a_function_begins(mark, margin):
    bodies = [f"def f{n}(x):\n    y = x * {n}\n\n    # half\n    return y / 2\n" for n in range(12)]
    closing = mark.rstrip(" cpython")
    code = f"{mark}\n{chr(10).join(bodies)}{closing}"
    text = "\n".join((margin + line).rstrip(" ") for line in code.split("\n"))
    found = cut(text)
    assert len(found) > 3
    for c in found:
        first, second, *_, last = c["text"].split("\n")
        assert (first, last) == (margin + mark, margin + closing)
        assert second.startswith(f"{margin}def f")
    assert sum(c["text"].count("    return y / 2") for c in found) == 12


def test_code_of_one_long_function_keeps_its_indent():
    lines = "\n".join(f"    step {n} of many" for n in range(40))
    for c in cut(f"```\nwork:\n{lines}\n```")[1:]:
        assert c["text"].startswith("```\n    step")
        assert c["text"].endswith("\n```")
    found = cut("    " + "\n    ".join(f"indented code {n}" for n in range(40)))
    assert len(found) > 2
    assert all(c["text"].startswith("    indented") for c in found)


def test_a_part_of_a_long_item_says_what_it_is_a_part_of():
    inner = [f"   - check part {n} of it" for n in range(20)]
    found = cut("\n".join(["1. Look at the pump:", *inner, "2. Write it down."]))
    assert len(found) > 2
    assert all(c["text"].startswith("1. Look at the pump:\n   - check") for c in found)
    assert found[-1]["text"].endswith("2. Write it down.")
    assert [line for c in found for line in c["text"].split("\n") if "check" in line] == inner


def test_the_last_item_is_not_left_out_for_want_of_room_beside_what_is_repeated():
    for size in range(5, 14):
        items = [f"  {' '.join(f'w{n}x{w}' for w in range(size))}" for n in range(9)]
        found = cut("- Open it and\n\n" + "\n\n".join(items) + "\n\n- build it", min_tokens=6)
        assert "- build it" in found[-1]["text"]


def test_code_in_a_list_item_keeps_its_indent_and_its_fence():
    code = "\n".join(f"  run --part {n}\n" for n in range(30))
    found = cut(f"- Run all:\n\n  ```sh\n{code}  ```")
    assert len(found) > 2
    assert all(c["text"].startswith("- Run all:\n\n  ```sh\n  run") for c in found)
    assert all(c["text"].endswith("\n  ```") for c in found)


def test_a_heading_without_a_body_is_text():
    text = "# What is it?\n\n## A pump for a garden.\n\n# Who mends it?\n\nThe owner does."
    assert [(c["section"], c["text"]) for c in cut(text, min_tokens=15)] == [("", text)]
    found = cut(f"# A\n\n{sentences(3)}\n\n## Only a title of five words\n\n# B\n\n{sentences(1)}")
    assert [c["section"] for c in found] == ["A", "A", "B"]
    assert found[1]["text"] == "## Only a title of five words"


def test_a_chapter_without_a_text_of_its_own_is_named_when_it_is_joined_to_another():
    text = "# A\n\n## B\n\none two\n\n# C\n\nthree four"
    assert [(c["section"], c["text"]) for c in cut(text)] == [("", text)]


def test_a_long_list_is_cut_between_items_and_a_long_table_between_rows():
    items = [f"- item {n} goes on\n  over two lines" for n in range(20)]
    for c in cut("\n".join(items)):
        assert c["text"].startswith("- item")
        assert c["text"].endswith("over two lines")
    rows = [f"| k{n} | v{n} |" for n in range(40)]
    for c in cut("\n".join(["| a | b |", "|---|---|", *rows])):
        assert c["text"].startswith("|")
        assert c["text"].endswith("|")


def test_a_long_paragraph_is_cut_between_sentences_into_about_equal_pieces():
    found = cut(sentences(12))
    assert len(found) == 3
    assert {c["tokens"] for c in found} == {32}
    assert all(c["text"].startswith("Sentence") and c["text"].endswith(".") for c in found)


def test_the_last_sentence_is_repeated_only_inside_one_long_section():
    found = cut(f"{sentences(12)}\n\n# Next\n\n{sentences(1)}", overlap_sentences=1)
    inside = [c for c in found if not c["section"]]
    assert len(inside) > 2
    for before, after in pairwise(inside):
        assert before["start"] < after["start"] < before["end"]
        repeated = after["text"][: before["end"] - after["start"]]
        assert repeated.startswith("Sentence")
        assert repeated.count(".") == 1
    assert found[-1]["start"] > inside[-1]["end"]
    assert all(c["tokens"] <= 40 for c in found)


def test_many_repeated_sentences_never_repeat_the_whole_piece_before():
    found = cut(sentences(12), overlap_sentences=5)
    assert len(found) > 2
    for before, after in pairwise(found):
        assert before["start"] < after["start"]
        assert before["end"] < after["end"]


def test_the_short_tail_of_a_long_section_joins_the_next_section():
    bullets = "\n".join(f"- item {n} of it" for n in range(8))
    text = f"# A\n\n## B\n\n{bullets}\n\nthe short tail\n\n## C\n\n{sentences(1)}"
    assert [(c["section"], c["text"]) for c in cut(text)] == [
        ("A > B", bullets),
        ("A", f"the short tail\n\n## C\n\n{sentences(1)}"),
    ]


def test_a_text_without_any_full_stop_is_cut_between_words():
    found = cut(" ".join(f"word{n}" for n in range(200)))
    assert " ".join(c["text"] for c in found).split() == [f"word{n}" for n in range(200)]
    assert max(c["tokens"] for c in found) <= 40


def test_a_word_longer_than_a_chunk_is_cut_and_nothing_is_lost():
    outcome = chunk(documents("x" * 500), ChunkSettings(max_tokens=40, min_tokens=5), len)
    assert "".join(outcome.kept["text"]) == "x" * 500
    assert outcome.kept["tokens"].max() <= 40


def test_a_document_too_short_for_a_chunk_is_dropped_with_its_length():
    outcome = run("# Only a heading", "Two words", MANUAL)
    assert outcome.balances
    assert outcome.rows_kept == 1
    assert outcome.reasons == {"no_chunk": 2}
    assert sorted(outcome.dropped["value"]) == [2.0, 4.0]
    assert set(outcome.dropped["threshold"]) == {5.0}


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("Please clean the filter with warm water.\n\nAnna", 1),
        ("# Note\n\nDer Filter wird am Montag gereinigt!", 1),
        ("水は毎朝ここで止まります。", 1),
        ("Thank you.", 0),
        ("Filter pump valve hose tank", 0),
    ],
)
def test_a_document_of_one_sentence_is_a_chunk_although_it_is_short(text, chunks):
    assert len(cut(text, min_tokens=30, join_tokens=30)) == chunks


def test_a_short_remnant_of_a_longer_document_is_no_chunk():
    text = f"# A\n\n{sentences(4)}\n\n# B\n\nPlease clean the filter with warm water."
    found = run(text, min_tokens=10)
    assert found.kept["section"].to_list() == ["A"]
    assert found.metrics["too_short"] == 1


@pytest.mark.model
def test_the_embedded_models_tokens_are_counted(embedded_model):
    tokenizer = Tokenizer.from_file(str(embedded_model / "tokenizer.json"))

    def tokens(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    outcome = chunk(documents(MANUAL * 20), ChunkSettings(max_tokens=100), tokens)
    assert outcome.kept.height > 10
    for row in outcome.kept.iter_rows(named=True):
        assert row["tokens"] == tokens(row["text"]) <= 100


def test_the_number_of_workers_changes_no_byte():
    texts = [f"# Part {number}\n\n{sentences(200 + number)}" for number in range(40)]
    rows = documents(*texts)
    assert sum(map(len, texts)) > spread.FEW, "else no worker is started"
    settings = ChunkSettings(max_tokens=90)
    one, two = [chunk(rows, settings, count, Processes(number)) for number in (1, 2)]
    assert one.balances and one.kept.height > 200
    assert_frame_equal(one.kept, two.kept)


PARTS = st.lists(
    st.sampled_from(
        [
            "# One",
            "## Two",
            "### Three *x*",
            "Under\n-----",
            sentences(1),
            sentences(9),
            "- a b\n- c d\n  - e f",
            "```\n# code\n\nx = 1\n```",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "    indented code\n    more",
            "> quoted. Twice.",
            "<div>\nhtml\n</div>",
            "***",
            "ok",
            "日本語の文章。もう一つ。",
            "a\u2028b \x0c c",
            "1. one\r\n2. two\r\n",
            "[x]: http://y",
            "\t",
            "word " * 90,
        ]
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(PARTS, st.integers(1, 30), st.integers(0, 3), st.randoms(use_true_random=False))
def test_every_chunk_is_found_in_its_document(parts, least, overlap, random_):
    texts = ["\n\n".join(parts) + "x", "\n\n".join(reversed(parts)) + "x"]
    chosen = ChunkSettings(
        max_tokens=40, min_tokens=least, join_tokens=least, overlap_sentences=overlap
    )
    rows = documents(*texts)
    outcome = chunk(rows, chosen, count)
    assert outcome.balances
    Chunks.validate(outcome.kept, lazy=True)
    Drops.validate(outcome.dropped, lazy=True)
    text = dict(rows.select("doc_id", "text").iter_rows())
    for row in outcome.kept.iter_rows(named=True):
        before, own, _ = row["text"].partition(text[row["doc_id"]][row["start"] : row["end"]])
        assert own
        assert not before or before.endswith("\n")
        assert row["text"].strip() == row["text"].rstrip().lstrip(" \t")
        whole = sum(outcome.kept["doc_id"] == row["doc_id"]) == 1
        assert least <= row["tokens"] or whole
        assert row["tokens"] == count(row["text"]) <= 40
    shuffled = rows.sample(fraction=1, shuffle=True, seed=random_.randrange(1000))
    assert_frame_equal(outcome.kept, chunk(shuffled, chosen, count).kept)


def test_all_words_below_headings_are_in_some_chunk():
    draw = random.Random(1)
    for _ in range(50):
        body = [sentences(draw.randint(1, 14)) for _ in range(draw.randint(1, 8))]
        text = "\n\n".join(f"{'#' * draw.randint(1, 3)} Part\n\n{part}" for part in body)
        found = run(text, overlap_sentences=draw.randint(0, 2))
        assert found.metrics["too_short"] == 0
        covered = {place for c in found.kept.to_dicts() for place in range(c["start"], c["end"])}
        left = "".join(" " if place in covered else sign for place, sign in enumerate(text))
        assert not left.replace("#", "").replace("Part", "").strip()
