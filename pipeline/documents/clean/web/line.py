"""The text of one block in the making, with its emphasis, code and links."""

import re

from pipeline.text.exponents import lowered, raised, settled
from pipeline.text.fences import span_of

BREAK = "\0"
"""Stands for a line break, since all other white space is one space; no page holds it."""
CODE, LINK, RAISED, LOWERED, STRUCK = "`", "[", "^", "_", "~~"
"""Kinds of mark, beside ``*`` and ``**``."""
NOTE = "#note"
"""Address of a link whose text is the mark of a note, whatever its own is."""
_HEIGHTS = (RAISED, LOWERED)
_ANCHORS = ("\u00b6", "#", "\u00a7", "\U0001f517", "\u21a9", "\u21b5", "\u2191", "^")
"""Texts of a link to the place where it stands, or from a note back to its mark."""
_TICK = "\1"
"""Stands for a back-tick that is text, up to the end of its block."""
_JOINED = 1000
"""Characters of code up to which more is joined to it: each time copies it."""
_UNDERLINE = re.compile(r"\A(?:=+|-+)\Z")
"""A line that would make a heading of the one above it."""
_ESCAPED = str.maketrans({" ": "%20", "(": "%28", ")": "%29", "\n": "", "\t": ""})
_AROUND = " \t\r\n\f" + BREAK
"""White space of HTML, which marks leave outside."""


class Line:
    """Collects pieces of text; marks nest as their elements do."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        """Of the block; none as long as it has no text."""
        self._marks: list[tuple[str, int, str]] = []
        """Kind, empty for one that is not written; place of the first piece; address."""
        self._closed = ("", "")
        """The last mark that was closed: its kind and what it became."""
        self.plain = False
        """Whether emphasis is left out, as in headings."""

    def add(self, text: str) -> None:
        """Add text as it stands in the page."""
        if ("`" in text or "](" in text) and not self._inside(CODE):
            text = text.replace("`", _TICK).replace("](", "]\\(")  # what a page says is no link
        if self.pieces or self._marks or not text.isspace():
            self.pieces.append(text)

    def open(self, kind: str, address: str = "") -> None:
        """Open an inline span: emphasis, code, a link, raised or lowered text; close each once."""
        emphasis = kind in ("*", "**")
        doubled = kind not in _HEIGHTS and self._inside(CODE, kind)
        if doubled or (emphasis and (self.plain or self._inside(*_HEIGHTS))):
            kind = ""
        self._marks.append((kind, len(self.pieces), address))

    def _inside(self, *kinds: str) -> bool:
        return any(kind in kinds for kind, _, _ in self._marks)

    def close(self) -> None:
        """End what was opened last."""
        kind, start, address = self._marks.pop()
        if kind and start < len(self.pieces):
            self._wrap(kind, start, address)

    def take(self) -> str:
        """Return the block and begin the next one, in which the open marks go on."""
        marks = [(kind, 0, address) for kind, _, address in self._marks]
        while self._marks:
            self.close()
        self._marks = marks
        text = settled("".join(self.pieces))
        self.pieces.clear()
        if _TICK in text:  # one that could be taken for the mark of code is escaped
            text = text.replace(_TICK, "\\`" if "`" in text else "`")
        lines = [" ".join(line.split()) for line in text.split(BREAK)]
        lines[1:] = [_UNDERLINE.sub(r"\\\g<0>", line) for line in lines[1:]]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")

    def _wrap(self, kind: str, start: int, address: str) -> None:
        pieces = self.pieces
        inner = "".join(pieces[start:])
        del pieces[start:]
        text = inner.strip(_AROUND)
        if not text:
            pieces.append(inner)
            return
        before, _, after = inner.partition(text)
        if kind == CODE:
            text = span_of(" ".join(text.split()))
        elif kind == LINK:
            if address[:1] == "#" and text.rstrip("\ufe0e\ufe0f") in _ANCHORS:
                return
            raised_mark = address[:1] == "#" and self._inside(RAISED)
            note = text.isalnum() and (raised_mark or address == NOTE)
            text = f"[{text}]" if note else _link(text, address)
        elif kind == RAISED:
            note = any(mark == LINK and to[:1] == "#" for mark, _, to in self._marks)
            text = f"[{text}]" if note and text.isalnum() else raised("".join(pieces[-5:]), text)
        elif kind == LOWERED:
            text = lowered("".join(pieces[-5:]), text)
        elif kind == STRUCK or not (text[0] == text[-1] == "`" and text.count("`") == 2):
            text = f"{kind}{text}{kind}"  # code alone needs no emphasis
        before_kind, before_text = self._closed
        if (
            before_kind == kind
            and kind in (CODE, "*", "**")
            and not before
            and pieces
            and pieces[-1] is before_text
            and len(before_text) <= _JOINED
            and text.startswith(kind)
        ):
            # Two in a row: "`a``b`" would be read as one with a doubled mark in it.
            text = pieces.pop()[: -len(kind)] + text[len(kind) :]
        pieces += [piece for piece in (before, text, after) if piece]
        self._closed = kind, text


def _link(text: str, address: str) -> str:
    address = address.strip()
    if not address or address[0] == "#" or text == address:
        return text
    scheme = address.partition(":")[0].lower()
    if scheme not in ("http", "https") and (
        scheme in ("javascript", "mailto") or "[" in text or "]" in text
    ):
        return text  # a relative link is taken out later, by a pattern without nested brackets
    address = address.translate(_ESCAPED)
    if BREAK in text:
        first, *inner, last = text.split(BREAK)
        text = " ".join([first.rstrip(), *map(str.strip, inner), last.lstrip()])
    return f"[{text}]({address})"
