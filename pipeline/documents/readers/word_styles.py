"""Styles of a Word file: code and headings get the names by which pandoc knows them.

Pandoc 3.9 takes a paragraph for a heading by the name of its style or of one that it is based on,
and for code by the name ``Source Code`` alone; it looks at no outline level and at no font.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

_CODE = "TuneloopCode"
_CODE_WORDS = "TuneloopCodeWords"
_HEADING = "TuneloopHeading"

_KNOWN = {
    _CODE: ("paragraph", "Source Code"),
    _CODE_WORDS: ("character", "Verbatim Char"),
    **{f"{_HEADING}{n}": ("paragraph", f"heading {n}") for n in range(1, 7)},
}

_CODE_NAME = re.compile(
    r"(?:source |program |inline )?(?:code|listing)(?: (?:block|box|example|listing|text|char))*"
    r"|(?:html )?preformatted(?: text)?|html (?:code|sample|keyboard|typewriter)|source text"
    r"|(?:macro|verbatim)(?: (?:text|char))*|(?:source|code|program)(?:code|block|listing)",
)
"""Names of Word, LibreOffice ("Preformatted Text", "Source Text"), pandoc, and of templates."""

_HEADING_NAME = re.compile(r"heading [1-9]|(?:sub)?title")

_MONOSPACED = re.compile(
    r"courier|consolas|menlo|monaco|\bmono\b|monospace|lucida console|inconsolata|typewriter"
    r"|\bcode\b|cascadia",
    re.IGNORECASE,
)

_LONGEST_HEADING = 200
"""Characters; whole paragraphs get an outline level by mistake."""

_MOST_BASES = 16
"""Styles that a style is based on, one on another: some are based on themselves."""


def tell_styles(root: Any, styles: Any) -> None:
    """Give code and headings of a document styles that pandoc knows, and add those.

    Args:
        root: Of ``word/document.xml``.
        styles: Of ``word/styles.xml``.
    """
    from lxml import etree

    known = _Styles(styles)
    paragraphs = {
        paragraph: [run for run in _runs(paragraph) if _text(run).strip()]
        for paragraph in root.iter(f"{WORD}p")
    }
    length = {run: len(_text(run)) for runs in paragraphs.values() for run in runs}
    mono = set(filter(known.mono, length))
    if 2 * sum(length[run] for run in mono) > sum(length.values()):
        mono = set()  # all of it is typewritten: the font tells nothing
    code = []
    for paragraph, runs in paragraphs.items():
        names = known.names(_style(paragraph, "p"))
        heading = any(map(_HEADING_NAME.fullmatch, names))
        fonts = bool(runs) and mono.issuperset(runs)
        if not heading and (any(map(_CODE_NAME.fullmatch, names)) or fonts):
            code.append(paragraph)
            continue
        for run in runs:
            style = known.names(_style(run, "r"))
            if any(map(_CODE_NAME.fullmatch, style)) or (run in mono and not heading):
                _set_style(run, "r", _CODE_WORDS)
        level = known.outline(paragraph)
        short = 0 < sum(length[run] for run in runs) <= _LONGEST_HEADING
        in_cell = next(paragraph.iterancestors(f"{WORD}tc"), None) is not None
        if not heading and level < 9 and short and not in_cell:
            _set_style(paragraph, "p", f"{_HEADING}{min(level + 1, 6)}")
    _join_code(code)
    for key, (kind, name) in _KNOWN.items():
        style = etree.SubElement(styles, f"{WORD}style")
        style.set(f"{WORD}type", kind)
        style.set(f"{WORD}styleId", key)
        etree.SubElement(style, f"{WORD}name").set(f"{WORD}val", name)


class _Styles:
    """The styles of a Word file by their ids."""

    def __init__(self, styles: Any) -> None:
        self._known = {style.get(f"{WORD}styleId"): style for style in styles.iter(f"{WORD}style")}
        self.chain, self.names = cache(self._chain), cache(self._named)

    def _chain(self, key: str) -> list[Any]:
        """Return a style and those that it is based on."""
        chain: list[Any] = []
        style = self._known.get(key)
        while style is not None and len(chain) < _MOST_BASES:
            chain.append(style)
            style = self._known.get(_value(style, "basedOn"))
        return chain

    def _named(self, key: str) -> list[str]:
        """Return the names of a style and of those that it is based on, in lower case."""
        names = (_value(style, "name") for style in self.chain(key))
        return [re.sub(r"[\s_-]+", " ", name).lower() for name in names]

    def mono(self, run: Any) -> bool:
        """Tell whether a run is in a font whose letters are of one width."""
        paragraph = next(run.iterancestors(f"{WORD}p"))
        chains = (self.chain(_style(run, "r")), self.chain(_style(paragraph, "p")))
        for part in (run, *(style for chain in chains for style in chain)):
            font = part.find(f"{WORD}rPr/{WORD}rFonts")
            if font is not None and font.get(f"{WORD}ascii"):
                return _MONOSPACED.search(font.get(f"{WORD}ascii")) is not None
        return False

    def outline(self, paragraph: Any) -> int:
        """Return the outline level of a paragraph from 0; 9 is that of text."""
        for part in (paragraph, *self.chain(_style(paragraph, "p"))):
            level = _value(part, f"pPr/{WORD}outlineLvl")
            if level.isdecimal():
                return int(level)
        return 9


def _join_code(code: list[Any]) -> None:
    """Give paragraphs the style of code, and the blank ones between them."""
    found = set(code)
    for paragraph in code:
        _set_style(paragraph, "p", _CODE)
        blank: list[Any] = []
        for other in paragraph.itersiblings():
            if other in found:
                for between in blank:
                    _set_style(between, "p", _CODE)
            if other.tag != f"{WORD}p" or other in found or "".join(other.itertext()).strip():
                break
            blank.append(other)


def _runs(paragraph: Any) -> Iterator[Any]:
    """Yield the runs of a paragraph, but those of a text box in it."""
    for run in paragraph.iter(f"{WORD}r"):
        if next(run.iterancestors(f"{WORD}p")) is paragraph:
            yield run


def _text(run: Any) -> str:
    return "".join(text.text or "" for text in run.iterfind(f"{WORD}t"))


def _value(part: Any, path: str) -> str:
    child = part.find(f"{WORD}{path}")
    return "" if child is None else child.get(f"{WORD}val", "")


def _style(part: Any, kind: str) -> str:
    """Return the id of the style of a paragraph (``p``) or run (``r``)."""
    return _value(part, f"{kind}Pr/{WORD}{kind}Style")


def _set_style(part: Any, kind: str, key: str) -> None:
    properties = part.find(f"{WORD}{kind}Pr")
    if properties is None:
        properties = part.makeelement(f"{WORD}{kind}Pr")
        part.insert(0, properties)
    style = properties.find(f"{WORD}{kind}Style")
    if style is None:
        style = part.makeelement(f"{WORD}{kind}Style")
        properties.insert(0, style)
    style.set(f"{WORD}val", key)
