"""Elements that are written as a whole: code, fenced, and formulas, as TeX or as signs in a row."""

import re
from itertools import islice
from typing import Any

from lxml import etree

from pipeline.documents.clean.web.names import DROPPED, INLINE, UNSEEN, code_language, is_mark
from pipeline.text.exponents import lowered, raised, settled
from pipeline.text.fences import block_of

_ABOVE = 3
"""Elements around a block of code that may name its language, as Sphinx's and GitHub's do."""
_HEIGHTS = {"msup": ("", "+"), "msub": ("", "-"), "msubsup": ("", "-", "+")}
"""Formulas of MathML in which the second part and the third are raised (``+``) or lowered."""
_DEEPEST_FORMULA = 100


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


def formula(element: Any) -> str:
    """Return a formula as text: ``math``, or the ``script`` of MathJax 2, which holds TeX."""
    if element.tag == "script":
        mark = "$$" if "mode=display" in (element.get("type") or "") else "$"
        return f"{mark}{(element.text or '').strip()}{mark}"
    tex = element.get("alttext") or next(
        (
            "".join(note.itertext())
            for note in element.iter("annotation")
            if "tex" in (note.get("encoding") or "")
        ),
        "",
    )
    mark = "$$" if element.get("display") == "block" else "$"
    return f"{mark}{tex.strip()}{mark}" if tex.strip() else settled(_flat(element))


def _flat(element: Any, depth: int = 0) -> str:
    """Return a formula as text in which powers, indices, roots and fractions are told."""
    if depth > _DEEPEST_FORMULA:
        return "".join(element.itertext())
    if element.tag == "mfrac" and len(element) == 2:
        return "/".join(_held_together(_flat(part, depth + 1)) for part in element)
    if element.tag == "msqrt":
        return "\u221a" + _held_together("".join(_flat(part, depth + 1) for part in element))
    if element.tag == "mroot" and len(element) == 2:
        root, degree = (_held_together(_flat(part, depth + 1)) for part in element)
        return f"{root}^(1/{degree})"
    heights = _HEIGHTS.get(element.tag)
    text = element.text or "" if heights is None else ""
    for place, child in enumerate(element):
        inside = _flat(child, depth + 1)
        if heights is None:
            text += inside + (child.tail or "")
        elif not text or place >= len(heights) or not inside.strip():
            text += inside.strip()
        else:
            text += (raised if heights[place] == "+" else lowered)(text[-2:], inside.strip())
    return text


def _held_together(text: str) -> str:
    """Return a part of a formula in brackets, unless it is one number or name."""
    text = text.strip()
    return text if text.isalnum() else f"({text})"
