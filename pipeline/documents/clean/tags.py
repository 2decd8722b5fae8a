"""HTML inside Markdown, as READMEs and wikis have it: what a reader sees of it, as Markdown."""

import re

from lxml.html import defs

from pipeline.documents.clean.web.page import fragment
from pipeline.documents.left_out import leave_out
from pipeline.text.exponents import written_out
from pipeline.text.fences import Split, span_of
from pipeline.text.markdown import parse_blocks

_NAMES = defs.tags | {"main", "picture"}
_VOID = frozenset(("hr", "img", "input", "source", "wbr"))
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)((?:\s[^<>`]*)?)/?>")
_MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*", "del": "~~", "s": "~~", "strike": "~~"}
_MARKED = re.compile(
    rf"<({'|'.join(_MARKS)})(?:\s[^<>`]*)?>\s*([^<>\s](?:[^<>\n]|\n(?!\n)){{0,500}}?)\s*</\1\s*>",
    re.I,
)
_LINK = re.compile(
    r"""<a\s[^<>`]*?\bhref\s*=\s*["']?(https?://[^\s"'<>()`]+)[^<>`]*>([^<>\n]+)</a\s*>""", re.I
)
_BREAK = re.compile(r"[ \t]{0,9}<br\s*/?>[ \t]*", re.I)
_LAST_BREAK = re.compile(rf"{_BREAK.pattern}$", re.I)
_PICTURE = re.compile(r"<img\b[^<>`]*>", re.I)
HTML = re.compile(
    r"\s*<(?:!doctype html|html|body|div|p|span|h[1-6]|[uo]l|table|section|article|blockquote)"
    r"(?:\s[^<>]*)?>(?=.*</)",
    re.I | re.S,
)
"""Begins a text that is HTML: an element that holds text."""
_OF_LINES = re.compile(r"\s*<(?:!--|pre|script|style|textarea)\b", re.I)


def without_tags(text: str) -> str:
    """Return a Markdown text with its HTML as Markdown: tables, headings, emphasis, links, breaks.

    Other tags go, and pictures with them. Code stays, and so does what only looks like a tag.
    """
    if not any(tag[1].lower() in _NAMES for tag in _TAG.finditer(text)):
        return text
    closed = {tag[1].lower() for tag in _TAG.finditer(text) if tag[0][1] == "/"} & _NAMES
    split = Split(_without_blocks(text, closed))
    split.change(lambda prose: _plain(prose, closed))
    split.change_code(_as_span)
    return split.text()


def _is_markup(tag: re.Match[str] | None, closed: set[str]) -> bool:
    """Whether a tag is HTML; a name alone that nothing closes may be what a text speaks of."""
    name = tag[1].lower() if tag else ""
    return name in _VOID or name in closed or bool(tag and tag[2].strip() and name in _NAMES)


def _without_blocks(text: str, closed: set[str]) -> str:
    """Return a text with its blocks of HTML (CommonMark 4.6) as Markdown."""
    begins = [0, *(line.end() for line in re.finditer("\n", text)), len(text)]
    pieces, at = [], 0
    for token in parse_blocks(text):
        if token.type == "html_block" and token.map is not None and not token.level:
            start, end = (begins[min(line, len(begins) - 1)] for line in token.map)
            known = _is_markup(_TAG.match(text[start:end].lstrip()), closed)
            if start >= at and known and not _OF_LINES.match(text, start):
                pieces += [text[at:start], fragment(text[start:end]), "\n\n"]
                at = end
    return "".join([*pieces, text[at:]])


def _plain(prose: str, closed: set[str]) -> str:
    """Return prose with its tags as marks, or without them."""
    leave_out("pictures", len(_PICTURE.findall(prose)))
    prose = _PICTURE.sub("", written_out(prose))
    for _ in range(3):  # marks in marks
        prose = _MARKED.sub(
            lambda tag: f"{_MARKS[tag[1].lower()]}{tag[2]}{_MARKS[tag[1].lower()]}", prose
        )
    # A row of a table has no other way to break a line.
    lines = (
        line if line.lstrip(" \t>")[:1] == "|" else _BREAK.sub("\n", _LAST_BREAK.sub("", line))
        for line in _LINK.sub(r"[\2](\1)", prose).split("\n")
    )
    return _TAG.sub(lambda tag: "" if _is_markup(tag, closed) else tag[0], "\n".join(lines))


def _as_span(code: str) -> str:
    """Return an element of code as a code span; a code span as it is."""
    if code[0] != "<" or code.startswith("<!--"):
        return code
    text = code[code.index(">") + 1 : code.rindex("</")]
    return span_of(text) if text.strip() else ""
