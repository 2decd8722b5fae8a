"""Blocks of Markdown: code stays whole, and equal paragraphs have equal keys."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.blocks import CODE, NO_KEY, TEXT, blocks_of
from pipeline.text.words import words


def read(text, least_words=1):
    blocks = blocks_of(pl.Series([text]), least_words)
    return [(int(kind), blocks.text(place)) for place, kind in enumerate(blocks.kinds)]


def keys(*texts, least_words=1):
    blocks = blocks_of(pl.Series(texts), least_words)
    return blocks.keys.tolist()


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("one\ntwo\n\nthree", [(TEXT, "one\ntwo"), (TEXT, "three")]),
        ("# A\ntext\n### B ###\n\n#tag",
         [(1, "# A"), (TEXT, "text"), (3, "### B ###"), (TEXT, "#tag")]),
        ("####### seven\n#", [(TEXT, "####### seven"), (1, "#")]),
        ("\n \n\nx\n\t\n", [(TEXT, "x")]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", [(TEXT, "| a | b |\n|---|---|\n| 1 | 2 |")]),
        ("> quote\n>\n> more\n\n- a\n- b", [(TEXT, "> quote\n>\n> more"), (TEXT, "- a\n- b")]),
        ("see\n```sh\na\n\n# b\n```\nend",
         [(TEXT, "see"), (CODE, "```sh\na\n\n# b\n```"), (TEXT, "end")]),
        ("````\n```\nx\n\n```\n````\n\ny", [(CODE, "````\n```\nx\n\n```\n````"), (TEXT, "y")]),
        ("~~~\n```\n\n~~~\ny", [(CODE, "~~~\n```\n\n~~~"), (TEXT, "y")]),
        ("```\nnever closed\n\n# x", [(CODE, "```\nnever closed\n\n# x")]),
        ("1. Run:\n   ```\n   a\n\n   b\n   ```\n\nend",
         [(TEXT, "1. Run:"), (CODE, "   ```\n   a\n\n   b\n   ```"), (TEXT, "end")]),
        ("- ```\n  a\n\n  b\n  ```\n2) ~~~\n\n   c\n   ~~~",
         [(CODE, "- ```\n  a\n\n  b\n  ```"), (CODE, "2) ~~~\n\n   c\n   ~~~")]),
        ("say ```this``` or\n```that``` here", [(TEXT, "say ```this``` or\n```that``` here")]),
        ("    a\n\n    b\n\ntext\n    goes on",
         [(CODE, "    a"), (CODE, "    b"), (TEXT, "text\n    goes on")]),
        ("<PRE>\na\n\nb</pre> c\n\nd", [(CODE, "<PRE>\na\n\nb</pre> c"), (TEXT, "d")]),
        ("<pre>a</pre>\nb", [(CODE, "<pre>a</pre>"), (TEXT, "b")]),
        ("", []),
    ],
)  # fmt: skip
def test_a_text_falls_into_blocks(text, blocks):
    assert read(text) == blocks


def test_case_and_white_space_make_no_difference_numbers_and_signs_do():
    one, same, number, sign = keys(
        "It opens at 5 bar.", "it  OPENS\nat 5\tbar.", "It opens at 6 bar.", "It opens at -5 bar."
    )
    assert one == same != NO_KEY
    assert len({one, number, sign}) == 3
    assert len(set(keys("Große Straße", "GROSSE STRASSE"))) == 1


def test_only_paragraphs_of_enough_words_have_a_key():
    assert keys("one two three", "one two", "# one two three", least_words=3)[1:] == [NO_KEY] * 2
    assert keys("温室の弁", least_words=4)[0] != NO_KEY
    assert keys("```\nfive words stand in here\n```") == [NO_KEY]


@given(st.lists(st.text(st.sampled_from("a5é温 \n#`~>-.\t<pre"), max_size=60), max_size=4))
def test_every_sign_is_in_one_block_and_words_are_those_of_shingles(texts):
    blocks = blocks_of(pl.Series(texts, dtype=pl.String), 1)
    for row, text in enumerate(texts):
        own = [place for place in range(len(blocks.rows)) if blocks.rows[place] == row]
        assert "".join("".join(map(blocks.text, own)).split()) == "".join(text.split())
        for place in own:
            if blocks.kinds[place] == TEXT:
                assert blocks.words[place] == len(words(blocks.text(place)))


@pytest.mark.parametrize(
    "text",
    [">" * 10**6, "- " * 10**6, "```\n" * 10**5, "#" * 10**6, "<pre\n" * 10**5, "1." * 10**6],
)
def test_no_text_takes_more_than_one_pass(text):
    """A quadratic reading of these would take hours."""
    assert len(blocks_of(pl.Series([text]), 1).rows) > 0
