"""PDF: lines as they stand on the page, pages joined by form feeds.

Layout that plain text would lose is written down: a blank line where the gap between two lines
is wide, and ``#`` before lines set in a larger or bolder type than the body.
"""

import ctypes
from collections import Counter
from itertools import pairwise
from statistics import median_low
from typing import Any, NamedTuple

from pipeline.ingest.readers.markdown import first_heading
from pipeline.ingest.readers.reading import ReadFailure, Reading, whole

PASSWORD_ERROR = 4
"""FPDF_ERR_PASSWORD of fpdfview.h."""

WIDE_GAP = 1.3
"""Times the usual distance of baselines from which a blank line is written: paragraphs are
commonly set half a line to a line apart (1.5 to 2), lines of one paragraph vary by rounding."""

LARGER = 1.12
"""Times the body's type size from which a line is a heading: 12.5 points over 11."""

LONGEST_HEADING = 120
"""Characters; a large-type paragraph (an abstract, a quotation) is no heading."""

BROKEN = "\ufffe"
"""pdfium's character for a hyphen at the end of a line; it joins the two lines."""


class _Style(NamedTuple):
    size: float
    """Points."""
    bold: bool


class _Line(NamedTuple):
    text: str
    baseline: float
    """Points from the foot of the page."""
    style: _Style
    """Bold only when it begins and ends so: a paragraph may begin with a bold word."""


def read(data: bytes) -> Reading:
    """Read a PDF file; the title is its first heading, else the one in its metadata.

    Raises:
        ReadFailure: ``empty_file``, ``encrypted_pdf``, ``unreadable_pdf``, or
            ``no_text_in_pdf`` (scanned pages need optical character recognition first).
    """
    from pypdfium2 import PdfDocument, PdfiumError

    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    try:
        document = PdfDocument(data)
    except PdfiumError as error:
        locked = getattr(error, "err_code", None) == PASSWORD_ERROR
        raise ReadFailure("encrypted_pdf" if locked else "unreadable_pdf", str(error)) from error
    try:
        pages = [_lines(document[number]) for number in range(len(document))]
        named = str(document.get_metadata_dict().get("Title", ""))
    except PdfiumError as error:
        raise ReadFailure("unreadable_pdf", str(error)) from error
    finally:
        document.close()
    if not any(pages):
        raise ReadFailure(
            "no_text_in_pdf",
            f"{len(pages)} pages without text; run optical character recognition on the file first",
            0,
            1,
        )
    text = "\f".join(_layout(pages))
    return whole(first_heading(text.replace("\f", "\n")) or named, text)


def _lines(page: Any) -> list[_Line]:
    """Return the lines of a page; one that ends in a broken word ends in a hyphen."""
    from pypdfium2 import raw

    textpage = page.get_textpage()
    lines = []
    start = 0
    # Characters of the text and of the page count alike: pdfium numbers UTF-16 units, and
    # text outside the first plane shifts what follows by one, which only blurs sizes.
    for line in textpage.get_text_range().replace(BROKEN, f"{BROKEN}\n").split("\n"):
        first = start + len(line) - len(line.lstrip())
        text = line.strip().replace(BROKEN, "-").replace("\0", "")
        if text:
            x, y = ctypes.c_double(), ctypes.c_double()
            raw.FPDFText_GetCharOrigin(textpage.raw, first, x, y)
            size = raw.FPDFText_GetFontSize(textpage.raw, first)
            # The last character may be a hyphen that pdfium made up, without a font.
            bold = _bold(textpage, first) and _bold(textpage, first + max(0, len(text) - 2))
            lines.append(_Line(text, y.value, _Style(round(size, 1), bold)))
        start += len(line) + (0 if line.endswith(BROKEN) else 1)
    textpage.close()
    page.close()
    return lines


def _bold(textpage: Any, index: int) -> bool:
    from pypdfium2 import raw

    name = ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(textpage.raw, index, name, len(name), ctypes.c_int())
    # By name, since the weight of the standard fonts is given as 0; "semibold" is bold too.
    return any(word in name.value.lower() for word in (b"bold", b"black", b"heavy"))


def _layout(pages: list[list[_Line]]) -> list[str]:
    weights: Counter[_Style] = Counter()
    for line in (line for page in pages for line in page):
        weights[line.style] += len(line.text)
    body = weights.most_common(1)[0][0]
    headings = sorted(
        (
            style
            for style in weights
            if style.size > LARGER * body.size
            or (style.bold and not body.bold and style.size >= body.size)
        ),
        reverse=True,
    )
    levels = {style: min(level, 6) for level, style in enumerate(headings, start=1)}
    gaps = [
        above.baseline - line.baseline
        for page in pages
        for above, line in pairwise(page)
        if above.style == line.style == body and above.baseline > line.baseline
    ]
    usual = median_low(gaps) / body.size if gaps and body.size else 0.0
    return ["\n".join(_marked(page, levels, usual)) for page in pages]


def _marked(page: list[_Line], levels: dict[_Style, int], usual: float) -> list[str]:
    """Return the lines of a page with blank lines and heading marks.

    Args:
        page: Lines from top to bottom.
        levels: Level of the heading that a style makes.
        usual: Distance of baselines in the body, in type sizes; 0 when it is not known.
    """
    out: list[str] = []
    above: _Line | None = None
    for line in page:
        if above is not None and (
            line.style != above.style
            or above.baseline - line.baseline > WIDE_GAP * usual * line.style.size > 0
        ):
            out.append("")
        level = levels.get(line.style, 0)
        if not level or len(line.text) > LONGEST_HEADING or line.text.endswith((".", ";", ",")):
            out.append(line.text)
        elif above is not None and above.style == line.style and out[-1].startswith("#"):
            out[-1] += f" {line.text}"  # a heading of two lines
        else:
            out.append(f"{'#' * level} {line.text}")
        above = line
    return out
