"""The queue as a CSV file that survives a spreadsheet: written for one, read back from one."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.core.errors import ReviewError

Row = dict[str, str]
_FORMULA = re.compile(r"[\t\r\n]|\s*['=+\-@\uff1d\uff0b\uff0d\uff20]")
"""Starts of a cell that a spreadsheet may run (OWASP, CSV Injection), and the guard itself."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows with unguarded cells, and the form in which the file was found."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    delimiter: str = ","


def guard(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would take for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    """Undo :func:`guard`; any other text stays as it is."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def write_sheet(columns: Sequence[str], rows: Iterable[Mapping[str, str]], delimiter: str) -> bytes:
    """Return the file: UTF-8 with the mark that Excel needs, every cell quoted and guarded."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([guard(row.get(name, "")) for name in columns] for row in rows)
    return stream.getvalue().encode("utf-8-sig")


def read_sheet(data: bytes, name: str, required: Sequence[str]) -> Sheet:
    """Read a CSV as spreadsheets save it; ReviewError: it is none, or lacks a required column."""
    text = _decode(data)
    if text[:4].lower() == "sep=":  # a hint line of Excel
        text = text.partition("\n")[2]
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise ReviewError(
            f"review: {name} is not a CSV file ({error}); expected the file that was "
            "written with your decisions in it; save it again as CSV"
        ) from error
    columns = [cell.strip().lower() for cell in lines[0]] if lines else []
    missing = [column for column in required if column not in columns]
    if missing:
        found = ", ".join(columns) or "no header"
        raise ReviewError(
            f"review: {name} has {found}; expected also {', '.join(missing)}; put the header line "
            "back as it was, or delete the file to have it written again"
        )
    rows = [
        dict(zip(columns, map(unguard, line), strict=False))
        for line in lines[1:]
        if any(cell.strip() for cell in line)
    ]
    return Sheet(tuple(columns), tuple(rows), delimiter)


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # "CSV" rather than "CSV UTF-8" in Excel
