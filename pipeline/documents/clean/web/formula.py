"""Formulas of MathML and of MathJax 2: their TeX where it is there, else their signs in a row."""

from typing import Any

from pipeline.text.exponents import lowered, raised, settled

_HEIGHTS = {"msup": ("", "+"), "msub": ("", "-"), "msubsup": ("", "-", "+")}
"""Formulas of MathML in which the second part and the third are raised (``+``) or lowered."""
_DEEPEST_FORMULA = 100


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
