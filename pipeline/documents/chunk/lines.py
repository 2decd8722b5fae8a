"""Lines before which a table, code or HTML is cut when it is too long for a chunk."""

import re

from pipeline.documents.chunk.sections import CODE, HTML, TABLE, Block

MOST_LEVELS = 8
"""Of indents at which code is cut before any line will do."""

_LINE = re.compile(r"^([ \t]*)\S", re.MULTILINE)
_QUOTED_LINE = re.compile(r"^([ \t>]*)[^\s>]", re.MULTILINE)
"""A line that is not blank, and its indent."""

_CLOSES = re.compile(r"[\])}]|(?:end|else|elif|except|finally|catch|fi|done|esac)\b")
"""Begins a line that goes on with what stands above it."""


def line_starts(text: str, start: int, end: int, block: Block, level: int) -> list[int]:
    """Return where the lines of a part of a block begin before which it may be cut.

    Code is cut where a function is likely to begin: before the lines behind a blank one that are
    indented least. The first line stays with the header of a table and with an opening fence.

    Args:
        text: Of the document.
        start: Of the part.
        end: Of the part.
        block: What it is a part of.
        level: How often the block has been cut to get it.
    """
    if block.kind not in (TABLE, CODE, HTML):
        return []
    first = max(start, block.lead)
    quoted = block.closing.lstrip().startswith(">")
    if block.closing and end == block.end:
        end = max(first, text.rfind("\n", start, end))  # its closing fence is no line
    lines: list[tuple[int, int]] = []
    behind_blank = []
    before = first
    for match in (_QUOTED_LINE if quoted else _LINE).finditer(text, first, end):
        if match.start() > first:
            lines.append((match.start(), len(match[1])))
            if text.count("\n", before, match.start()) > 1:
                behind_blank.append(lines[-1])
        before = match.end()
    if block.kind == CODE and level < MOST_LEVELS:
        begins = [line for line in lines if not _CLOSES.match(text, sum(line))]
        lines = behind_blank or begins or lines
        least = min((indent for _, indent in lines), default=0)
        lines = [line for line in lines if line[1] == least]
    return [line for line, _ in lines]
