"""The blocks of a Markdown text: what blank lines, headings and code set apart.

A block is a paragraph, a list without blank lines, a table, a heading, or code. It is a reading of
Markdown by lines; where the lines leave it open whether something is code, it is code.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

TEXT = 0  # kind of a paragraph, list, quotation or table; 1 to 6 is the level of a heading
CODE = 7  # fenced or indented code, and what is indented like it

# All quantifiers that could be tried in more than one way are possessive: time grows with the text.
_FENCE = r"[ \t>]*+(?:(?:[-*+]|\d{1,9}+[.)])[ \t]++[ \t>]*+)*+(?:`{3,}+(?=[^`\n]*$)|~{3,}+)"
"""Opens code, behind the marks of lists and quotes too (CommonMark 4.5)."""
_FENCED = re.sub(r"\(\?:(?=`)", "(?P<fence>", _FENCE)
_CLOSING = r"[ \t>]*+(?P=fence)(?:`*|~*)[ \t\r]*$"
_PRE = r" {0,3}(?i:<pre)"
_HEADING = r" {0,3}#{1,6}(?=[ \t\r\n]|\Z)"
"""CommonMark 4.2."""
_BLANK = r"[ \t\r]*$"

_BLOCK = re.compile(
    rf"^(?:(?:{_FENCED}[^\n]*(?:\n(?!{_CLOSING})[^\n]*)*+(?:\n{_CLOSING})?"
    rf"|(?P<pre>{_PRE})(?s:.*?)(?:(?i:</pre>)[^\n]*|\Z))"
    rf"|(?P<heading>{_HEADING})[^\n]*"
    rf"|(?!{_BLANK})(?P<indent> {{4}}| {{0,3}}\t)?[^\n]+"
    rf"(?:\n(?!{_BLANK}|{_HEADING}|{_PRE}|{_FENCE})[^\n]+)*+)",
    re.MULTILINE,
)


class Block(NamedTuple):
    """Characters of a text."""

    start: int
    stop: int
    kind: int  # TEXT, CODE, or the level of a heading


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the blocks of a Markdown text in order."""
    for match in _BLOCK.finditer(text):
        kind = CODE if match["fence"] or match["pre"] or match["indent"] else TEXT
        if match["heading"]:
            kind = match["heading"].count("#")
        yield Block(match.start(), match.start() + len(match[0].rstrip()), kind)
