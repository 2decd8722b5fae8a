"""The blocks of a Markdown text by markdown-it, paragraphs of plain lines by a shorter way."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

_OPENER = re.compile(r"[#>|=:<-]|`{3}|~{3}|[+*](?:[ \t\n]|\Z)|([*_])[ \t]*\1[ \t]*\1|\d{1,9}[.)]")
"""What the first line of another block begins with, or the second one of a table or of a heading
that is underlined."""

_CODE_INDENT = 4
"""Spaces."""


def parse_blocks(text: str) -> list[Token]:
    """Return the tokens of the blocks of a text (CommonMark and tables), each with its lines.

    What is inside a paragraph or a heading is not looked at.
    """
    return _BLOCKS.parse(text)


def _plain_paragraph(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Take a paragraph if no line of it can be anything else: a rule of markdown-it.

    markdown-it asks ten rules for each first line and seven for each other one, and most lines
    of most texts begin with a letter.

    Args:
        state: Of the parser.
        start: The line to begin with.
        end: Line behind the last one; a paragraph goes on beyond it, as markdown-it's own does.
        silent: Whether only to tell; a paragraph cannot interrupt another block.
    """
    source, begins, indents, ends = state.src, state.bMarks, state.tShift, state.eMarks
    if silent or state.sCount[start] - state.blkIndent >= _CODE_INDENT:
        return False
    if source[begins[start] + indents[start]] == "[":  # it may define a link
        return False
    line = start
    while line < state.lineMax:
        first = begins[line] + indents[line]
        if first >= ends[line]:
            break
        if not source[first].isalpha() and _OPENER.match(source, first):
            return False
        line += 1
    state.line = line
    opening = state.push("paragraph_open", "p", 1)
    inside = state.push("inline", "", 0)
    state.push("paragraph_close", "p", -1)
    opening.map, inside.map = [start, line], [start, line]
    inside.content = state.getLines(start, line, state.blkIndent, False).strip()
    inside.children = []
    return True


_BLOCKS = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
_BLOCKS.block.ruler.before("table", "plain_paragraph", _plain_paragraph)
