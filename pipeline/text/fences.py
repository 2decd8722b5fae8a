"""Code in a Markdown text, which rules for prose leave to the letter: blocks, spans, elements."""

import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator

_ITEM = r"(?:[-*+]|\d{1,9}[.)])[ \t]"
"""The mark of a list item and a space."""
_FENCE = re.compile(
    rf"^[ \t>]*(?:{_ITEM}[ \t]*)*(?:(?P<ticks>`{{3,}})[^`\n]*|(?P<tildes>~{{3,}})[^\n]*)$",
    re.MULTILINE,
)
"""A line that opens fenced code, or closes it when nothing else is on it (CommonMark 4.5)."""
_ELEMENT = "(?i:pre|script|style|textarea)\\b"
"""Name of an element whose lines are no Markdown (CommonMark 4.6)."""

# These begin with a set of characters and ask then which it was: the search leaps from one to the
# next, four times as fast as with alternatives that begin each with its own.
_UNSURE = re.compile(
    r"[\n<](?:(?<=\n)[ \t>]*"
    r"(?:(?:#{1,6}[ \t][^\n]*|[=*_-][=*_ \t-]*)?\n[ >]*"
    rf"|(?:{_ITEM}[ \t]*)*{_ITEM})(?: {{4}}|\t)|(?<=<)(?:!--|{_ELEMENT}))"
)
"""Where it takes all blocks around to tell what is code: an indent that may be a list's, a comment,
which may hold any code, and an element of lines."""
_MARK = re.compile(
    r"[`\\<\uff40\u1fef](?:(?<=\\)[\\`<]|(?<=[`\uff40\u1fef])`*"
    r"|(?<=<)(?:!--|(?i:(code|kbd|samp|tt|pre|textarea))\b[^<>]{0,500}>))"
)
"""Begins a code span, an element of code or a comment, or escapes what would. Two grave accents are
among them that Unicode takes for a back-tick."""
_END = re.compile(
    rf"^[ \t>]*(?:#{{1,6}}[ \t]|(\|))[^\n]*|\n(?=[ \t>]*(?:\n|\Z|{_ITEM}|#{{1,6}}[ \t]|\|))",
    re.MULTILINE,
)
"""The end of a paragraph, heading or row of a table, beyond which no code span goes."""
_OF_LINES = re.compile(rf"[ \t>]*(?:{_ITEM}[ \t]*)*<{_ELEMENT}")
_CELL_END = re.compile(r"(?<!\\)\|")
_COMMENT_END = re.compile("-->")
_RUN = re.compile("`+")
_LINE_START = re.compile(rf"[ \t>]*(?:{_ITEM}[ \t]*)*")
_PREFIX = 200
"""Characters in front of a comment that are looked at to tell whether it begins a line."""
_KEPT = re.compile(r"`(\d+)`")
Part = tuple[int, int, str]
"""Start and end of what is not prose, and ``block``, ``span`` (a lone back-tick) or ``comment``."""


class Split:
    """A Markdown text with its code and its comments set aside, so that its prose can be changed.

    To a change, a span or a comment is a number between back-ticks: it sees in what link it stands.
    """

    def __init__(self, text: str, *, fences_only: bool = False) -> None:
        """Split a text; ``fences_only``: its blocks of code are all fenced, as those of a page."""
        self._pieces: list[tuple[str, list[str], str]] = []
        """Prose, what is set aside in it, and the block of code behind it."""
        prose, at = "", 0
        kept: list[str] = []
        for start, end, kind in parts(text, fenced(text) if fences_only else _blocks(text)):
            prose += text[at:start]
            at = end
            if kind == "block":
                self._pieces.append((prose, kept, text[start:end]))
                prose, kept = "", []
            else:
                prose += f"`{len(kept)}`"
                kept.append(text[start:end])
        self._pieces.append((prose + text[at:], kept, ""))

    def change(self, change: Callable[[str], str]) -> None:
        """Apply a change to the prose."""
        self._pieces = [(change(prose), kept, block) for prose, kept, block in self._pieces]

    def change_code(self, change: Callable[[str], str]) -> None:
        """Apply a change to each span and element of code, and to each comment."""
        self._pieces = [
            (prose, list(map(change, kept)), block) for prose, kept, block in self._pieces
        ]

    def text(self) -> str:
        """Return the text."""
        return "".join(_restored(prose, kept) + block for prose, kept, block in self._pieces)


def _restored(prose: str, kept: list[str]) -> str:
    return _KEPT.sub(lambda mark: kept[int(mark[1])], prose) if kept else prose


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply a change to all of a Markdown text but its code and its comments."""
    split = Split(text)
    split.change(change)
    return split.text()


def span_of(text: str) -> str:
    """Return a code span that shows a text."""
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (1 + max(map(len, _RUN.findall(text))))
    space = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{space}{text}{space}{fence}"


def block_of(code: str, language: str = "") -> str:
    """Return fenced code that shows some lines."""
    fence = "`" * max([3, *(len(run) + 1 for run in _RUN.findall(code))])
    return f"{fence}{language}\n{code}\n{fence}"


def without_comments(text: str) -> str:
    """Take the comments out of a Markdown text, but not those that its code shows."""
    found = parts(text, _blocks(text)) if "<!--" in text else ()
    return _without(text, (part[:2] for part in found if part[2] == "comment"))


def prose_of(text: str) -> str:
    """Return a Markdown text without its fenced code."""
    return _without(text, fenced(text))


def _without(text: str, ranges: Iterable[tuple[int, int]]) -> str:
    edges = [0, *(edge for cut in ranges for edge in cut), len(text)]
    return "".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))


def parts(text: str, blocks: Iterable[tuple[int, int]]) -> list[Part]:
    """Return code and comments of a Markdown text in order; what is left is prose."""
    found: list[Part] = []
    at = 0
    for start, end in [*blocks, (len(text), len(text))]:
        if start < at:  # begins in a comment
            continue
        at = _add_spans(found, text, at, start)
        if at <= start < end:
            found.append((start, end, "block"))
            at = end
    return found


def _blocks(text: str) -> list[tuple[int, int]]:
    """Return where fenced and indented code begins and ends, whole lines, and elements of code."""
    found = list(fenced(text))
    padded = f"\n\n{text}"  # as if a blank line stood above the first one
    at = 0
    for start, end in [*found, (len(text), len(text))]:
        # With the line of the fence, which may be indented code itself.
        if _UNSURE.search(padded, at, 2 + max(start, text.find("\n", start, end))):
            return _parsed(text)
        at = 2 + end
    closed = not found or text.endswith(("```", "~~~"), *found[-1])
    return found if closed else _parsed(text)


def _parsed(text: str) -> list[tuple[int, int]]:
    from pipeline.text.markdown import parse_blocks  # few texts need it

    begins = [0, *(line.end() for line in re.finditer("\n", text)), len(text) + 1]
    # A comment that does not end would take all below it.
    closed, mark, rest = text.rpartition("-->")
    tokens = parse_blocks(closed + mark + rest.replace("<!--", "<!"))
    found = []
    for token in tokens:
        if token.map is not None and token.type in ("fence", "code_block", "html_block"):
            start, end = begins[token.map[0]], begins[min(token.map[1], len(begins) - 1)] - 1
            if token.type != "html_block" or _OF_LINES.match(text, start):
                found.append((start, end))
    return found


def _add_spans(found: list[Part], text: str, at: int, stop: int) -> int:
    """Add what is no prose between two blocks, and return where it ends: maybe behind the next."""
    # What begins first counts: a comment may hold a back-tick, and a code span a comment.
    paragraph = at  # where the one at hand, or the cell of a table, ends
    row = 0  # where the row of the table ends
    runs: dict[int, list[int]] = {}  # length -> where runs of back-ticks begin
    unclosed: dict[re.Pattern[str], int] = {}  # what closes a mark -> up to where there is none
    while opened := _MARK.search(text, at, stop):
        start, at = opened.span()
        mark = opened[0]
        if mark[0] in "\\\uff40\u1fef":
            if mark[-1] in "`\uff40\u1fef":
                found.append((start, at, "span"))
            continue
        if at > paragraph:
            if at > row:
                paragraph, is_row = _paragraph_end(text, start, stop)
                row = paragraph if is_row else 0
            if row:
                cell = _CELL_END.search(text, at, row)
                paragraph = cell.end() if cell else row
        if mark[0] == "`":
            runs = runs or _runs(text, start, stop)
            same = runs.get(len(mark), [])
            behind = bisect(same, start)
            if behind < len(same) and same[behind] < paragraph:
                at = same[behind] + len(mark)
            found.append((start, at, "span"))
            continue
        closing, end = _COMMENT_END, paragraph
        if opened[1]:
            closing = re.compile(f"</{opened[1].lower()}>", re.IGNORECASE)
        elif _begins_line(text, start):  # it goes on over blank lines
            end = len(text)
        if unclosed.get(closing, 0) < end:
            closed = closing.search(text, at, end)
            if closed:
                at = closed.end()
                found.append((start, at, "span" if opened[1] else "comment"))
                continue
            unclosed[closing] = end
        at = start + 1
    return at


def _runs(text: str, at: int, stop: int) -> dict[int, list[int]]:
    runs: dict[int, list[int]] = {}
    for run in _RUN.finditer(text, at, stop):
        runs.setdefault(len(run[0]), []).append(run.start())
    return runs


def _begins_line(text: str, at: int) -> bool:
    line = text.rfind("\n", max(0, at - _PREFIX), at) + 1
    return _LINE_START.fullmatch(text, line, at) is not None


def _paragraph_end(text: str, at: int, stop: int) -> tuple[int, bool]:
    """Return where the paragraph, heading or row around a place ends, and whether it is a row."""
    line = text.rfind("\n", 0, at) + 1
    found = _END.search(text, line, stop)
    while found and found.end() <= at:
        found = _END.search(text, found.end(), stop)
    return (found.end(), found[1] is not None) if found else (stop, False)


def fenced(text: str) -> Iterator[tuple[int, int]]:
    """Yield where fenced code begins and ends, its fences included; unclosed, it goes on."""
    # Line by line: one pattern for whole blocks looks for the end of each of 100,000 open fences
    # up to the end of the text.
    opened, start = "", 0
    for line in _FENCE.finditer(text) if "```" in text or "~~~" in text else ():
        fence = line["ticks"] or line["tildes"]
        if not opened:
            opened, start = fence, line.start()
        elif fence.startswith(opened) and line[0].strip(" \t>") == fence:
            yield start, line.end()
            opened = ""
    if opened:
        yield start, len(text)
