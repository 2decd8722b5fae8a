"""Sections of a Markdown text and the blocks below each heading, with the blocks inside those."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from markdown_it import MarkdownIt

from pipeline.text.markdown import parse_blocks

NEWLINE = re.compile(r"\r\n?|\n")
"""What markdown-it counts as the end of a line."""

PROSE, TEXT, TABLE, CODE, HTML = "prose", "text", "table", "code", "html"
"""Kinds of blocks: sentences, the last of which may be repeated in the next chunk; sentences that
are not (in a list, a heading); rows; code, fenced or indented; lines of HTML."""

_LEAVES = {
    "paragraph_open": TEXT,
    "heading_open": TEXT,
    "table_open": TABLE,
    "fence": CODE,
    "code_block": CODE,
    "html_block": HTML,
}

_INLINE = MarkdownIt("commonmark")

_MARKUP = re.compile(r"[\\`*_\[\]<&!]")
"""Without one of these, a heading is its text."""


class Block(NamedTuple):
    """A block and where it stands in the text."""

    start: int
    end: int
    kind: str
    lead: int = 0
    """Up to where a piece that begins later in it repeats it, so that one knows what that is: the
    header of a table, the opening fence, what a list item says above the list in it."""
    closing: str = ""
    """The line that closes fenced code."""
    inside: tuple["Block", ...] = ()
    """The items of a list, and the blocks of an item or a quote."""


class Section(NamedTuple):
    """What stands under one heading, up to the next."""

    path: tuple[str, ...]
    headings: tuple[tuple[int, int], ...]
    """Those directly above it, without text between: the place of each in the path, and where it
    starts."""
    blocks: list[Block]


class _Heading(NamedTuple):
    level: int
    name: str
    block: list[Block]
    """The heading as text; none when it has no name."""


def sections(text: str) -> list[Section]:
    """Return the sections of a Markdown text that have a body, in order.

    A heading with neither a body nor a section below it names nothing: it is text of its own,
    under the headings above it.
    """
    blocks = _Blocks(text)
    result: list[Section] = []
    above: list[_Heading] = []
    direct: list[tuple[int, int]] = []
    body: list[Block] = []
    for place in [*blocks.children(), len(blocks.tokens)]:
        token = blocks.tokens[place] if place < len(blocks.tokens) else None
        if token and token.type != "heading_open":
            body += blocks.read(place)
            continue
        level = int(token.tag[1]) if token else 0
        if not body and direct and above[-1].level >= level:
            body += above.pop().block
            direct.pop()
        if body:
            path = tuple(heading.name for heading in above if heading.name)
            result.append(Section(path, tuple(direct), body))
            direct, body = [], []
        while above and above[-1].level >= level:
            above.pop()
        if token:
            block = blocks.read(place)
            direct.append((sum(bool(heading.name) for heading in above), blocks.start(place)))
            name = _plain(blocks.tokens[place + 1].content)
            above.append(_Heading(level, name, block if name else []))
    return result


def trim(text: str, start: int, end: int, *, indent: bool) -> Iterator[tuple[int, int]]:
    """Yield a range without white space around it, unless nothing is left of it.

    Args:
        text: The text.
        start: Of the range.
        end: Of the range.
        indent: Whether white space in front of the first line is kept, since it means something:
            in code, in a list.
    """
    stripped = text[start:end].strip()
    if stripped:
        first = text.index(stripped[0], start)
        line = max(text.rfind("\n", start, first) + 1, start)
        begins_line = line == 0 or text[line - 1] in "\r\n"
        yield line if indent and begins_line else first, first + len(stripped)


def _plain(heading: str) -> str:
    """Return the text of a heading without its markup."""
    if _MARKUP.search(heading):
        children = _INLINE.parseInline(heading)[0].children or ()
        heading = "".join(child.content for child in children if child.type != "html_inline")
    return " ".join(heading.split())


class _Blocks:
    """The blocks of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(match.end() for match in NEWLINE.finditer(text)), len(text)]
        self.tokens = parse_blocks(text)

    def children(self, parent: int | None = None) -> Iterator[int]:
        """Yield where the blocks directly inside another begin, or those of the text."""
        first, level = (0, 0) if parent is None else (parent + 1, self.tokens[parent].level + 1)
        for place in range(first, len(self.tokens)):
            token = self.tokens[place]
            if token.level < level:
                return
            if token.level == level and token.nesting >= 0 and token.map and token.type != "hr":
                yield place

    def start(self, place: int) -> int:
        """Return where the first line of a block begins."""
        return self._lines[self._map(place)[0]]

    def read(self, place: int, begin: int = 0) -> list[Block]:
        """Return a block with those inside it, or nothing when it is blank.

        Args:
            place: Of its token.
            begin: Where the block around it begins, with whose mark it may share a line.
        """
        token = self.tokens[place]
        last = min(self._map(place)[1], len(self._lines) - 1)
        first = max(self.start(place), begin)
        kind = _LEAVES.get(token.type, "")
        if token.type == "paragraph_open" and token.level == 0:
            kind = PROSE
        indent = token.level > 1 or kind == CODE  # what is nested in an item, and code
        for start, end in trim(self._text, first, self._lines[last], indent=indent):
            if not kind:
                return [self._container(place, start, end)]
            if kind == TABLE:
                return [Block(start, end, kind, self._lines[self._map(place)[0] + 2])]
            if token.type == "fence":
                lead = self._lines[self._map(place)[0] + 1]
                mark = re.sub(r"[^\s>]", " ", self._text[start:lead].partition(token.markup)[0])
                return [Block(start, end, kind, lead, f"\n{mark}{token.markup}")]
            return [Block(start, end, kind)]
        return []

    def _container(self, place: int, start: int, end: int) -> Block:
        """Return a list, an item or a quote with the blocks in it."""
        children = list(self.children(place))
        types = [self.tokens[child].type for child in children]
        token = self.tokens[place]
        if token.type == "blockquote_open" and set(types) <= {"paragraph_open"}:
            return Block(start, end, TEXT if token.level else PROSE)
        inside = [block for child in children for block in self.read(child, start)]
        lead = 0
        if token.type == "list_item_open" and types[:1] == ["paragraph_open"]:
            lead = inside[1].start if len(inside) > 1 else 0
        return Block(start, end, TEXT, lead, "", tuple(inside))

    def _map(self, place: int) -> list[int]:
        return self.tokens[place].map or [0, 0]
