"""Blocks of Markdown: code stays whole, and no text takes long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.paragraphs import CODE, TEXT, blocks_of


def read(text):
    return [(block.kind, text[block.start : block.stop]) for block in blocks_of(text)]


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
        ("> ```\n> a\n>\n> b\n> ```\nend", [(CODE, "> ```\n> a\n>\n> b\n> ```"), (TEXT, "end")]),
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


@given(st.text(st.sampled_from("a5é温 \n#`~>-.\t<pre"), max_size=60))
def test_every_sign_is_in_one_block(text):
    assert "".join("".join(part for _, part in read(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "text",
    [">" * 10**6, "- " * 10**6, "```\n" * 10**5, "#" * 10**6, "<pre\n" * 10**5, "1." * 10**6],
)
def test_no_text_takes_more_than_one_pass(text):
    """A quadratic reading of these would take hours."""
    assert len(read(text)) > 0
