"""Word and OpenDocument texts by pandoc.

Pandoc 3.9 takes a paragraph of Word for a heading by the name of its style or of one that it is
based on, and for code by the name ``Source Code`` alone; it looks at no outline level and at no
font. So styles get the names that it knows, and what it would leave out goes into other elements.
"""

import io
import re
import zipfile
from typing import Any

from pipeline.documents.readers.office import opened_office, part_of
from pipeline.documents.readers.pandoc import document, markdown
from pipeline.documents.readers.reading import Reading

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXT = "word/document.xml"
_STYLES = "word/styles.xml"
_CHOICE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_MOST_COLUMNS = 63  # of a table in Word
_CODE, _CODE_WORDS, _HEADING = "TuneloopCode", "TuneloopCodeWords", "TuneloopHeading"
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
_LONGEST_HEADING = 200  # characters; whole paragraphs get an outline level by mistake
_MOST_BASES = 16  # styles that a style is based on, one on another: some are based on themselves


def read(data: bytes) -> Reading:
    """Read a Word file, named by its first heading; raises as :mod:`.office` does."""
    with opened_office(data, "docx") as archive:
        data = _told_to_pandoc(archive) or data
    return document(markdown(data, "docx"))


def read_odt(data: bytes) -> Reading:
    """Read an OpenDocument text, as LibreOffice writes it; raises as :func:`read` does."""
    with opened_office(data, "odt"):
        return document(markdown(data, "odt"))


def _told_to_pandoc(archive: zipfile.ZipFile) -> bytes | None:
    """Return a Word file with what pandoc 3.9 would leave out of it in other elements, or None."""
    from lxml import etree

    if not (text := part_of(archive, _TEXT)):
        return None
    try:
        root = etree.fromstring(text)
        styles = etree.fromstring(
            part_of(archive, _STYLES) or f"<w:styles xmlns:w='{WORD[1:-1]}'/>"
        )
    except etree.XMLSyntaxError:
        return None  # pandoc will say what is wrong
    for moved in list(root.iter(f"{WORD}moveTo")):
        moved.tag = f"{WORD}ins"
        moved.set(f"{WORD}author", "")
    for known in list(root.iter(f"{WORD}fldSimple", f"{WORD}bdo", f"{WORD}dir")):
        if "HYPERLINK" not in known.get(f"{WORD}instr", ""):
            known.tag = f"{WORD}smartTag"
    _tell_styles(root, styles)
    for box in list(root.iter(_CHOICE)):
        _behind_its_paragraph(box)
    for table in root.iter(f"{WORD}tbl"):
        rows = (row.iterfind(f"{WORD}tc") for row in table.iter(f"{WORD}tr"))
        widest = max((sum(map(_width, cells)) for cells in rows), default=0)
        for grid in table.iterfind(f"{WORD}tblGrid"):
            for _ in range(min(widest, _MOST_COLUMNS) - len(grid)):
                etree.SubElement(grid, f"{WORD}gridCol", {f"{WORD}w": "1000"})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as changed:
        for name in archive.namelist():
            if name not in (_TEXT, _STYLES) and name.endswith((".xml", ".rels")):
                changed.writestr(name, part_of(archive, name))
        changed.writestr(_TEXT, etree.tostring(root))
        changed.writestr(_STYLES, etree.tostring(styles))
    return stream.getvalue()


def _behind_its_paragraph(box: Any) -> None:
    """Move the paragraphs of a text box behind the one that it is anchored in."""
    inside = next(box.iter(f"{WORD}txbxContent"), None)
    paragraph = next(box.iterancestors(f"{WORD}p"), None)
    if inside is not None and paragraph is not None:
        box.getparent().remove(box)
        for part in reversed(inside):
            paragraph.addnext(part)


def _width(cell: Any) -> int:
    columns = _value(cell, f"tcPr/{WORD}gridSpan")
    return int(columns) if columns.isdecimal() else 1


def _tell_styles(root: Any, styles: Any) -> None:
    """Give code and headings of ``word/document.xml`` styles that pandoc knows, and add those."""
    from lxml import etree

    known = _Styles(styles)
    paragraphs = {
        paragraph: [
            run
            for run in paragraph.iter(f"{WORD}r")  # a text box has paragraphs of its own
            if _text(run).strip() and next(run.iterancestors(f"{WORD}p")) is paragraph
        ]
        for paragraph in root.iter(f"{WORD}p")
    }
    length = {run: len(_text(run)) for runs in paragraphs.values() for run in runs}
    mono = set(filter(known.mono, length))
    if 2 * sum(length[run] for run in mono) > sum(length.values()):
        mono = set()  # all of it is typewritten: the font tells nothing
    code = []
    for paragraph, runs in paragraphs.items():
        names = known.names(paragraph, "p")
        heading = any(map(_HEADING_NAME.fullmatch, names))
        fonts = bool(runs) and mono.issuperset(runs)
        if not heading and (any(map(_CODE_NAME.fullmatch, names)) or fonts):
            code.append(paragraph)
            continue
        for run in runs:
            code_style = any(map(_CODE_NAME.fullmatch, known.names(run, "r")))
            if code_style or (run in mono and not heading):
                _set_style(run, "r", _CODE_WORDS)
        level = known.outline(paragraph)
        short = 0 < sum(length[run] for run in runs) <= _LONGEST_HEADING
        in_cell = next(paragraph.iterancestors(f"{WORD}tc"), None) is not None
        if not heading and level < 9 and short and not in_cell:
            _set_style(paragraph, "p", f"{_HEADING}{min(level + 1, 6)}")
    _join_code(code)
    for key, (kind, name) in _KNOWN.items():
        named = {f"{WORD}type": kind, f"{WORD}styleId": key}
        style = etree.SubElement(styles, f"{WORD}style", named)
        etree.SubElement(style, f"{WORD}name").set(f"{WORD}val", name)


class _Styles:
    """The styles of a Word file, each with those that it is based on behind it."""

    def __init__(self, styles: Any) -> None:
        known = {style.get(f"{WORD}styleId"): style for style in styles.iter(f"{WORD}style")}
        self._chains: dict[str, list[Any]] = {key: [] for key in known}
        for key, chain in self._chains.items():
            while key in known and len(chain) < _MOST_BASES:
                chain.append(known[key])
                key = _value(known[key], "basedOn")

    def of(self, part: Any, kind: str) -> list[Any]:
        """Return the style of a paragraph (``p``) or run (``r``), and those behind it."""
        return self._chains.get(_value(part, f"{kind}Pr/{WORD}{kind}Style"), [])

    def names(self, part: Any, kind: str) -> list[str]:
        names = (_value(style, "name") for style in self.of(part, kind))
        return [re.sub(r"[\s_-]+", " ", name).lower() for name in names]

    def mono(self, run: Any) -> bool:
        paragraph = next(run.iterancestors(f"{WORD}p"))
        for part in (run, *self.of(run, "r"), *self.of(paragraph, "p")):
            if font := _value(part, f"rPr/{WORD}rFonts", "ascii"):
                return _MONOSPACED.search(font) is not None
        return False

    def outline(self, paragraph: Any) -> int:
        """Return the outline level of a paragraph from 0; 9 is that of text."""
        for part in (paragraph, *self.of(paragraph, "p")):
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


def _text(run: Any) -> str:
    return "".join(text.text or "" for text in run.iterfind(f"{WORD}t"))


def _value(part: Any, path: str, name: str = "val") -> str:
    child = part.find(f"{WORD}{path}")
    return "" if child is None else child.get(f"{WORD}{name}", "")


def _set_style(part: Any, kind: str, key: str) -> None:
    for tag in (f"{WORD}{kind}Pr", f"{WORD}{kind}Style"):
        child = part.find(tag)
        if child is None:
            child = part.makeelement(tag)
            part.insert(0, child)
        part = child
    part.set(f"{WORD}val", key)
