"""PDF: lines as they stand on the page, pages joined by form feeds.

Layout that plain text would lose is written down: a blank line where the gap between two lines
is wide, ``#`` before lines set in a larger or bolder type than the body, columns one after the
other, tables as Markdown, and programs in monospaced type as indented code.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain, groupby, pairwise
from statistics import median_low

from pipeline.documents.left_out import leave_out
from pipeline.documents.readers.markdown import first_heading
from pipeline.documents.readers.pdf_columns import Line, Style, as_code, with_spans
from pipeline.documents.readers.reading import ReadFailure, Reading, whole

NEEDS_OCR = "run `ocrmypdf` on the file first: it adds the text that the pictures show"
NO_TEXT = "exclude the file, or save it with its text"
PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD of fpdfview.h
CODE = "    "  # begins each line of code, as in Markdown
WIDE_GAP = 1.3
"""Times the usual distance of baselines from which a blank line is written: paragraphs are
commonly set half a line to a line apart (1.5 to 2), lines of one paragraph vary by rounding."""
LARGER = 1.12  # times the body's type size from which a line is a heading: 12.5 points over 11
TYPEWRITTEN = 0.8  # share of monospaced letters above which a file was typed: it has no programs
MOST_BLANK = 2  # blank lines inside a program
LONGEST_HEADING = 120  # characters; a large-type paragraph (an abstract, a quotation) is no heading
_LOOKS_LIKE_HEADING = re.compile(r"^#{1,6} ")


def read(data: bytes) -> Reading:
    """Read a PDF file; the title is its first heading, else the one in its metadata.

    ReadFailure: ``empty_file``, ``encrypted_pdf``, ``unreadable_pdf``, ``no_text_in_pdf``, or
    ``needs_ocr`` (all text is in pictures).
    """
    from pypdfium2 import PdfDocument, PdfiumError

    from pipeline.documents.readers.pdf_lines import lines
    from pipeline.documents.readers.pdf_tables import pictures

    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    try:
        with PdfDocument(data) as document:
            pages = [lines(document[number]) for number in range(len(document))]
            shown = [pictures(document[number]) for number in range(len(document))]
            named = str(document.get_metadata_dict().get("Title", ""))
    except PdfiumError as error:
        locked = error.err_code == PASSWORD_ERROR
        raise ReadFailure("encrypted_pdf" if locked else "unreadable_pdf", str(error)) from error
    scanned = [n for n, page in enumerate(pages, start=1) if shown[n - 1] and not page]
    leave_out("needs_ocr", len(scanned), _ranges(scanned))
    leave_out("pictures", sum(count for count, page in zip(shown, pages, strict=True) if page))
    if not any(pages):
        found = f"{len(pages)} pages without text found, {len(scanned)} of them pictures"
        reason, advice = ("needs_ocr", NEEDS_OCR) if scanned else ("no_text_in_pdf", NO_TEXT)
        raise ReadFailure(reason, f"{found}; expected text; {advice}", 0, 1)
    text = "\f".join(_layout(pages))
    return whole(first_heading(text.replace("\f", "\n")) or named, text)


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers as a person writes those of pages: ``1-3, 7``."""
    grouped = groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    runs = [[number for _, number in run] for _, run in grouped]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _layout(pages: list[list[Line]]) -> list[str]:
    set_lines = [line for page in pages for line in page if line.style.size]
    monospaced = sum(len(line.text) for line in set_lines if line.style.monospaced)
    typewritten = monospaced > TYPEWRITTEN * sum(len(line.text) for line in set_lines)
    if typewritten:
        pages = [[_as_prose(line) for line in page] for page in pages]
    weights: Counter[Style] = Counter()
    for line in chain.from_iterable(pages):
        if not line.style.turned and not line.style.monospaced:
            weights[line.style] += len(line.text) if line.style.size else 0
    body = weights.most_common(1)[0][0] if weights else Style(0, False)
    gaps = [
        above.baseline - line.baseline
        for page in pages
        for above, line in pairwise(page)
        if above.style == line.style == body and above.baseline > line.baseline
    ]
    usual = median_low(gaps) / body.size if gaps and body.size else 0.0
    pages = [_with_code(page, body, usual) for page in pages]
    styles = {line.style for page in pages for line in page}
    headings = sorted((style for style in styles if _is_heading(style, body)), reverse=True)
    levels = {style: min(level, 6) for level, style in enumerate(headings, start=1)}
    return [with_spans("\n".join(_marked(page, levels, usual)), typewritten) for page in pages]


def _is_heading(style: Style, body: Style) -> bool:
    bolder = style.bold and not body.bold and style.size >= body.size
    larger = style.size > LARGER * body.size
    return (larger or bolder) and not style.turned and not style.monospaced


def _as_prose(line: Line) -> Line:
    if not line.style.monospaced:
        return line
    style = line.style._replace(monospaced=False)
    return line._replace(text=" ".join(line.text.split()), style=style)


def _with_code(page: list[Line], body: Style, usual: float) -> list[Line]:
    """Return a page with each program, which stands apart by a gap or its indent, as one line."""

    def is_code(line: Line) -> bool:
        small = line.style.size <= LARGER * body.size
        return line.style.monospaced and not line.style.turned and small

    out: list[Line] = []
    groups = [(code, list(group)) for code, group in groupby(page, is_code)]
    for number, (code, group) in enumerate(groups):
        if not code:
            out += map(_as_prose, group)
            continue
        edge = min(line.left for line in group)
        around = [
            (groups[number - 1][1][-1], group[0]) if number else None,
            (group[-1], groups[number + 1][1][0]) if number + 1 < len(groups) else None,
        ]
        apart = [
            pair is None
            or not pair[0].style.size
            or not pair[1].style.size
            or not 0 < pair[0].baseline - pair[1].baseline < WIDE_GAP * usual * body.size
            or (
                (len(group) > 1 or pair is around[1])
                and edge > min(line.left for line in pair if line not in group) + body.size / 2
            )
            for pair in around
        ]
        if all(apart):
            text = "\n".join(f"{CODE}{line}" for line in _program(group, edge))
            out.append(group[0]._replace(text=text, baseline=group[-1].baseline))
        else:
            spans = (line._replace(text=as_code(" ".join(line.text.split()))) for line in group)
            out += map(_as_prose, spans)
    return out


def _program(group: list[Line], edge: float) -> list[str]:
    """Return the lines of a program with the indents and blank lines that they have on the page."""
    gaps = [above.baseline - line.baseline for above, line in pairwise(group)]
    usual = median_low(gap for gap in gaps if gap > 0) if any(gap > 0 for gap in gaps) else 0.0
    out: list[str] = []
    for line, gap in zip(group, [0.0, *gaps], strict=True):
        blank = round(gap / usual) - 1 if usual else 0
        out += [""] * min(max(blank, 0), MOST_BLANK)
        out.append(" " * round((line.left - edge) / line.pitch) + line.text)
    return out


def _marked(page: list[Line], levels: dict[Style, int], usual: float) -> list[str]:
    out: list[str] = []
    above: Line | None = None
    for line in page:
        if line.style.monospaced:
            out += ["", line.text, ""]
            above = None
            continue
        if above is not None and (
            line.style != above.style
            or not line.style.size  # two tables
            or above.baseline - line.baseline > WIDE_GAP * usual * line.style.size > 0
        ):
            out.append("")
        level = levels.get(line.style, 0)
        if not level or len(line.text) > LONGEST_HEADING or line.text.endswith((".", ";", ",")):
            out.append(_LOOKS_LIKE_HEADING.sub(r"\\\g<0>", line.text))
        elif above is not None and above.style == line.style and out[-1].startswith("#"):
            out[-1] += f" {line.text}"  # a heading of two lines
        else:
            out.append(f"{'#' * level} {line.text}")
        above = line
    return out
