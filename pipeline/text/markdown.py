"""Markdown blocks by markdown-it."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
"""A YAML block on the first line, as Jekyll and Pandoc define it."""

_BLOCKS = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


def parse_blocks(text: str) -> Sequence[Token]:
    """Return the block tokens of a text (CommonMark and tables); inline markup is not parsed."""
    # Without a last line end, markdown-it-py 4.3 fails at "> - <!-- \n> ".
    return _BLOCKS.parse(f"{text}\n")
