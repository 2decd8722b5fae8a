"""Spreadsheets of Excel and OpenDocument: a heading and a table a sheet, hidden sheets left out."""

import io
from collections.abc import Mapping, Set
from datetime import datetime, time
from itertools import islice, takewhile
from typing import Any

from pipeline.documents.left_out import leave_out
from pipeline.documents.readers.office import opened_office
from pipeline.documents.readers.reading import ReadFailure, Reading, whole
from pipeline.text.markdown import OPENS_BLOCK, table

MOST_ROWS = 10_000  # of a sheet; more are data, of which a text tells nothing more
MOST_CELLS = 1_000_000  # of a sheet, with the empty ones: 10,000 on a diagonal would take 300 MB
LONGEST_LABEL = 100  # characters of a merged cell that fills its range; a remark is longer
_PICTURES = ("xl/media/", "Pictures/")


def read(data: bytes, name: str = "xlsx") -> Reading:
    """Read a workbook: values, without the format of their cell; raises as :mod:`.office` does."""
    from python_calamine import CalamineWorkbook, SheetVisibleEnum

    parts, hidden = [], 0
    with opened_office(data, name) as archive:
        leave_out("pictures", sum(each.startswith(_PICTURES) for each in archive.namelist()))
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for sheet in book.sheets_metadata:
            if sheet.visible != SheetVisibleEnum.Visible:
                leave_out("sheets", 1, sheet.name)
                hidden += 1
            elif text := _text(book.get_sheet_by_name(sheet.name)):
                parts.append(f"# {' '.join(sheet.name.split())}\n\n{text}")
    if not parts:
        found = f"no filled cell and {hidden} hidden sheets found; expected a filled cell in a "
        advice = "sheet that is shown; show one, or exclude the file with ingest.exclude"
        raise ReadFailure("empty_file", found + advice, 0, 1)
    return whole("", "\n\n".join(parts))


def _text(sheet: Any) -> str:
    """Return the table of a sheet; rows of one cell above it, its titles, are paragraphs."""
    # Rows come from the first of the sheet on, their cells from the first column that is filled.
    shown = ((n, list(map(_shown, row))) for n, row in enumerate(sheet.iter_rows()))
    filled = ((n, row) for n, row in shown if any(row))
    rows = dict(islice(filled, MOST_ROWS))
    used = [n for n in range(sheet.width) if any(row[n] for row in rows.values())]
    beyond = list(rows)[MOST_CELLS // max(1, len(used)) :]
    leave_out("rows", len(beyond) + sum(1 for _ in filled), sheet.name)
    for n in beyond:
        del rows[n]
    alone = {n for n, row in rows.items() if len(used) > 1 and sum(map(bool, row)) == 1}
    titles = ["".join(rows.pop(n)) for n in takewhile(alone.__contains__, list(rows))]
    _unfold(rows, alone, sheet)
    paragraphs = [OPENS_BLOCK.sub(r"\\\g<0>", " ".join(title.split())) for title in titles]
    below = [table([[row[n] for n in used] for row in rows.values()])] if rows else []
    return "\n\n".join(paragraphs + below)


def _unfold(rows: Mapping[int, list[str]], alone: Set[int], sheet: Any) -> None:
    """Write a merged label into all cells of its range, unless it is a row ``alone``."""
    left = (sheet.start or (0, 0))[1]
    for (first, start), (last, end) in sheet.merged_cell_ranges or ():
        if first not in rows or start < left or (first == last and first in alone):
            continue
        text = rows[first][start - left]
        if len(text) <= LONGEST_LABEL:
            end = min(end, left + sheet.width - 1)
            for number in rows.keys() & range(first, last + 1):
                rows[number][start - left : end - left + 1] = [text] * (end - start + 1)


def _shown(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return f"{cell:.15g}"  # digits that Excel keeps
    if isinstance(cell, datetime):
        return cell.isoformat(" ", "seconds") if cell.time() != time(0) else str(cell.date())
    return str(cell).strip()
