"""Elements whose blocks are put together when they end: the page, lists, items, quotes, cells."""

import re
from dataclasses import dataclass, field

LONG_TERMS = 80
"""Characters from which the terms of one definition stand on a line each."""
_LINE_START = re.compile(r"\n(?=[^\n])")
_BLOCK = re.compile(r"`{3}|\|")


@dataclass(slots=True)
class Part:
    """Blocks in the making."""

    items: bool = False
    """Whether its blocks are the items of a list."""
    number: int | None = None
    """Of the next item of an ordered list; None for other parts."""
    tight: bool = False
    """Whether a list follows the text before it without a blank line, as in an item."""
    blocks: list[str] = field(default_factory=list)
    _terms: list[str] = field(default_factory=list)
    """Terms that wait for their definition."""
    _lists: set[int] = field(default_factory=set)
    """Places of the lists among the blocks."""

    def add(self, block: str, is_list: bool = False) -> None:
        """Add a block."""
        if is_list and self.items and self.blocks:
            block = f"  {indented(block, 2)}"  # outside the items of the list that it is in
        elif is_list and self.tight:
            self._lists.add(len(self.blocks))
        self.blocks.append(block)

    def term(self, text: str) -> None:
        """Add a term that a definition will follow."""
        if self.items and "\n" not in text:
            self._terms.append(text)
        else:
            self.add(text)

    def define(self, text: str, width: int) -> None:
        """Add a definition of the terms before it, as an item indented by a width."""
        if not self._terms:
            self.add(f"{' ' * width}{indented(text, width)}" if self.items else text)
            return
        gap = "\n\n" if _BLOCK.match(text) else "\n"
        self.blocks.append(f"- {indented(self._head() + gap + text, width)}")

    def close_terms(self) -> None:
        """Add the terms that no definition followed."""
        if self._terms:
            self.blocks.append(f"- {self._head()}")

    def _head(self) -> str:
        terms, self._terms = self._terms, []
        return ("\n" if sum(map(len, terms)) > LONG_TERMS else ", ").join(terms)

    def in_a_line(self) -> str:
        """Return the blocks as the one line that a cell of a table has."""
        lines = (line for block in self.blocks for line in block.split("\n"))
        return "<br>".join(filter(None, (" ".join(line.split()) for line in lines)))

    def joined(self) -> str:
        """Return the blocks as one text."""
        if len(self.blocks) == 1:
            return self.blocks[0]
        if self.items:
            loose = any("\n\n" in block for block in self.blocks)
            return ("\n\n" if loose else "\n").join(self.blocks)
        pieces: list[str] = []
        for place, block in enumerate(self.blocks):
            tight = place in self._lists and place - 1 not in self._lists
            pieces += ["\n" if tight else "\n\n", block]
        return "".join(pieces[1:])


def indented(text: str, width: int) -> str:
    """Return a text with all lines but the first and the empty ones indented."""
    return _LINE_START.sub("\n" + " " * width, text) if width and "\n" in text else text
