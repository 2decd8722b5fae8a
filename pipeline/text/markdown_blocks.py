"""The blocks of a Markdown text by markdown-it, its rules asked only where they may apply.

markdown-it asks ten rules for each first line and seven for each other one, and makes five tokens
for each cell of a table. Most lines of most texts begin with a letter, and nobody here looks into
cells: so a rule is asked only for a line with the first character that it needs, paragraphs of
plain lines and tables are taken by rules of their own. The blocks stay the same.
"""

import operator
import re
from collections.abc import Callable, MutableMapping, Sequence
from itertools import accumulate
from typing import Any, Literal, cast

from markdown_it import MarkdownIt
from markdown_it.common.utils import mdTrim
from markdown_it.parser_block import ParserBlock
from markdown_it.ruler import Ruler
from markdown_it.rules_block import StateBlock, table
from markdown_it.token import Token

_Rule = Callable[[StateBlock, int, int, bool], bool]
"""Asked with the state, a line, the line behind the last one and whether only to tell."""

_FIRST = {
    "fence": "`~",
    "blockquote": ">",
    "hr": "*-_",
    "list": "*+-0123456789",
    "reference": "[",
    "html_block": "<",
    "heading": "#",
}
"""Rules of markdown-it that look at the first character of a line, and those they look for."""
_FIRSTS = "".join(sorted(set("".join(_FIRST.values()))))

_OPENER = re.compile(r"[#>|=:<-]|`{3}|~{3}|[+*](?:[ \t\n]|\Z)|([*_])[ \t]*\1[ \t]*\1|\d{1,9}[.)]")
"""What the first line of another block begins with, or the second one of a table or of a heading
that is underlined."""

_CODE_INDENT = 4
"""Spaces."""

_MOST_CELLS = 0x10000
"""markdown-it ends a table whose rows lack more cells than these."""


class Block:
    """A token of markdown-it with the fields that are read here, in half its time."""

    map: list[int] | None = None
    """Its first line and the line behind it."""
    content = ""
    """Between the two tokens of a heading, what is written in it."""

    def __init__(self, kind: str, tag: str, nesting: int) -> None:
        self.type = kind
        self.tag = tag
        self.nesting = nesting
        """1 opens a block, -1 closes one."""
        self.level = 0
        """How many are open around it."""


def parse_blocks(text: str) -> Sequence[Block]:
    """Return the tokens of the blocks of a text (CommonMark and tables).

    What is inside a paragraph, a heading or a table is not looked at.
    """
    # Without a last line end, markdown-it-py 4.3 fails at "> - <!-- \n> ".
    return cast("list[Block]", _BLOCKS.parse(f"{text}\n"))


class _State(StateBlock):
    """markdown-it's list of lines, made without a loop over them."""

    def __init__(
        self, src: str, md: MarkdownIt, env: MutableMapping[str, Any], tokens: list[Token]
    ) -> None:
        super().__init__("", md, env, tokens)
        self.src = src
        lines = src.split("\n")
        if not lines[-1].strip(" \t"):
            lines.pop()
        begins = [0, *accumulate(len(line) + 1 for line in lines)][: len(lines)]
        indents = [len(line) - len(line.lstrip(" \t")) for line in lines]
        columns = indents
        if "\t" in src:
            columns = [
                len(line[:indent].expandtabs(_CODE_INDENT))
                for line, indent in zip(lines, indents, strict=True)
            ]
        # An entry behind the last line spares its rules a check.
        self.bMarks = [*begins, len(src)]
        ends = map(operator.add, begins, map(len, lines))
        self.eMarks = [*ends, len(src)]
        self.tShift = [*indents, 0]
        self.sCount = [*columns, 0]
        self.bsCount = [0] * (len(lines) + 1)
        self.lineMax = len(lines)

    def push(self, ttype: str, tag: str, nesting: Literal[-1, 0, 1]) -> Token:
        token = Block(ttype, tag, nesting)
        if nesting < 0:
            self.level -= 1
        token.level = self.level
        if nesting > 0:
            self.level += 1
        self.tokens.append(cast(Token, token))
        return self.tokens[-1]


class _Parser(ParserBlock):
    """markdown-it's parser of blocks with this module's state and rules."""

    def __init__(self, ruler: Ruler[_Rule]) -> None:
        self.ruler = ruler

    def parse(
        self, src: str, md: MarkdownIt, env: MutableMapping[str, Any], outTokens: list[Token]
    ) -> list[Token] | None:
        if src:
            state = _State(src, md, env, outTokens)
            self.tokenize(state, state.line, state.lineMax)
        return outTokens


class _Chains(Ruler[_Rule]):
    """Gives for each chain of rules one, which asks those of the chain that a line may fulfil."""

    def __init__(self, ruler: Ruler[_Rule]) -> None:
        super().__init__()
        self.__rules__ = ruler.__rules__
        self._rules = {rule.fn: rule.name for rule in self.__rules__}
        self._chains: dict[str, list[_Rule]] = {}

    def getRules(self, chainName: str = "") -> list[_Rule]:
        if chainName not in self._chains:
            self._chains[chainName] = [self._one_of(super().getRules(chainName))]
        return self._chains[chainName]

    def _one_of(self, rules: list[_Rule]) -> _Rule:
        def asked(first: str) -> list[_Rule]:
            return [rule for rule in rules if first in _FIRST.get(self._rules[rule], first)]

        by_first = {first: asked(first) for first in _FIRSTS}
        others = [rule for rule in rules if self._rules[rule] not in _FIRST]

        def one_of(state: StateBlock, start: int, end: int, silent: bool) -> bool:
            first = state.bMarks[start] + state.tShift[start]
            for rule in by_first.get(state.src[first : first + 1], others):
                if rule(state, start, end, silent):
                    return True
            return False

        return one_of


def _plain_paragraph(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Take a paragraph if no line of it can be anything else: a rule of markdown-it.

    Args:
        state: Of the parser.
        start: The line to begin with.
        end: Line behind the last one; a paragraph goes on beyond it, as markdown-it's own does.
        silent: Whether only to tell; a paragraph cannot interrupt another block.
    """
    source, begins, indents, ends = state.src, state.bMarks, state.tShift, state.eMarks
    if silent or state.sCount[start] - state.blkIndent >= _CODE_INDENT:
        return False
    if source[begins[start] + indents[start]] == "[":  # it may define a link
        return False
    line = start
    while line < state.lineMax:
        first = begins[line] + indents[line]
        if first >= ends[line]:
            break
        if not source[first].isalpha() and _OPENER.match(source, first):
            return False
        line += 1
    state.line = line
    opening = state.push("paragraph_open", "p", 1)
    inside = state.push("inline", "", 0)
    state.push("paragraph_close", "p", -1)
    opening.map, inside.map = [start, line], [start, line]
    return True


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Take a table without a look into its cells: a rule of markdown-it.

    Whether one begins, markdown-it's own rule tells. Arguments as of :func:`_plain_paragraph`.
    """
    if start + 2 > end:
        return False
    below = state.bMarks[start + 1] + state.tShift[start + 1]
    if not state.src.startswith(("|", "-", ":"), below):
        return False
    begins = table(state, start, end, True)
    if silent or not begins:
        return begins
    around, state.parentType = state.parentType, "table"
    line = start + 2
    while line < end and _is_row(state, line, end):
        line += 1
    state.parentType = around
    columns = state.src.count("|", state.bMarks[start], state.eMarks[start]) + 1
    if (line - start) * columns > _MOST_CELLS:
        return table(state, start, end, False)
    state.push("table_open", "table", 1).map = [start, line]
    state.push("table_close", "table", -1)
    state.line = line
    return True


def _is_row(state: StateBlock, line: int, end: int) -> bool:
    """Tell whether a line below a table belongs to it."""
    (interrupts,) = state.md.block.ruler.getRules("blockquote")
    return (
        state.sCount[line] >= state.blkIndent
        and not interrupts(state, line, end, True)
        and mdTrim(state.src[state.bMarks[line] : state.eMarks[line]]) != ""
        and not state.is_code_block(line)
    )


_BLOCKS = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
_BLOCKS.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
_BLOCKS.block.ruler.before("table", "plain_paragraph", _plain_paragraph)
_BLOCKS.block = _Parser(_Chains(_BLOCKS.block.ruler))
