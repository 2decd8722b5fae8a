"""One document cut into pieces along headings, blocks and sentences, for worker processes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from sentencex import segment

from pipeline.text.markdown import parse_blocks
from pipeline.text.tokens import CountPart, CountTokens, part_counter

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import ChunkSettings

NEWLINE = re.compile(r"\r\n?|\n")
"""What markdown-it counts as the end of a line."""

BY_LINE = {"fence", "code_block", "table_open", "html_block"}
"""Blocks that are cut between lines when they are too long; the others between sentences."""


class Unit(NamedTuple):
    """A run of characters that stays whole: a block, or a part of a block that is too long."""

    start: int
    end: int
    prose: bool
    """Whether it reads as sentences, so that the last ones may be repeated in the next chunk."""
    cuts: tuple[int, ...] = ()
    """Where to cut it first when it is too long: starts of list items or lines."""


class Section(NamedTuple):
    """What stands under one heading, up to the next."""

    path: tuple[str, ...]
    heading: int
    """Where its heading starts, or the document above the first one."""
    units: list[Unit]


class Piece(NamedTuple):
    """A chunk in the making."""

    path: tuple[str, ...]
    heading: int
    """Where the heading above it starts; ``start`` for the later pieces of a long section."""
    start: int
    end: int
    tokens: int


class Cut(NamedTuple):
    """What became of a document."""

    pieces: list[Piece]
    """Those that are long enough."""
    too_short: int
    """How many are not."""
    tokens: int
    """Of the whole document; counted only when no piece is left."""


_INLINE = MarkdownIt("commonmark")

_MARKUP = re.compile(r"[\\`*_\[\]<&!]")
"""Without one of these, a heading is its text."""


def cut(document: Mapping[str, Any], settings: "ChunkSettings", count_tokens: CountTokens) -> Cut:
    """Cut a document."""
    text: str = document["text"]
    cutter = _Cutter(text, document["language"], settings, part_counter(count_tokens, text), {})
    pieces = [piece for section in _sections(text) for piece in cutter.pieces(section)]
    joined = cutter.join_short(pieces)
    long_enough = [piece for piece in joined if piece.tokens >= settings.min_tokens]
    return Cut(
        long_enough, len(joined) - len(long_enough), 0 if long_enough else count_tokens(text)
    )


def _sections(text: str) -> list[Section]:
    """Return the sections of a Markdown text that have a body, in order."""
    lines = [0, *(match.end() for match in NEWLINE.finditer(text)), len(text)]
    sections = [Section((), 0, [])]
    headings: list[tuple[int, str]] = []
    tokens = parse_blocks(text)
    for place, token in enumerate(tokens):
        if token.level or token.nesting < 0 or token.map is None or token.type == "hr":
            continue
        first, last = token.map
        start, end = lines[first], lines[min(last, len(lines) - 1)]
        if token.type == "heading_open":
            depth = int(token.tag[1])
            headings = [heading for heading in headings if heading[0] < depth]
            headings.append((depth, _plain(tokens[place + 1].content)))
            sections.append(Section(tuple(name for _, name in headings if name), start, []))
            continue
        if token.type in BY_LINE:
            cuts = tuple(lines[first + 1 : last])
        elif token.type.endswith("_list_open"):
            cuts = tuple(lines[item] for item in _items(tokens, place))
        else:
            cuts = ()
        prose = token.type in {"paragraph_open", "blockquote_open"}
        sections[-1].units.extend(_trim(text, start, end, prose, cuts))
    return [section for section in sections if section.units]


def _plain(heading: str) -> str:
    """Return the text of a heading without its markup."""
    if _MARKUP.search(heading):
        children = _INLINE.parseInline(heading)[0].children or ()
        heading = "".join(child.content for child in children if child.type != "html_inline")
    return " ".join(heading.split())


def _items(tokens: Sequence[Token], place: int) -> Iterator[int]:
    """Yield the first line of each item of the list that opens at a place."""
    for number in range(place + 1, len(tokens)):
        token = tokens[number]
        if token.level == 0:
            return
        if token.type == "list_item_open" and token.level == 1 and token.map is not None:
            yield token.map[0]


def _trim(
    text: str, start: int, end: int, prose: bool, cuts: tuple[int, ...] = ()
) -> Iterator[Unit]:
    """Yield the unit without surrounding white space, unless nothing is left of it."""
    stripped = text[start:end].strip()
    if stripped:
        start = text.index(stripped[0], start)
        yield Unit(start, start + len(stripped), prose, cuts)


class _Cutter(NamedTuple):
    """One document and how it is measured."""

    text: str
    language: str
    settings: "ChunkSettings"
    count_part: CountPart
    known: dict[tuple[int, int], int]

    def tokens(self, start: int, end: int) -> int:
        if (start, end) not in self.known:
            self.known[start, end] = self.count_part(start, end)
        return self.known[start, end]

    def pieces(self, section: Section) -> list[Piece]:
        """Return the pieces of a section, of about equal length.

        Filling each piece to the brim would leave a tail of a few words; so the section is
        divided by the number of pieces it needs, and a piece is closed once it has its share.
        """
        units = [part for unit in section.units for part in self.split(unit)]
        limit = self.settings.max_tokens
        whole = self.tokens(units[0].start, units[-1].end)
        share = whole / -(-whole // limit)
        pieces: list[Piece] = []
        heading, start, taken = section.heading, units[0].start, [units[0]]
        for unit in units[1:]:
            tokens = self.tokens(start, taken[-1].end)
            if tokens >= share or self.tokens(start, unit.end) > limit:
                pieces.append(Piece(section.path, heading, start, taken[-1].end, tokens))
                heading = start = self.overlap(taken, unit)
                taken = []
            taken.append(unit)
        end = taken[-1].end
        pieces.append(Piece(section.path, heading, start, end, self.tokens(start, end)))
        return pieces

    def overlap(self, before: Sequence[Unit], unit: Unit) -> int:
        """Return where the piece that opens with ``unit`` starts, repeated sentences included."""
        start, sentences = unit.start, self.settings.overlap_sentences
        for last in reversed(before):
            # Not the first new sentence of the piece before: that would repeat the whole of it.
            for sentence in reversed(list(self.sentences(last)) if last.prose else []):
                fits = self.tokens(sentence.start, unit.end) <= self.settings.max_tokens
                if not sentences or not fits or sentence.start <= before[0].start:
                    return start
                start, sentences = sentence.start, sentences - 1
            if not last.prose:
                break
        return start

    def split(self, unit: Unit) -> Iterator[Unit]:
        """Yield the unit, or parts of it that each fit: by items or lines, sentences, words."""
        fits = self.tokens(unit.start, unit.end) <= self.settings.max_tokens
        if fits or unit.end - unit.start == 1:
            yield unit
            return
        edges = [unit.start, *(cut for cut in unit.cuts if cut > unit.start), unit.end]
        parts = [part for edge in pairwise(edges) for part in _trim(self.text, *edge, False)]
        if len(parts) < 2:
            parts = list(self.sentences(unit))
        if len(parts) < 2:
            parts = list(self.halves(unit))
        for part in parts:
            yield from self.split(part)

    def sentences(self, unit: Unit) -> Iterator[Unit]:
        """Yield the sentences of a unit."""
        start = unit.start
        for sentence in segment(self.language, self.text[unit.start : unit.end]):
            yield from _trim(self.text, start, start + len(sentence), unit.prose)
            start += len(sentence)

    def halves(self, unit: Unit) -> Iterator[Unit]:
        """Yield two halves of a unit, cut at the space nearest to its middle if there is one."""
        middle = (unit.start + unit.end) // 2
        before = max(self.text.rfind(space, unit.start, middle) for space in " \n\t")
        cut = before if before > unit.start else middle
        yield from _trim(self.text, unit.start, cut, unit.prose)
        yield from _trim(self.text, cut, unit.end, unit.prose)

    def join_short(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Return the pieces with each short one joined to a neighbour, where both fit."""
        shortest = max(self.settings.join_tokens, self.settings.min_tokens)
        result = list(pieces)
        place = 0
        while place < len(result):
            if result[place].tokens < shortest:
                pairs = [n for n in (place - 1, place) if 0 <= n < len(result) - 1]
                joined = [(n, self.joined(result[n], result[n + 1])) for n in pairs]
                fitting = [
                    (len(piece.path), n, piece)
                    for n, piece in joined
                    if piece.tokens <= self.settings.max_tokens
                ]
                if fitting:
                    _, first, piece = max(fitting)
                    result[first : first + 2] = [piece]
                    place = first
                    continue
            place += 1
        return result

    def joined(self, one: Piece, other: Piece) -> Piece:
        """Return two neighbours as one piece under their common heading path."""
        common = tuple(
            a
            for a, _ in takewhile(
                lambda ab: ab[0] == ab[1], zip(one.path, other.path, strict=False)
            )
        )
        # A heading that the common path no longer names stays in the text.
        start = one.start if common == one.path else one.heading
        return Piece(common, one.heading, start, other.end, self.tokens(start, other.end))
