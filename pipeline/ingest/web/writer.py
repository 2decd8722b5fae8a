"""Writes the content of a page down as Markdown, in one walk over its elements."""

import re
from collections.abc import Callable
from typing import Any

from lxml import etree

from pipeline.ingest.web.frame import Frame
from pipeline.ingest.web.line import BREAK, CODE, LINK, RAISED, Line
from pipeline.ingest.web.names import HEADINGS, INLINE, is_box, is_label
from pipeline.ingest.web.parts import Part, indented
from pipeline.ingest.web.pre import code_block
from pipeline.ingest.web.tables import Table, is_data

DEEPEST = 6
"""Lists and quotes inside one another that are indented; deeper ones stay at this level, since
each level copies the text below it."""

_MARKS = (
    {tag: CODE for tag in ("code", "tt", "kbd", "samp")}
    | {tag: "**" for tag in ("b", "strong")}
    | {tag: "*" for tag in ("em", "i", "var", "cite")}
    | {"a": LINK, "sup": RAISED}
)
_PLAIN = frozenset(("p", "div", "section", "tbody"))
"""The most frequent blocks, about which there is nothing more to know."""
_WHOLE = frozenset(("pre", "math", "td"))
"""Elements that may be written down without a walk into them."""
_TEXTS = {"br": BREAK, "q": '"'}
_LISTS = frozenset(("ul", "ol", "menu", "dir", "dl"))
_OPENS_BLOCK = re.compile(r"#{1,6}(?:\s|$)|`{3}|~{3}")
"""What would make a heading or code of a paragraph."""
_FORMULA_PICTURE = re.compile(r"math|latex|\btex\b|callout|conum", re.IGNORECASE)


class Writer:
    """The Markdown of one page in the making."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._line = Line()
        self._parts = [Part()]
        self._level = 0
        """Of the heading that is open."""
        self._depth = 0
        """Lists and quotes that are open."""
        self._tables: list[Table | None] = []
        """Tables that are open; None for one that is unfolded."""
        self._boxes = 0

    def text(self) -> str:
        """Return what was written so far."""
        return self._parts[0].joined()

    def walk(self, root: Any) -> None:
        """Write an element down."""
        add = self._line.add
        drops = self._frame.drops
        ends: list[Callable[[], None] | None] = []
        skipped = False
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "start":
                tag = element.tag
                skipped = element is not root and drops(element)
                if not skipped and tag in _WHOLE:
                    skipped = self._whole(element)
                if skipped:
                    if tag not in INLINE:
                        self._flush()
                    walk.skip_subtree()
                    continue
                ends.append(self._start(tag, element))
                text = element.text
            else:
                end = None if skipped else ends.pop()
                if end is not None:
                    end()
                skipped = False
                text = element.tail
            if text and not (element is root and event == "end"):
                add(text)
        self._flush()

    def _whole(self, element: Any) -> bool:
        """Write down an element that is not walked into, and say whether it was one."""
        if element.tag == "pre":
            self._flush()
            code = code_block(element)
            if code and self._in_cell():
                self._line.open(CODE)
                self._line.add(" ".join(code.split("\n")[1:-1]))
                self._line.close()
            elif code:
                self._add(code)
        elif element.tag == "math":
            self._line.add(_formula(element))
        elif element.tag == "td" and "icon" in (element.get("class") or "").split():
            self._flush()
            label = _label(element)
            if label:
                self._add(f"**{label}**")
        else:
            return False
        return True

    def _start(self, tag: str, element: Any) -> Callable[[], None] | None:
        """Begin an element; return what to do at its end."""
        if tag in INLINE:
            return self._start_inline(tag, element)
        self._flush()
        names = element.get("class") or ""
        if self._boxes and (tag in HEADINGS or (tag in ("p", "div") and is_label(names))):
            return self._marked("**")
        if names and is_box(names):
            self._boxes += 1
            end = self._start_block(tag, element)
            return lambda: self._end_box(end)
        return self._start_block(tag, element)

    def _start_inline(self, tag: str, element: Any) -> Callable[[], None] | None:
        mark = _MARKS.get(tag)
        if mark is not None:
            self._line.open(mark, element.get("href") or "" if mark == LINK else "")
            return self._line.close
        if tag in _TEXTS:
            self._line.add(_TEXTS[tag])
            return lambda: self._line.add('"') if tag == "q" else None
        if tag == "img" and _FORMULA_PICTURE.search(element.get("class") or ""):
            self._line.add(element.get("alt") or "")
        return None

    def _start_block(self, tag: str, element: Any) -> Callable[[], None]:
        if tag in _PLAIN:
            return self._flush
        if tag in HEADINGS:
            self._level, self._line.plain = int(tag[1]), True
            return self._end_heading
        if tag in _LISTS:
            self._depth += 1
            start = element.get("start") or ""
            first = int(start) if re.fullmatch(r"\d{1,9}", start) else 1
            self._parts.append(Part(items=True, number=first if tag == "ol" else None))
            return self._end_list
        if tag in ("li", "dd", "dt", "blockquote"):
            self._depth += tag == "blockquote"
            self._parts.append(Part(tight=tag in ("li", "dd")))
            if tag == "dt" and "sig" in (element.get("class") or "").split():
                return self._marked(CODE, self._end_dt)
            return {
                "li": self._end_li,
                "dd": self._end_dd,
                "dt": self._end_dt,
                "blockquote": self._end_quote,
            }[tag]
        if tag == "table":
            self._tables.append(Table() if is_data(element) else None)
            return self._end_table
        table = self._tables[-1] if self._tables else None
        if table is not None and tag == "tr":
            table.row()
        elif table is not None and tag in ("td", "th"):
            self._parts.append(Part())
            return lambda: self._end_cell(table, element)
        return self._flush

    def _marked(self, mark: str, then: Callable[[], None] | None = None) -> Callable[[], None]:
        """Open a mark for a whole block; return what ends it."""
        self._line.open(mark)

        def end() -> None:
            self._flush()
            self._line.close()
            if then is not None:
                then()

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
        part = self._close()
        text, above = part.joined(), self._parts[-1]
        if text:
            marker = "- " if above.number is None else f"{above.number}. "
            above.add(marker + indented(text, self._width(len(marker))))
        if above.number is not None:
            above.number += 1

    def _end_dt(self) -> None:
        part = self._close()
        text, above = part.joined(), self._parts[-1]
        if text:
            above.term(text)

    def _end_dd(self) -> None:
        part = self._close()
        if part.blocks:
            self._parts[-1].define(part.joined(), self._width(2))

    def _end_quote(self) -> None:
        part = self._close()
        text = part.joined()
        if text and self._depth <= DEEPEST:
            text = "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
        self._depth -= 1
        self._add(text)

    def _end_table(self) -> None:
        self._flush()
        table = self._tables.pop()
        if table is not None:
            self._add(table.markdown())

    def _end_cell(self, table: Table, element: Any) -> None:
        part = self._close()
        table.cell(part.in_a_line(), element)

    def _close(self) -> Part:
        self._flush()
        return self._parts.pop()

    def _width(self, marker: int) -> int:
        return marker if self._depth <= DEEPEST else 0

    def _in_cell(self) -> bool:
        return bool(self._tables) and self._tables[-1] is not None

    def _flush(self) -> None:
        """End the block that the line holds."""
        text = self._line.take()
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


def _formula(element: Any) -> str:
    tex = element.get("alttext") or next(
        (
            "".join(note.itertext())
            for note in element.iter("annotation")
            if "tex" in (note.get("encoding") or "")
        ),
        "",
    )
    return f"${tex.strip()}$" if tex.strip() else "".join(element.itertext())


def _label(element: Any) -> str:
    text = " ".join("".join(element.itertext()).split())
    pictures = (child.get("alt") or child.get("title") or "" for child in element.iter("img", "i"))
    return text or next(filter(None, pictures), "")
