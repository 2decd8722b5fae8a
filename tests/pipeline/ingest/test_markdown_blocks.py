"""Paragraphs that are taken a shorter way are those that markdown-it finds."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.ingest.markdown_blocks import parse_blocks

PLAIN = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])

STARTS = [
    *("", "  ", "    ", "\t", "> ", ">> ", "- ", "* ", "+ ", "   - ", "1. ", "12) ", "a", "-", "+"),
    *("# ", "#", "=", "==", "--", "***", "* * *", "__", "_a_", "**b**", "`c`", "```", "~~~", "~"),
    *("<p>", "</a>", "<!-- ", "[x]: /u", "[x]", "| a |", "|---|", ":-:", "("),
    *("\u00e9", "\u571f", "\xa0"),
]
LINES = st.tuples(
    st.sampled_from(STARTS), st.sampled_from(STARTS), st.sampled_from(["", "word | x", "b"])
).map("".join)


@given(st.lists(LINES | st.just(""), max_size=12).map("\n".join))
def test_blocks_are_those_of_the_library(text: str):
    assert parse_blocks(text) == PLAIN.parse(text)
