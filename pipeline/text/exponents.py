"""Superscripts and subscripts in plain text: ``10^6``, ``2^(n+1)``, ``x_i``; ``10_2`` is no 102."""

import re

_OPEN, _CLOSE = "\2", "\3"
"""Around what needs brackets only when letters or digits follow: ``2^n``, ``2^(n)m``."""
_SIMPLE = re.compile(r"[-\u2212\u2013+]?(?:\d+(?:[.,]\d+)?|[^\W\d_])")
_BASE = re.compile(r"(?:[^\W_]|[)\]}|`*\u2032'])\Z|[\d)]\s+\Z")
"""What is raised or lowered stands behind it; some pages set a space between."""
_NOTE = re.compile(r"\d{1,3}(?:\s*[,\u2013-]\s*\d{1,3})*")
_NOTED = re.compile(r"(?:[^\W\d_]{4,}(?:`|\*\*)?|[.,;:!?\"\u201d])\Z")
"""Behind words and stops, a number is the mark of a note; variables and units are shorter."""
_ORDINALS = frozenset(("st", "nd", "rd", "th", "er", "re", "\u00e8re", "nde", "\u00e8me", "eme"))
_LOGO = (("T", "E"), ("L", "A"))
"""How TeX and LaTeX are written."""
_INSIDE = f"[^{_OPEN}{_CLOSE}]*"
_UNSETTLED = re.compile(
    rf"{_OPEN}({_INSIDE}\d){_CLOSE}(?=\d)|{_OPEN}({_INSIDE}[^\W\d_]){_CLOSE}(?=[^\W_])"
)
_FRACTION = re.compile(rf"\^{_OPEN}(\d+){_CLOSE}(?=\u2044)")
"""Not an exponent: the numerator of two and a half."""
_ELEMENT = re.compile(r"<(sup|sub)\b[^<>]{0,500}>(.{0,1000}?)</\1\s*>", re.IGNORECASE | re.DOTALL)
_INLINE = re.compile(
    r"</?(?:a|b|code|em|i|s|span|strong|sub|sup|u|var)\b[^<>]{0,500}>", re.IGNORECASE
)
_TAG = re.compile(r"<[^<>]{0,500}>")
_CONTEXT = 200
"""Characters of HTML that are looked at before an element."""


def raised(before: str, text: str) -> str:
    """Return raised text so that it is told from what stands before it.

    An exponent gets ``^``, and brackets when it is more than a number or a letter; the number of a
    note square brackets; an ordinal (``3rd``) and a trade mark stay as they are. The text is
    stripped; :func:`settled` finishes it with all of its line.
    """
    before = before.rstrip(_CLOSE)
    ordinal = before[-1:].isdigit() and text.lower() in _ORDINALS
    name = (before[-1:], text) in _LOGO or text in ("TM", "SM")
    if ordinal or name or text[0] == "[" or not any(map(str.isalnum, text)):
        return text
    if _NOTE.fullmatch(text) and _NOTED.search(before):
        return f"[{text}]"
    return f"^{_held(text)}" if _BASE.search(before) else text


def lowered(before: str, text: str) -> str:
    """Return lowered text; the digits of ``H2O`` and ``x1`` stay as they are."""
    before = before.rstrip(_CLOSE)
    counts = before[-1:].isalpha() and text.isdigit()
    plain = counts or (before[-1:], text) in _LOGO or not _BASE.search(before)
    return text if plain else f"_{_held(text)}"


def settled(text: str) -> str:
    """Return a text with its raised and lowered parts finished."""
    if _OPEN in text:
        text = _FRACTION.sub(r" \1", text)
        text = _UNSETTLED.sub(r"(\1\2)", text).replace(_OPEN, "").replace(_CLOSE, "")
    return text


def written_out(html: str) -> str:
    """Return a piece of HTML with its raised and lowered elements as text, but links in them."""

    def write(found: re.Match[str]) -> str:
        text = _TAG.sub("", found[2]).strip()
        if not text or "<a" in found[2]:
            return found[0]
        before = html[max(0, found.start() - _CONTEXT) : found.start()]
        before = _TAG.sub("\0", _INLINE.sub("", before))  # of another block nothing is looked at
        return (raised if found[1].lower() == "sup" else lowered)(before, text)

    return settled(_ELEMENT.sub(write, html))


def _held(text: str) -> str:
    text = settled(text)
    if _SIMPLE.fullmatch(text):
        return f"{_OPEN}{text}{_CLOSE}"
    whole = text[0] == "(" and text.find(")") == len(text) - 1
    return text if whole else f"({text})"
