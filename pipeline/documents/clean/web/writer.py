"""Writes the content of a page down as Markdown, in one walk over its elements."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from lxml import etree

from pipeline.documents.clean.web import names
from pipeline.documents.clean.web.line import BREAK, CODE, LINK, LOWERED, NOTE, RAISED, STRUCK, Line
from pipeline.documents.clean.web.parts import Part, Table, indented, is_data, pictured
from pipeline.documents.clean.web.whole import code_block, formula

DEEPEST = 6
"""Lists and quotes inside one another that are indented: each level copies the text below it."""
_MARKS = (
    {tag: CODE for tag in ("code", "tt", "kbd", "samp")}
    | {tag: "**" for tag in ("b", "strong")}
    | {tag: "*" for tag in ("em", "i", "var", "cite")}
    | {tag: STRUCK for tag in ("del", "s", "strike")}
    | {"a": LINK, "sup": RAISED, "sub": LOWERED}
)
_LINES = {"div": "line", "table": "blob-code"}
"""Elements that may draw each line of code as an element of its own, and the class of that."""
_ITEMS = frozenset(("li", "dd", "dt", "blockquote"))
_LISTS = frozenset(("ul", "ol", "menu", "dir", "dl"))
_NUMBER = re.compile(r"\d{1,9}")
_OPENS_BLOCK = re.compile(r"#{1,6}(?:\s|$)|`{3}|~{3}")
"""What would make a heading or code of a paragraph."""
_NOTE_MARK = re.compile(r"noteref|(?:foot|end)note-?ref")
"""Of the role, class or type of EPUB of a link to a note."""
_FORMULA_PICTURE = re.compile(r"math|latex|\btex\b|callout|conum", re.IGNORECASE)


class Writer:
    """The Markdown of one page in the making."""

    def __init__(self, dropped: set[Any]) -> None:
        self._dropped = dropped
        self._line = Line()
        self._parts = [Part()]
        self._level = 0
        """Of the heading that is open."""
        self._depth = 0
        """Lists and quotes that are open."""
        self._tables: list[Table | None] = []
        """Tables that are open; None for one that is unfolded."""
        self._boxes = 0
        self.skipped: list[Any] = []
        """Elements that were left out, and pictures."""

    def text(self) -> str:
        """Return what was written so far."""
        return self._parts[0].joined()

    def walk(self, root: Any) -> None:
        """Write an element down."""
        ends: list[Callable[[], None]] = []
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "end":
                ends.pop()()
                text = element.tail if ends else None
            else:
                tag = names.tag_of(element)
                gone = bool(ends) and (tag in names.DROPPED or element in self._dropped)
                if gone:
                    self.skipped.append(element)
                if gone or self._whole(element, tag):
                    if tag not in names.INLINE and tag not in names.UNSEEN:
                        self._flush()
                    walk.skip_subtree()
                    ends.append(lambda: None)
                    continue
                ends.append(self._start(element, tag))
                text = element.text
            if text:
                self._line.add(text)
        self._flush()

    def _whole(self, element: Any, tag: str) -> bool:
        """Write down an element that is not walked into, and say whether it was one."""
        if tag == "textarea" and element.get("readonly") is None:
            return True
        if tag in ("pre", "textarea") or (tag in _LINES and _draws_code(element, tag)):
            self._flush()
            code = code_block(element)
            if code and self._in_cell():
                self._line.open(CODE)
                self._line.add(" ".join(code.split("\n")[1:-1]))
                self._line.close()
            else:
                self._add(code)
        elif tag == "math":
            self._line.add(formula(element))
        elif tag == "td" and "icon" in element.get("class", "").split():
            self._flush()
            if name := names.text_of(element) or pictured(element):
                self._add(f"**{name}**")
        else:
            return False
        return True

    def _start(self, element: Any, tag: str) -> Callable[[], None]:
        """Begin an element; return what to do at its end."""
        if tag in _MARKS:
            address = element.get("href", "") if tag == "a" else ""
            if address[:1] == "#" and _NOTE_MARK.search(" ".join(element.values())):
                address = NOTE
            self._line.open(_MARKS[tag], address)
            return self._line.close
        if tag in names.INLINE:
            return self._start_inline(element, tag)
        self._flush()
        classes = element.get("class", "")
        titles = tag in names.HEADINGS or (tag in ("p", "div") and names.is_label(classes))
        if self._boxes and titles:
            return self._marked("**")
        if names.is_box(classes):
            self._boxes += 1
            return partial(self._end_box, self._start_block(element, tag))
        return self._start_block(element, tag)

    def _start_inline(self, element: Any, tag: str) -> Callable[[], None]:
        if tag in ("br", "q"):
            self._line.add(BREAK if tag == "br" else '"')
        elif tag == "img" and _FORMULA_PICTURE.search(element.get("class", "")):
            self._line.add(element.get("alt", ""))
        elif tag == "img":
            self.skipped.append(element)
        return lambda: self._line.add('"') if tag == "q" else None

    def _start_block(self, element: Any, tag: str) -> Callable[[], None]:
        if tag in _ITEMS:
            self._parts.append(Part(tight=tag in ("li", "dd")))
            return self._start_item(element, tag)
        if tag in names.HEADINGS:
            self._level, self._line.plain = int(tag[1]), True
            return self._end_heading
        if tag in _LISTS:
            self._depth += 1
            start = element.get("start", "")
            first = int(start) if _NUMBER.fullmatch(start) else 1
            self._parts.append(Part(items=True, number=first if tag == "ol" else None))
            return self._end_list
        if tag == "table":
            self._tables.append(Table() if is_data(element) else None)
            return self._end_table
        table = self._tables[-1] if self._tables else None
        if table is not None and tag in ("td", "th"):
            self._parts.append(Part())
            return partial(self._end_cell, table, element)
        if table is not None and tag == "tr":
            table.row(element.getparent().tag == "tfoot")
        return self._flush

    def _start_item(self, element: Any, tag: str) -> Callable[[], None]:
        if tag == "li":
            above, value = self._parts[-2], element.get("value", "")
            if above.number is not None and _NUMBER.fullmatch(value):
                above.number = int(value)
            return self._end_li
        if tag == "dd":
            return self._end_dd
        if tag == "dt":
            signature = "sig" in element.get("class", "").split()
            return self._marked(CODE, self._end_dt) if signature else self._end_dt
        self._depth += 1
        return self._end_quote

    def _marked(self, mark: str, then: Callable[[], None] | None = None) -> Callable[[], None]:
        """Open a mark for a whole block; return what ends it."""
        self._line.open(mark)

        def end() -> None:
            self._flush()
            self._line.close()
            (then or self._flush)()

        return end

    def _end_box(self, end: Callable[[], None]) -> None:
        end()
        self._boxes -= 1

    def _end_heading(self) -> None:
        self._flush()
        self._level, self._line.plain = 0, False

    def _end_list(self) -> None:
        self._flush()
        part = self._parts.pop()
        part.close_terms()
        self._depth -= 1
        self._add(part.joined(), is_list=True)

    def _end_li(self) -> None:
        text, above = self._close().joined(), self._parts[-1]
        if text:
            marker = "- " if above.number is None else f"{above.number}. "
            above.add(marker + indented(text, self._width(len(marker))))
        if above.number is not None:
            above.number += 1

    def _end_dt(self) -> None:
        if text := self._close().joined():
            self._parts[-1].term(text)

    def _end_dd(self) -> None:
        part = self._close()
        if part.blocks:
            self._parts[-1].define(part.joined(), self._width(2))
        else:
            self._parts[-1].close_terms()  # the next definition is not theirs

    def _end_quote(self) -> None:
        text = self._close().joined()
        if text and self._depth <= DEEPEST:
            text = "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
        self._depth -= 1
        self._add(text)

    def _end_table(self) -> None:
        self._flush()
        table = self._tables.pop()
        if table is not None:
            self._add(table.markdown())

    def _end_cell(self, table: Table, cell: Any) -> None:
        table.cell(self._close().in_a_line() or pictured(cell), cell)

    def _close(self) -> Part:
        self._flush()
        return self._parts.pop()

    def _width(self, marker: int) -> int:
        return marker if self._depth <= DEEPEST else 0

    def _in_cell(self) -> bool:
        return bool(self._tables) and self._tables[-1] is not None

    def _flush(self) -> None:
        """End the block that the line holds."""
        text = self._line.take() if self._line.pieces else ""
        if not text:
            return
        if self._level and not self._in_cell():
            text = " ".join(text.split())
            # Inside an item it would end the section that the list is in.
            text = f"**{text}**" if len(self._parts) > 1 else f"{'#' * self._level} {text}"
        elif _OPENS_BLOCK.match(text):
            text = f"\\{text}"
        self._add(text)

    def _add(self, block: str, is_list: bool = False) -> None:
        if block:
            self._parts[-1].add(block, is_list)


def _draws_code(element: Any, tag: str) -> bool:
    inside = (line.get("class", "") for line in element.iter("div", "td"))
    return names.draws_lines(element.get("class", "")) and any(
        _LINES[tag] in each.split() for each in inside
    )
