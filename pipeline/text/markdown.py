"""Markdown blocks by markdown-it."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

FRONT_MATTER = re.compile(
    r"""\A(?:[ \t]*\n)*(?:
      ---[ \t]*\n(?!\s*\n)
      (?>(?:[\w.$ -]+:(?:[ \t][^\n]*)?|[ \t#"'\[\]{}-][^\n]*|)\n)*?(?:---|\.\.\.)
    | \+\+\+[ \t]*\n(?>(?:[\w."' -]+=[^\n]*|[ \t#"'\[\]{}][^\n]*|)\n)*?\+\+\+
    | \{[ \t]*\n(?:[ \t}"\]][^\n]*\n|\n)*?\}
    )[ \t]*(?:\n|\Z)""",
    re.VERBOSE,
)
"""Settings of a page above its text: YAML as Jekyll and Pandoc define it (no blank line behind the
first line, else that is a rule), TOML and JSON as Hugo does. Each line looks like a setting, in
one way only (``(?>``): two would take a time that doubles with each line."""
BULLETS = r"\u2022\u2023\u25a0\u25a1\u25aa\u25ab\u25cb\u25cf\u25e6\u2043\uf0a7\uf0b7"
"""Bullets of printed lists; the last two are Word's, of its fonts Wingdings and Symbol."""
OPENS_BLOCK = re.compile(r"#{1,6}(?=\s)|`{3}|~{3}")
"""Makes a heading or a fence of the line that it begins."""
_BLOCKS = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


def parse_blocks(text: str) -> Sequence[Token]:
    """Return the block tokens of a text (CommonMark and tables); inline markup is not parsed."""
    # Without a last line end, markdown-it-py 4.3 fails at "> - <!-- \n> ".
    return _BLOCKS.parse(f"{text}\n")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as a table; the first row is its header."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
