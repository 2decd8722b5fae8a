"""Sections of a Markdown text and the blocks below each heading, with the blocks inside those."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from pipeline.text.markdown import parse_blocks

NEWLINE = re.compile(r"\r\n?|\n")
"""What markdown-it counts as the end of a line."""
PROSE, TEXT, TABLE, CODE, HTML = "prose", "text", "table", "code", "html"
"""Kinds of blocks: sentences, the last of which may be repeated in the next chunk; sentences that
are not (in a list, a heading); rows; code, fenced or indented; lines of HTML."""
_LEAVES = {
    "paragraph": TEXT,
    "heading": TEXT,
    "table": TABLE,
    "fence": CODE,
    "code_block": CODE,
    "html_block": HTML,
}
_INLINE = MarkdownIt("commonmark")
_MARKUP = re.compile(r"[\\`*_\[\]<&!]")
"""Without one of these, a heading is its text."""
MOST_LEVELS = 8
"""Of indents at which code is cut before any line will do."""
_LINE = re.compile(r"^([ \t]*)\S", re.MULTILINE)
_QUOTED_LINE = re.compile(r"^([ \t>]*)[^\s>]", re.MULTILINE)
"""A line that is not blank, and its indent."""
_CLOSES = re.compile(r"[\])}]|(?:end|else|elif|except|finally|catch|fi|done|esac)\b")
"""Begins a line that goes on with what stands above it."""


class Block(NamedTuple):
    """A block and where it stands in the text."""

    start: int
    end: int
    kind: str
    lead: int = 0
    """Up to where later pieces repeat it: header of a table, opening fence, text above a list."""
    closing: str = ""
    """The line that closes fenced code; of a part, what a piece that ends with it has behind it."""
    inside: tuple["Block", ...] = ()
    """The items of a list, and the blocks of an item or a quote."""
    before: str = ""
    """Of a part: what a piece that begins with it repeats in front of it."""


class Section(NamedTuple):
    """What stands under one heading, up to the next."""

    path: tuple[str, ...]
    headings: tuple[tuple[int, int], ...]
    """Those directly above it, without text between: place in the path, and where it starts."""
    blocks: list[Block]


class _Heading(NamedTuple):
    level: int
    name: str
    block: list[Block]
    """The heading as text; none when it has no name."""


def sections(text: str) -> list[Section]:
    """Return the sections of a Markdown text that have a body, in order."""
    # A heading with neither a body nor a section below it names nothing: it is text of its own,
    # under the headings above it.
    blocks = _Blocks(text)
    result: list[Section] = []
    above: list[_Heading] = []
    direct: list[tuple[int, int]] = []
    body: list[Block] = []
    for node in [*_children(SyntaxTreeNode(parse_blocks(text))), None]:
        if node and node.type != "heading":
            body += blocks.read(node)
            continue
        level = int(node.tag[1]) if node else 0
        if not body and direct and above[-1].level >= level:
            body += above.pop().block
            direct.pop()
        if body:
            path = tuple(heading.name for heading in above if heading.name)
            result.append(Section(path, tuple(direct), body))
            direct, body = [], []
        while above and above[-1].level >= level:
            above.pop()
        if node:
            block = blocks.read(node)
            direct.append((sum(bool(heading.name) for heading in above), blocks.line(node)))
            name = _plain(node.children[0].content)
            above.append(_Heading(level, name, block if name else []))
    return result


def trim(text: str, start: int, end: int, *, indent: bool) -> Iterator[tuple[int, int]]:
    """Yield a range without white space around it; an indent may mean something, in code, say."""
    stripped = text[start:end].strip()
    if stripped:
        first = text.index(stripped[0], start)
        line = max(text.rfind("\n", start, first) + 1, start)
        begins_line = line == 0 or text[line - 1] in "\r\n"
        yield line if indent and begins_line else first, first + len(stripped)


def line_starts(text: str, start: int, end: int, block: Block, level: int) -> list[int]:
    """Return where the lines of a part of a block begin before which it may be cut.

    Code is cut where a function is likely to begin: before the least indented lines behind a blank
    one. The first line stays with the header of a table and with an opening fence. The level says
    how often the block has been cut to get the part.
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


def _plain(heading: str) -> str:
    """Return the text of a heading without its markup."""
    if _MARKUP.search(heading):
        children = _INLINE.parseInline(heading)[0].children or ()
        heading = "".join(child.content for child in children if child.type != "html_inline")
    return " ".join(heading.split())


def _children(node: SyntaxTreeNode) -> list[SyntaxTreeNode]:
    return [child for child in node.children if child.map and child.type != "hr"]


class _Blocks:
    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(match.end() for match in NEWLINE.finditer(text)), len(text)]

    def line(self, node: SyntaxTreeNode, number: int = 0) -> int:
        assert node.map
        return self._lines[node.map[0] + number]

    def read(self, node: SyntaxTreeNode, begin: int = 0) -> list[Block]:
        """Return a block with those inside it, or nothing when it is blank."""
        # The block around it begins at ``begin``, and its mark may stand on the same line.
        assert node.map
        last = self._lines[min(node.map[1], len(self._lines) - 1)]
        is_prose = node.type == "paragraph" and node.level == 0
        kind = PROSE if is_prose else _LEAVES.get(node.type, "")
        indent = node.level > 1 or kind == CODE  # what is nested in an item, and code
        for start, end in trim(self._text, max(self.line(node), begin), last, indent=indent):
            if not kind:
                return [self._container(node, start, end)]
            if kind == TABLE:
                return [Block(start, end, kind, self.line(node, 2))]
            if node.type == "fence":
                lead = self.line(node, 1)
                mark = re.sub(r"[^\s>]", " ", self._text[start:lead].partition(node.markup)[0])
                return [Block(start, end, kind, lead, f"\n{mark}{node.markup}")]
            return [Block(start, end, kind)]
        return []

    def _container(self, node: SyntaxTreeNode, start: int, end: int) -> Block:
        """Return a list, an item or a quote with the blocks in it."""
        children = _children(node)
        types = [child.type for child in children]
        if node.type == "blockquote" and set(types) <= {"paragraph"}:
            return Block(start, end, TEXT if node.level else PROSE)
        inside = [block for child in children for block in self.read(child, start)]
        lead = 0
        if node.type == "list_item" and types[:1] == ["paragraph"]:
            lead = inside[1].start if len(inside) > 1 else 0
        return Block(start, end, TEXT, lead, "", tuple(inside))
