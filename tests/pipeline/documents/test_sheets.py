"""Spreadsheets of Excel and OpenDocument."""

import io
import zipfile
from itertools import pairwise

import pytest

from pipeline.documents.readers import sheets
from tests.pipeline.documents.packing import (
    DAY,
    HOUR,
    MOMENT,
    failure,
    open_workbook,
    reading,
    workbook,
    zipped,
)


def rows(
    *lines: tuple[str | float | tuple[float, int], ...], first: int = 1, left: str = "A"
) -> str:
    """Return rows of a sheet: texts, numbers, and numbers with a format; "" is no cell."""
    return "".join(
        f'<row r="{number}">'
        + "".join(
            _cell(f"{chr(ord(left) + column)}{number}", cell)
            for column, cell in enumerate(line)
            if cell != ""
        )
        + "</row>"
        for number, line in enumerate(lines, first)
    )


def _cell(name: str, cell: str | float | tuple[float, int]) -> str:
    if isinstance(cell, str):
        return f'<c r="{name}" t="inlineStr"><is><t xml:space="preserve">{cell}</t></is></c>'
    number, style = cell if isinstance(cell, tuple) else (cell, 0)
    return f'<c r="{name}" s="{style}"><v>{number}</v></c>'


def text(inside: str, merged: str = "") -> str:
    """Return what is read below the heading of one sheet, and its merged ranges."""
    ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged.split())
    made = f"<sheetData>{inside}</sheetData>" + f"<mergeCells>{ranges}</mergeCells>" * bool(ranges)
    (record,) = reading("a.xlsx", workbook(("Limits", "visible", made))).records
    heading, _, below = record.text.partition("\n\n")
    assert heading == "# Limits"
    return below


def open_row(*cells: str) -> str:
    made = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'
        for cell in cells
    )
    return f"<table:table-row>{made}</table:table-row>"


def test_a_sheet_is_a_heading_and_a_table_with_its_first_row_as_header():
    assert text(rows(("Part", "bar|max"), ("Valve\n or seal", 5), ("Pump", ""))) == (
        "| Part | bar\\|max |\n| --- | --- |\n| Valve or seal | 5 |\n| Pump |  |"
    )
    assert text(rows(("Parts",), ("Valve",))) == "| Parts |\n| --- |\n| Valve |"


def test_empty_rows_and_columns_are_left_out():
    inside = rows(("Part", "", "Bar"), first=4, left="C") + rows(
        ("Valve", " ", 5), first=7, left="C"
    )
    assert text(inside) == "| Part | Bar |\n| --- | --- |\n| Valve | 5 |"


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (4.0, "4"),
        (-12.5, "-12.5"),
        (0.30000000000000004, "0.3"),
        (1234567, "1234567"),
        ((45356, DAY), "2024-03-05"),
        ((45356.354166666664, MOMENT), "2024-03-05 08:30:00"),
        ((45356, MOMENT), "2024-03-05"),
        ((0.354166666666667, HOUR), "08:30:00"),
        ("0042", "0042"),
    ],
)
def test_cells_are_shown_by_their_value(cell: str | float | tuple[float, int], shown: str):
    assert text(rows(("a", "b"), (cell, "x"))).endswith(f"| {shown} | x |")


def test_a_merged_cell_fills_its_range_but_not_across_a_line_of_its_own():
    inside = rows(
        ("Kind", "Bar", ""), ("Valve", 5, 6), ("", 7, 8), ("Spare parts",), ("Seal", 1, 2),
        first=3, left="C",
    )  # fmt: skip
    assert text(inside, "A4:B4 D3:E3 C4:C5 C6:E6").splitlines() == [
        "| Kind | Bar | Bar |",
        "| --- | --- | --- |",
        "| Valve | 5 | 6 |",
        "| Valve | 7 | 8 |",
        "| Spare parts |  |  |",
        "| Seal | 1 | 2 |",
    ]
    remark = "x" * 101
    inside = rows(("Part", "Remark"), ("Valve", remark), ("Seal",))
    assert text(inside, "B2:B3").count(remark) == 1
    # Beyond what is filled there are no columns.
    inside = rows(("Part", "Bar"), ("Valve", 5))
    assert text(inside, "B1:F1").splitlines()[0] == "| Part | Bar |"


def test_titles_above_a_table_are_paragraphs():
    inside = rows(("Limits of 2024",), (), ("# old",), ("Part", "Bar"), ("Valve", 5))
    table = "| Part | Bar |\n| --- | --- |\n| Valve | 5 |"
    assert text(inside, "A1:B1") == f"Limits of 2024\n\n\\# old\n\n{table}"


def test_hidden_sheets_are_left_out_and_counted():
    shown = f"<sheetData>{rows(('Part', 'Bar'), ('Valve', 5))}</sheetData>"
    secret = f"<sheetData>{rows(('secret', 9))}</sheetData>"
    book = workbook(
        ("Limits", "visible", shown), ("Empty", "visible", "<sheetData/>"),
        ("Prices", "hidden", secret), ("Keys", "veryHidden", secret), ("Too", "visible", shown),
    )  # fmt: skip
    (record,) = reading("a.xlsx", book).records
    table = "| Part | Bar |\n| --- | --- |\n| Valve | 5 |"
    assert record.text == f"# Limits\n\n{table}\n\n# Too\n\n{table}"
    assert record.left_out == (("sheets", 2, "Prices; Keys"),)


def test_pictures_are_counted():
    made = open_workbook(f'<table:table table:name="L">{open_row("Part", "Bar")}</table:table>')
    stream = io.BytesIO(made)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("Pictures/plant.png", b"\x89PNG")
    assert reading("a.ods", stream.getvalue()).records[0].left_out == (("pictures", 1, ""),)


def test_rows_beyond_the_limit_are_counted():
    most = sheets.MOST_ROWS
    inside = rows(("Part", "Bar"), *(("Valve", number) for number in range(1, most + 3)))
    book = workbook(("Long", "visible", f"<sheetData>{inside}</sheetData>"))
    (record,) = reading("a.xlsx", book).records
    assert record.text.count("| Valve |") == most - 1
    assert record.text.endswith(f"| Valve | {most - 1} |")
    assert record.left_out == (("rows", 3, "Long"),)


def test_a_sparse_sheet_is_no_large_table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sheets, "MOST_CELLS", 100)
    diagonal = rows(*((*("" for _ in range(number)), "x", "y") for number in range(19)))
    book = workbook(("Limits", "visible", f"<sheetData>{diagonal}</sheetData>"))
    (record,) = reading("a.xlsx", book).records
    assert record.text.count("\n| ") == 100 // 20 + 1
    assert record.left_out == (("rows", 14, "Limits"),)


def test_sheets_of_opendocument():
    far = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell '
    far += 'table:number-columns-repeated="16384"/></table:table-row>'
    typed = (
        '<table:table-row><table:table-cell office:value-type="float" office:value="4"/>'
        '<table:table-cell office:value-type="date" office:date-value="2024-03-05T00:00:00"/>'
        "</table:table-row>"
    )
    table = f'<table:table table:name="Limits">{open_row("Part", "a|b")}{typed}{far}</table:table>'
    hidden = table.replace('"Limits"', '"Old" table:style-name="hidden"')
    (record,) = reading("a.ods", open_workbook(table + hidden)).records
    assert record.text == "# Limits\n\n| Part | a\\|b |\n| --- | --- |\n| 4 | 2024-03-05 |"
    assert record.left_out == (("sheets", 1, "Old"),)


def test_what_gives_no_text_has_a_reason():
    filled = f"<sheetData>{rows(('secret', 9))}</sheetData>"
    assert failure("a.xlsx", workbook(("Empty", "visible", "<sheetData/>"))) == "empty_file"
    assert failure("a.xlsx", workbook(("Prices", "hidden", filled))) == "empty_file"
    assert failure("a.ods", open_workbook('<table:table table:name="E"/>')) == "empty_file"
    locked = open_workbook(
        "", '<file-entry full-path="content.xml"><encryption-data/></file-entry>'
    )
    assert failure("a.ods", locked) == "encrypted_office"
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    assert failure("a.xlsx", ole) == "encrypted_office"
    assert failure("a.xlsx", zipped({"xl/workbook.xml": "<x"})) == "unreadable_xlsx"
    assert failure("a.ods", b"PK\x03\x04 cut") == "unreadable_ods"
    whole = workbook(("Limits", "visible", filled))
    for start, end in pairwise(range(10, len(whole), 97)):
        assert failure("a.xlsx", whole[:start]) == "unreadable_xlsx"
        changed = whole[:start] + bytes(end - start) + whole[end:]
        try:
            reading("a.xlsx", changed)
        except sheets.ReadFailure as error:
            assert error.failure.reason.startswith(("unreadable", "empty_file"))
