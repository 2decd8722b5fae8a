"""The text of one block in the making, with its emphasis, code and links."""

import re
from typing import NamedTuple

BREAK = "\0"
"""Stands for a line break, since all other white space is one space; no page holds it."""

CODE, LINK, RAISED = "`", "[", "^"
"""Kinds of mark, beside ``*`` and ``**``."""

_POWER = re.compile(r"[-\u2212+]?\d{1,4}|[a-z]")
"""What is raised after a number or name so that 10 to the 6th does not become 106."""

_JOINED = 1000
"""Characters of code up to which more is joined to it: each time copies it."""

_BREAKS = re.compile(rf"\s*{BREAK}\s*")


class _Mark(NamedTuple):
    kind: str
    """Empty for one that is not written."""
    start: int
    """Place of its first piece."""
    address: str


class Line:
    """Collects pieces of text; marks nest as their elements do."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._marks: list[_Mark] = []
        self._closed = ("", "")
        """The last mark that was closed: its kind and what it became."""
        self.plain = False
        """Whether emphasis is left out, as in headings."""

    def add(self, text: str) -> None:
        """Add text as it stands in the page."""
        self._pieces.append(text)

    def open(self, kind: str, address: str = "") -> None:
        """Begin emphasis (``*``, ``**``), code, a link or raised text; close it once."""
        for mark in self._marks:
            if mark.kind == CODE or mark.kind == kind:
                kind = ""
        if self.plain and kind in ("*", "**"):
            kind = ""
        self._marks.append(_Mark(kind, len(self._pieces), address))

    def close(self) -> None:
        """End what was opened last."""
        self._wrap(self._marks.pop())

    def take(self) -> str:
        """Return the block and begin the next one, in which the open marks go on."""
        if not self._pieces:
            return ""
        if self._marks:
            for mark in reversed(self._marks):
                self._wrap(mark)
            self._marks = [mark._replace(start=0) for mark in self._marks]
        text = "".join(self._pieces)
        self._pieces.clear()
        if BREAK not in text:
            return " ".join(text.split())
        lines = [" ".join(line.split()) for line in text.split(BREAK)]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")

    def _wrap(self, mark: _Mark) -> None:
        if not mark.kind or mark.start >= len(self._pieces):
            return
        inner = "".join(self._pieces[mark.start :])
        del self._pieces[mark.start :]
        text = inner.strip(" \t\r\n\f" + BREAK)
        if not text:
            self._pieces.append(inner)
            return
        at = inner.index(text)
        before, after = inner[:at], inner[at + len(text) :]
        if mark.kind == CODE:
            text = _code(text)
        elif mark.kind == LINK:
            text = _link(text, mark.address)
        elif mark.kind == RAISED:
            base = self._pieces[-1][-1:] if self._pieces else ""
            text = f"^{text}" if base.isalnum() and _POWER.fullmatch(text) else text
        elif not (text[0] == text[-1] == "`" and text.count("`") == 2):
            text = f"{mark.kind}{text}{mark.kind}"  # code alone needs no emphasis
        before_kind, before_text = self._closed
        if (
            mark.kind in (CODE, "*", "**")
            and not before
            and before_kind == mark.kind
            and self._pieces
            and self._pieces[-1] is before_text
            and len(before_text) <= _JOINED
            and text.startswith(mark.kind)
        ):
            # Two in a row: "`a``b`" would be read as one with a doubled mark in it.
            text = self._pieces.pop()[: -len(mark.kind)] + text[len(mark.kind) :]
        if before:
            self._pieces.append(before)
        self._pieces.append(text)
        self._closed = mark.kind, text
        if after:
            self._pieces.append(after)


def _code(text: str) -> str:
    text = " ".join(text.split())
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (1 + max(map(len, re.findall("`+", text))))
    space = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{space}{text}{space}{fence}"


def _link(text: str, address: str) -> str:
    address = address.strip()
    scheme = address.partition(":")[0].lower()
    elsewhere = scheme in ("http", "https")
    if not address or address[0] == "#" or (not elsewhere and scheme in ("javascript", "mailto")):
        return text
    if text == address or (not elsewhere and re.search(r"[\[\]]", text)):
        return text  # a relative link is taken out later, by a pattern without nested brackets
    for mark, code in ((" ", "%20"), ("(", "%28"), (")", "%29"), ("\n", ""), ("\t", "")):
        address = address.replace(mark, code)
    return f"[{_BREAKS.sub(' ', text)}]({address})"
