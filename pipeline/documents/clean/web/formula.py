"""Formulas of MathML: their TeX where it is beside them, else their signs in a row."""

from typing import Any

from pipeline.text.exponents import lowered, raised, settled

_HEIGHTS = {"msup": ("", "+"), "msub": ("", "-"), "msubsup": ("", "-", "+")}
"""Formulas of MathML in which the second part and the third are raised (``+``) or lowered."""
_DEEPEST_FORMULA = 100


def formula(element: Any) -> str:
    """Return a formula as text."""
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
    """Return a formula as text in which powers and indices are told, unlike roots and fractions."""
    if depth > _DEEPEST_FORMULA:
        return "".join(element.itertext())
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
