"""Markdown blocks by markdown-it."""

from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

_BLOCKS = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


def parse_blocks(text: str) -> Sequence[Token]:
    """Return the block tokens of a text (CommonMark and tables); inline markup is not parsed."""
    # Without a last line end, markdown-it-py 4.3 fails at "> - <!-- \n> ".
    return _BLOCKS.parse(f"{text}\n")
