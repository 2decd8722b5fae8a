"""Blocks of code: their lines as they are, fenced, with the language that the page names."""

import re
from itertools import islice
from typing import Any

from lxml import etree

from pipeline.documents.clean.web.names import DROPPED, INLINE, UNSEEN, code_language, is_mark
from pipeline.text.exponents import lowered, raised, settled
from pipeline.text.fences import block_of

_ABOVE = 3
"""Elements around a block of code that may name its language, as Sphinx's and GitHub's do."""


def code_block(pre: Any) -> str:
    """Return a ``pre`` element as fenced code; empty when it has no text."""
    content = _content(pre).replace("\r\n", "\n").replace("\r", "\n").strip("\n").rstrip()
    return block_of(content, _language(pre)) if content else ""


def _content(pre: Any) -> str:
    if not len(pre):
        return str(pre.text or "")
    pieces: list[str] = []

    def end_line() -> None:
        if pieces and not pieces[-1].endswith("\n"):
            pieces.append("\n")

    walk = etree.iterwalk(pre, events=("start", "end"))
    for event, element in walk:
        block = element.tag not in INLINE and element.tag not in UNSEEN and element is not pre
        if block:
            end_line()  # some highlighters write each line as an element
        if event == "start":
            names = element.get("class") or ""
            if element.tag in DROPPED or (names and is_mark(names)):
                walk.skip_subtree()
                continue
            if element.tag in ("sup", "sub"):
                walk.skip_subtree()
                change = raised if element.tag == "sup" else lowered
                inside = "".join(element.itertext()).strip()
                pieces.append(change("".join(pieces[-5:]), inside) if inside else "")
                continue
            text = {"br": "\n", "img": element.get("alt") or ""}.get(element.tag, element.text)
        else:
            text = element.tail if element is not pre else ""
        if text:
            pieces.append(text)
    return settled("".join(pieces))


def _language(pre: Any) -> str:
    elements = [*islice(pre.iterchildren("code"), 1), pre, *pre.iterancestors()]
    for element in elements[: _ABOVE + 2]:
        named = element.get("data-lang") or element.get("data-language") or ""
        if named and re.fullmatch(r"[\w+#.-]{1,30}", named):
            return str(named)
        # The latter is Confluence's: "brush: yaml; gutter: false".
        names = [element.get(each) or "" for each in ("class", "data-syntaxhighlighter-params")]
        language = code_language(" ".join(names).strip())
        if language:
            return language
    return ""
