"""One document cut into pieces along headings, blocks and sentences, for worker processes."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from sentencex import segment

from pipeline.documents.chunk.sections import (
    CODE,
    PROSE,
    Block,
    Section,
    line_starts,
    sections,
    trim,
)
from pipeline.text.tokens import CountPart, CountTokens, part_counter
from pipeline.text.words import words

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import ChunkSettings

MOST_REPEATED = 1 / 3
"""Of a chunk's tokens that the header of its table may take; a longer one is not repeated."""
SENTENCE = 5
"""Words of a sentence that says something by itself; "See below." and "Thank you." do not."""
_STOP = re.compile(
    r"[.!?\u3002\uff01\uff1f\u0964\u061f\u06d4][\"'\u00bb\u2019\u201d)\]*_]{0,4}\s*\Z"
)


class Piece(NamedTuple):
    """A chunk in the making."""

    path: tuple[str, ...]
    headings: tuple[tuple[int, int], ...]
    """As of a section; none for the later pieces of one."""
    start: int
    end: int
    before: str
    after: str
    tokens: int
    """With what stands before and after."""


def cut(
    document: Mapping[str, Any], settings: "ChunkSettings", count_tokens: CountTokens
) -> tuple[list[Piece], int, int]:
    """Return the pieces of a document, how many are left out, and its tokens if all of them are.

    What is too short is left out as a remnant, but not the whole of a note that is a sentence.
    """
    text: str = document["text"]
    counts = cache(part_counter(count_tokens, text)), cache(count_tokens)
    cutter = _Cutter(text, document["language"], settings, *counts)
    pieces = [piece for section in sections(text) for piece in cutter.pieces(section)]
    joined = cutter.join_short(pieces)
    kept = [piece for piece in joined if piece.tokens >= settings.min_tokens]
    if len(joined) == 1 and cutter.says_something(joined[0]):
        kept = joined
    return kept, len(joined) - len(kept), 0 if kept else count_tokens(text)


class _Cutter(NamedTuple):
    text: str
    language: str
    settings: "ChunkSettings"
    count_part: CountPart
    count_tokens: CountTokens

    def tokens(self, start: int, end: int, *repeated: str) -> int:
        """Return the tokens of a range, and of what is repeated around it."""
        return self.count_part(start, end) + sum(map(self.count_tokens, repeated))

    def pieces(self, section: Section) -> list[Piece]:
        """Return the pieces of a section, of about equal length."""
        # Filling each piece to the brim would leave a tail of a few words; so the section is
        # divided by the number of pieces it needs, and a piece is closed once it has its share.
        units = [unit for block in section.blocks for unit in self.units(block)]
        around = [sum(map(self.count_tokens, (unit.before, unit.closing))) for unit in units]
        whole = self.tokens(units[0].start, units[-1].end)
        number = -(-whole // (self.settings.max_tokens - sum(around) // len(units)))
        pieces = self.shared(section, units, whole / number)
        tail = self.tokens(pieces[-1].start, pieces[-1].end)
        if any(around) and tail < self.settings.min_tokens:
            # What pieces repeat left no room for it; alone it would be left out.
            pieces = self.shared(section, units, whole / (number + 1))
        return pieces

    def shared(self, section: Section, units: Sequence[Block], share: float) -> list[Piece]:
        """Return the pieces of a section, each closed once it has a number of tokens."""
        shares = [(units[0].start, [units[0]])]
        for unit in units[1:]:
            start, taken = shares[-1]
            long = self.tokens(start, unit.end, taken[0].before, unit.closing)
            if self.tokens(start, taken[-1].end) >= share or long > self.settings.max_tokens:
                shares.append((self.overlap(taken, unit), [unit]))
            else:
                taken.append(unit)
        pieces: list[Piece] = []
        for start, taken in shares:
            end, before, after = taken[-1].end, taken[0].before, taken[-1].closing
            headings = () if pieces else section.headings
            tokens = self.tokens(start, end, before, after)
            pieces.append(Piece(section.path, headings, start, end, before, after, tokens))
        return pieces

    def overlap(self, before: Sequence[Block], unit: Block) -> int:
        """Return where the piece that opens with ``unit`` starts, repeated sentences included."""
        start, sentences = unit.start, self.settings.overlap_sentences
        for last in takewhile(lambda each: each.kind == PROSE, reversed(before)):
            # Not the first new sentence of the piece before: that would repeat the whole of it.
            for begin, _ in reversed(self.sentences(last.start, last.end, PROSE)):
                fits = self.tokens(begin, unit.end, unit.closing) <= self.settings.max_tokens
                if not sentences or not fits or begin <= before[0].start:
                    return start
                start, sentences = begin, sentences - 1
        return start

    def units(self, block: Block, before: str = "") -> list[Block]:
        """Return a block as it is, or parts of it that each fit: runs that stay whole."""
        # A piece that begins with it repeats what stands before, of the list item that it is in.
        text, limit = self.text, self.settings.max_tokens
        if self.tokens(block.start, block.end, before) <= limit:
            return [block._replace(closing="", before=before)]
        repeated, closing = before + text[block.start : max(block.lead, block.start)], block.closing
        if self.count_tokens(repeated) + self.count_tokens(closing) > limit * MOST_REPEATED:
            repeated, closing = before, ""
        if not block.inside:
            room = limit - self.count_tokens(repeated) - self.count_tokens(closing)
            *parts, last = self.parts(block.start, block.end, block, room)
            part = Block(*last, block.kind, before=repeated)
            units = [part._replace(start=a, end=b, closing=closing) for a, b in parts] + [part]
            return [units[0]._replace(before=before), *units[1:]]
        units = []
        for child in block.inside:
            units += self.units(child, before if child.start < block.lead else repeated)
        if block.lead and units[0].end == block.inside[0].end:
            # What introduces a list stays with its first item.
            first, second = units[:2]
            if self.tokens(first.start, second.end, before, second.closing) <= limit:
                units[:2] = [second._replace(start=first.start, before=before)]
        return units

    def parts(
        self, start: int, end: int, block: Block, room: int, level: int = 0
    ) -> list[tuple[int, int]]:
        """Return parts of a block that each fit: of lines or sentences, else of words."""
        if self.tokens(start, end) <= room or end - start == 1:
            return [(start, end)]
        lines = line_starts(self.text, start, end, block, level)
        parts = self.between(start, *lines, end, indent=block.kind == CODE)
        if len(parts) < 2:
            parts = self.sentences(start, end, block.kind)
        if len(parts) < 2:  # two halves, cut at the last space before the middle, if any
            middle = (start + end) // 2
            space = max(self.text.rfind(sign, start, middle) for sign in " \n\t")
            parts = self.between(start, space if space > start else middle, end, indent=False)
        return [small for part in parts for small in self.parts(*part, block, room, level + 1)]

    def says_something(self, piece: Piece) -> bool:
        """Tell whether a piece has a sentence of at least :data:`SENTENCE` words."""
        return any(
            _STOP.search(self.text, start, end) and len(words(self.text[start:end])) >= SENTENCE
            for start, end in self.sentences(piece.start, piece.end, PROSE)
        )

    def sentences(self, start: int, end: int, kind: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for sentence in segment(self.language, self.text[start:end]):
            found += trim(self.text, start, start + len(sentence), indent=kind == CODE)
            start += len(sentence)
        return found

    def between(self, *edges: int, indent: bool) -> list[tuple[int, int]]:
        return [part for edge in pairwise(edges) for part in trim(self.text, *edge, indent=indent)]

    def join_short(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Return the pieces with each short one joined to a neighbour, where both fit."""
        shortest = max(self.settings.join_tokens, self.settings.min_tokens)
        result = list(pieces)
        place = 0
        while place < len(result):
            if result[place].tokens < shortest:
                pairs = [n for n in (place - 1, place) if 0 <= n < len(result) - 1]
                joined = [(n, self.joined(result[n], result[n + 1])) for n in pairs]
                fitting = [each for each in joined if each[1].tokens <= self.settings.max_tokens]
                if fitting:
                    first, piece = max(fitting, key=lambda each: (len(each[1].path), each[0]))
                    result[first : first + 2] = [piece]
                    place = first
                    continue
            place += 1
        return result

    def joined(self, one: Piece, other: Piece) -> Piece:
        """Return two neighbours as one piece under their common heading path."""
        pairs = zip(one.path, other.path, strict=False)
        common = tuple(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        # A heading that the common path no longer names stays in the text.
        unnamed = (start for place, start in one.headings if place >= len(common))
        start = next(unnamed, one.start)
        before = one.before if start == one.start else ""
        tokens = self.tokens(start, other.end, before, other.after)
        return Piece(common, one.headings, start, other.end, before, other.after, tokens)
