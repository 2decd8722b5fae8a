"""Blocks that are found a shorter way are those that markdown-it finds."""

from itertools import chain

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.text.markdown_blocks import parse_blocks

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
EACH_KIND = (
    "***\n\n---\n\n___\n\n> a\n\n* a\n\n- a\n\n+ a\n\n0. a\n\n9) a\n\n# a\n\n[a]: /b\n\n<div>\n\n"
    "```\na\n```\n\n~~~\na\n~~~\n\na\n=\n\nb\n-\n\n    a\n\na|b\n-|-\n"
)
CELLS = [
    "| a |",
    "|---|",
    "| - | - |",
    "a | b",
    "-|-",
    ":-: | --",
    "| `a | b` |",
    "\\| |",
    "|",
    "\f",
]


def fields(tokens):
    heading = False
    for token in tokens:
        content = token.content if heading else ""
        yield token.type, token.tag, token.nesting, token.level, token.map, content
        heading = token.type == "heading_open"


def outside_tables(tokens):
    inside = 0
    for token in tokens:
        inside -= token.type == "table_close"
        if not inside:
            yield token
        inside += token.type == "table_open"


def assert_blocks_are_those_of_the_library(text):
    ours, theirs = parse_blocks(text), PLAIN.parse(f"{text}\n")
    assert list(fields(outside_tables(ours))) == list(fields(outside_tables(theirs)))


@given(st.lists(LINES | st.just(""), max_size=12).map("\n".join))
@example(EACH_KIND)
@example("a\n\tb\n \tc\n- \td\n\t\te\n  ")
@settings(max_examples=300)
def test_blocks_are_those_of_the_library(text: str):
    assert_blocks_are_those_of_the_library(text)


@given(
    st.lists(st.sampled_from(CELLS) | LINES | st.just(""), max_size=8),
    st.sampled_from(["", "- ", "> ", "   ", "    "]),
)
@example(["a | b", "-|-", "2. c | d"], "")
@settings(max_examples=300)
def test_tables_are_those_of_the_library(lines: list[str], indent: str):
    assert_blocks_are_those_of_the_library("\n".join(indent + line for line in lines))


def test_a_text_that_ends_in_a_list_in_a_quotation_has_blocks():
    assert parse_blocks("> - <!-- \n> ")[0].type == "blockquote_open"


def test_a_table_of_too_many_missing_cells_ends_where_the_library_ends_it():
    head = "|" + "a|" * 300, "|" + "-|" * 300
    text = "\n".join(chain(head, ["|b|"] * 230))
    assert_blocks_are_those_of_the_library(text)
    assert len(list(filter(lambda token: token.type == "table_open", parse_blocks(text)))) == 1
    assert parse_blocks(text)[0].map == [0, 221]
