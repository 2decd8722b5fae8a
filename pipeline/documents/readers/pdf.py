"""PDF: lines as they stand on the page, pages joined by form feeds.

Layout that plain text would lose is written down: a blank line where the gap between two lines
is wide, ``#`` before lines set in a larger or bolder type than the body, columns one after the
other, and tables with rules as Markdown.
"""

from collections import Counter
from itertools import pairwise
from statistics import median_low

from pipeline.documents.readers.markdown import first_heading
from pipeline.documents.readers.pdf_columns import Line, Style
from pipeline.documents.readers.pdf_lines import lines
from pipeline.documents.readers.reading import ReadFailure, Reading, whole

PASSWORD_ERROR = 4
"""FPDF_ERR_PASSWORD of fpdfview.h."""

WIDE_GAP = 1.3
"""Times the usual distance of baselines from which a blank line is written: paragraphs are
commonly set half a line to a line apart (1.5 to 2), lines of one paragraph vary by rounding."""

LARGER = 1.12
"""Times the body's type size from which a line is a heading: 12.5 points over 11."""

LONGEST_HEADING = 120
"""Characters; a large-type paragraph (an abstract, a quotation) is no heading."""


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
        pages = [lines(document[number]) for number in range(len(document))]
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


def _layout(pages: list[list[Line]]) -> list[str]:
    weights: Counter[Style] = Counter()
    for line in (line for page in pages for line in page):
        weights[line.style] += len(line.text) if line.style.size else 0
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


def _marked(page: list[Line], levels: dict[Style, int], usual: float) -> list[str]:
    """Return the lines of a page with blank lines and heading marks.

    Args:
        page: Lines from top to bottom.
        levels: Level of the heading that a style makes.
        usual: Distance of baselines in the body, in type sizes; 0 when it is not known.
    """
    out: list[str] = []
    above: Line | None = None
    for line in page:
        if above is not None and (
            line.style != above.style
            or above.baseline - line.baseline > WIDE_GAP * usual * line.style.size > 0
        ):
            out.append("")
        elif above is not None and not line.style.size:
            out.append("")  # two tables
        level = levels.get(line.style, 0)
        if not level or len(line.text) > LONGEST_HEADING or line.text.endswith((".", ";", ",")):
            out.append(line.text)
        elif above is not None and above.style == line.style and out[-1].startswith("#"):
            out[-1] += f" {line.text}"  # a heading of two lines
        else:
            out.append(f"{'#' * level} {line.text}")
        above = line
    return out
