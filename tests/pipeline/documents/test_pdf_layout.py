"""Columns and tables of PDF pages that are drawn here."""

import random
from collections.abc import Sequence

import pytest

from pipeline.documents.clean import pdf_text as paper
from pipeline.documents.readers import pdf
from pipeline.documents.readers.pdf_tables import MOST_RULES
from tests.pipeline.documents import making

Placed = tuple[str, float, float]
"""Text, x, y in points."""


def show(*texts: Placed, size: float = 10) -> bytes:
    """Draw texts in the order given."""
    return b"".join(f"BT /F {size} Tf {x} {y} Td ({text}) Tj ET\n".encode() for text, x, y in texts)


def typed(*texts: Placed, size: float = 10) -> bytes:
    """Draw texts in a monospaced type."""
    return show(*texts, size=size).replace(b"BT /F ", b"BT /M ")


def rule(x: float, y: float, to_x: float, to_y: float) -> bytes:
    """Draw a line."""
    return f"{x} {y} m {to_x} {to_y} l S\n".encode()


def read(*drawings: bytes) -> str:
    """Return the raw text of a file of these pages."""
    (record,) = pdf.read(making.pdf([[] for _ in drawings], drawn=drawings)).records
    return record.text


def sentences(seed: int, count: int = 8) -> list[str]:
    """Return lines of a narrow column, each other words."""
    chance = random.Random(seed)
    words = ("valve", "pump", "tank", "seal", "pipe", "clock", "relay", "water", "frost", "lamp")
    return [
        " ".join(f"{chance.choice(words)} {chance.randrange(10, 99)}" for _ in range(4))
        for _ in range(count)
    ]


def columns(*texts: Sequence[str], across: bool, step: float = 185) -> list[Placed]:
    """Return lines in columns, written column by column or across them."""
    placed = [
        (row, number, (text, 50 + number * step, 700 - 13 * row))
        for number, column in enumerate(texts)
        for row, text in enumerate(column)
    ]
    return [place for *_, place in (sorted(placed) if across else placed)]


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("count", [2, 3])
def test_columns_are_read_one_after_the_other(across: bool, count: int):
    texts = [sentences(number) for number in range(count)]
    text = read(show(*columns(*texts, across=across)))
    assert text.split("\n") == [line for column in texts for line in column]


def test_columns_whose_lines_do_not_stand_level_are_told_apart_too():
    one, two = sentences(1), sentences(2)
    placed = [
        place
        for row in range(8)
        for place in ((one[row], 50, 700 - 13 * row), (two[row], 300, 697 - 13 * row))
    ]
    assert read(show(*placed)).split("\n") == [*one, *two]


def test_titles_headers_and_footers_across_columns_keep_their_place():
    one, two = sentences(1), sentences(2)
    title = "A title that runs over both of the columns of this page and ends on the right"
    page = show(
        ("Fernwick", 50, 790),
        ("Chapter three of the guide", 400, 790),
        (title, 50, 740),
        *columns(one, two, across=True, step=250),
        ("The foot of the left side", 50, 60),
        ("The foot of the right side", 400, 60),
    )
    lines = [line for line in read(page).split("\n") if line]
    assert lines[:2] == ["Fernwick Chapter three of the guide", title]
    assert lines[2:-1] == [*one, *two]
    assert lines[-1] == "The foot of the left side The foot of the right side"


def test_a_sentence_goes_on_in_the_next_column():
    one, two = sentences(1), sentences(2)
    text = paper.repair(read(show(*columns(one, [*two, "end."], across=True, step=250))))
    assert text == " ".join([*one, *two, "end."])


def test_short_cells_and_terms_with_their_meaning_are_no_columns():
    cells = [(f"E{row}", f"code {row}") for row in range(9)]
    placed = columns([a for a, _ in cells], [b for _, b in cells], across=True)
    assert read(show(*placed)).split("\n") == [f"{a} {b}" for a, b in cells]
    terms = [(f"A{row}", line) for row, line in enumerate(sentences(3))]
    placed = columns([a for a, _ in terms], [b for _, b in terms], across=True)
    assert read(show(*placed)).split("\n") == [f"{a} {b}" for a, b in terms]


CELLS = [["Part", "Limit|max", "Note"], ["Valve", "4.2 bar", "check"], ["Pump", "", "by hand"]]
TABLE = (
    "| Part | Limit\\|max | Note |\n| --- | --- | --- |\n| Valve | 4.2 bar | check |\n"
    "| Pump |  | by hand |"
)


def texts(cells: Sequence[Sequence[str]] = CELLS) -> bytes:
    """Draw the texts of cells of 100 by 20 points."""
    return show(
        *(
            (text, 55 + 100 * column, 585 - 20 * row)
            for row, line in enumerate(cells)
            for column, text in enumerate(line)
            if text
        )
    )


def grid(rows: int = 3, columns: int = 3, height: float = 20) -> bytes:
    """Draw all rules as lines."""
    right, foot = 50 + 100 * columns, 600 - height * rows
    return b"".join(
        [rule(50, 600 - height * row, right, 600 - height * row) for row in range(rows + 1)]
        + [rule(50 + 100 * column, 600, 50 + 100 * column, foot) for column in range(columns + 1)]
    )


def boxes() -> bytes:
    """Draw a box for each cell."""
    return b"".join(
        f"{50 + 100 * column} {580 - 20 * row} 100 20 re S\n".encode()
        for row in range(3)
        for column in range(3)
    )


def thin_boxes() -> bytes:
    """Draw rules as filled boxes, as word processors do."""
    level = b"".join(f"50 {600 - 20 * row} 300 0.5 re f\n".encode() for row in range(4))
    return level + b"".join(f"{50 + 100 * n} 540 0.5 60 re f\n".encode() for n in range(4))


def one_path() -> bytes:
    """Draw all rules with one stroke."""
    return grid().replace(b" S\n", b"\n") + b"S\n"


def scaled() -> bytes:
    """Draw at another scale."""
    small = b"".join(f"5 {60 - 2 * row} m 35 {60 - 2 * row} l S\n".encode() for row in range(4))
    small += b"".join(f"{5 + 10 * n} 60 m {5 + 10 * n} 54 l S\n".encode() for n in range(4))
    return b"q 10 0 0 10 0 0 cm 0.1 w\n" + small + b"Q\n"


def open_sides() -> bytes:
    """Draw no rules at the sides."""
    inner = b"".join(rule(50, 600 - 20 * row, 350, 600 - 20 * row) for row in range(4))
    return inner + rule(150, 600, 150, 540) + rule(250, 600, 250, 540)


@pytest.mark.parametrize("draw", [grid, boxes, thin_boxes, one_path, scaled, open_sides])
def test_a_table_with_rules_becomes_markdown_however_it_is_drawn(draw):
    before, after = show(("Before it.", 50, 640)), show(("After it.", 50, 500))
    assert read(before + draw() + texts() + after) == f"Before it.\n\n{TABLE}\n\nAfter it."


def test_a_merged_cell_keeps_its_text_whole_and_the_columns_in_place():
    rules = b"".join(rule(50, 600 - 20 * row, 350, 600 - 20 * row) for row in range(3))
    rules += rule(50, 600, 50, 560) + rule(350, 600, 350, 560)
    rules += rule(150, 580, 150, 560) + rule(250, 580, 250, 560)
    wide = show(("One heading over all the three columns", 60, 585))
    assert read(rules + wide + texts([[], ["a", "b", "c"]])) == (
        "| One heading over all the three columns |  |  |\n| --- | --- | --- |\n| a | b | c |"
    )


def test_lines_of_a_cell_are_joined_and_a_broken_word_mended():
    cell = show(("Open the irri-", 55, 590), ("gation by hand", 55, 575), ("x", 155, 590))
    text = read(grid(2, 2, 40) + cell + show(("y", 55, 545), ("z", 155, 545)))
    assert text == "| Open the irrigation by hand | x |\n| --- | --- |\n| y | z |"


def test_frames_and_underlines_are_no_tables():
    framed = b"40 480 400 160 re S\n" + rule(50, 595, 200, 595) + rule(50, 575, 200, 575)
    assert read(framed + texts(CELLS[:2])) == "Part Limit|max Note\nValve 4.2 bar check"


def test_tables_pass_the_repair_of_paragraphs_and_page_edges():
    text = read(*(show(("Fernwick", 50, 700)) + grid() + texts() for _ in range(3)))
    assert paper.repair(text) == f"{TABLE}\n\n{TABLE}\n\n{TABLE}"


@pytest.mark.timeout(20)
def test_a_drawing_of_many_strokes_is_no_table():
    strokes = b"".join(rule(50, 10 + number, 500, 10 + number) for number in range(MOST_RULES + 1))
    strokes += b"".join(rule(50 + n / 10, 10, 50 + n / 10, 700) for n in range(MOST_RULES + 1))
    assert read(strokes + texts(CELLS[:2])).startswith("Part Limit|max Note")
    assert read(b"0 0 m 9 9 l S\n" * 50_000 + texts(CELLS[:2])).startswith("Part Limit|max Note")


PROSE = ("Each valve has a limit of its own, so that a bed is safe", "when the sensor is broken.")
PROGRAM = "```\nfor bed in beds:\n    # dry\n    open(bed)  # 3 bar\n\nstop()\n```"


def paragraph(top: float) -> list[Placed]:
    """Return two lines of prose."""
    return [(text, 50, top - 13 * row) for row, text in enumerate(PROSE)]


def program(top: float, left: float = 50) -> list[Placed]:
    """Return a program of letters that are 6 points wide."""
    return [
        ("for bed in beds:", left, top),
        ("# dry", left + 24, top - 12),
        ("open\\(bed\\)", left + 24, top - 24),
        ("# 3 bar", left + 24 + 66, top - 24),
        ("stop\\(\\)", left, top - 48),
    ]


@pytest.mark.parametrize("left", [50, 80])
def test_monospaced_lines_are_a_program_with_its_indents_and_blank_lines(left: int):
    page = show(*paragraph(700)) + typed(*program(660, left)) + show(*paragraph(580))
    text = paper.repair(read(page))
    assert text == f"{' '.join(PROSE)}\n\n{PROGRAM}\n\n{' '.join(PROSE)}"


def test_a_program_goes_on_over_the_page():
    pages = [show(*paragraph(700)) + typed(*program(660)), typed(("go\\(1\\)", 50, 700))]
    pages[1] += show(*paragraph(660))
    assert PROGRAM.replace("stop()", "stop()\ngo(1)") in paper.repair(read(*pages))


def test_a_monospaced_line_of_a_paragraph_and_a_term_above_its_meaning_are_no_programs():
    inside = show((PROSE[0], 50, 700)) + typed(("valve open", 50, 687))
    inside += show(("and closed.", 50, 674))
    text = paper.repair(read(inside + show(*paragraph(600))))
    assert text.startswith(f"{PROSE[0]} `valve open` and closed.")
    assert "```" not in text
    term = typed(("# all", 50, 700)) + show(("Water all the beds.", 80, 688), *paragraph(600))
    items = show((PROSE[0], 50, 700)) + typed(("\\225 open", 50, 687), ("\\225 close", 50, 674))
    items += show((PROSE[1], 50, 661))
    assert "\n\u2022 `open`\n\u2022 `close`\n" in read(items + show(*paragraph(600)))
    assert paper.repair(read(term)).startswith("`# all` Water all the beds.")


def in_line(*runs: tuple[str, str], x: float = 50, y: float = 640) -> bytes:
    """Draw runs of one line one behind the other, each in the font of a letter."""
    shown = "".join(f"/{font} 10 Tf ({text}) Tj\n" for font, text in runs)
    return f"BT {x} {y} Td {shown}ET\n".encode()


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([("F", "Call "), ("M", "open_valve"), ("F", " before noon.")], "`open_valve`"),
        ([("F", "Call "), ("M", "git commit -m"), ("F", ", then push.")], "`git commit -m`,"),
        ([("F", "Say so \\("), ("M", "valve=1"), ("F", "\\) at once.")], "(`valve=1`)"),
        ([("M", "x[i]"), ("F", " is a bed.")], "`x[i]` is a bed."),
        ([("F", "Of "), ("M", "a"), ("F", " and "), ("M", "b"), ("F", ".")], "`a` and `b`."),
        ([("F", "Run "), ("M", "`date`"), ("F", " now.")], "Run `` `date` `` now."),
        ([("F", "A dash "), ("M", "--"), ("F", " is none.")], "A dash -- is none."),
        ([("M", "o"), ("F", " Close the valve.")], "o Close the valve."),
        ([("B", "Never"), ("F", " at noon.")], "Never at noon."),
        ([("F", "In C# all is well.")], "In C# all is well."),
    ],
)
def test_monospaced_words_of_a_sentence_are_a_code_span(runs, text):
    found = paper.repair(read(show(*paragraph(700)) + in_line(*runs)))
    assert text in found
    assert found.count("`") == text.count("`")


def test_code_in_a_cell_and_in_a_broken_word_stays_code():
    rows = [[("F", "Name"), ("F", "Kind"), ("F", "Use")]]
    rows += [[("M", f"flow_{n}"), ("F", f"{n} l"), ("F", "any")] for n in range(3)]
    drawn = b"".join(
        in_line(cell, x=50 + 90 * column, y=700 - 15 * row)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
    )
    assert "| `flow_1` | 1 l | any |" in paper.repair(read(drawn + show(*paragraph(600))))


def test_a_font_named_like_a_monospaced_one_sets_no_code():
    drawn = making.pdf([[]], drawn=[show(*paragraph(700)) + in_line(("F", "Call "), ("M", "will"))])
    widths = b" ".join(b"250" if chr(code) in "il" else b"600" for code in range(32, 256))
    named = b"/BaseFont /Courier /Encoding /WinAnsiEncoding"
    other = b"/BaseFont /MonotypeCorsiva /FirstChar 32 /LastChar 255 /Widths [" + widths + b"]"
    (record,) = pdf.read(drawn.replace(named, other)).records
    assert "Call will" in record.text


def test_a_file_that_was_typed_is_prose():
    page = typed(*paragraph(700), ("Column   of   words", 50, 660))
    assert paper.repair(read(page)) == f"{' '.join(PROSE)}\n\nColumn of words"
    mixed = page + in_line(("M", "Say "), ("B", "never"), ("M", " at noon."))
    assert "Say never at noon." in paper.repair(read(mixed))


def test_monospaced_type_is_told_without_its_name():
    widths = b" ".join([b"600"] * 224)
    drawn = making.pdf([[]], drawn=[show(*paragraph(700)) + typed(*program(660))])
    named = b"/BaseFont /Courier /Encoding /WinAnsiEncoding"
    nameless = b"/BaseFont /Fernwick /FirstChar 32 /LastChar 255 /Widths [" + widths + b"]"
    assert named in drawn
    (record,) = pdf.read(drawn.replace(named, nameless)).records
    assert "    for bed in beds:\n        # dry\n" in record.text


def test_turned_text_is_no_heading():
    stamp = b"BT /F 20 Tf 0 1 -1 0 30 250 Tm (Stamp 12:3456) Tj ET\n"
    text = read(stamp + show(("The title", 50, 750), size=16) + show(*paragraph(700)))
    assert "# The title" in text
    assert "# Stamp" not in text
    assert "Stamp 12:3456" in text


ALIGNED = [
    ["Type", "Flow", "Limit"],
    ["V1", "10 l", "3 bar"],
    ["V2", "", "4 bar"],
    ["V3", "9 l", "-"],
]


def placed(rows: Sequence[Sequence[str]], step: float = 90, top: float = 700) -> bytes:
    """Draw cells below each other, row by row."""
    return show(
        *(
            (text, 50 + step * column, top - 15 * row)
            for row, cells in enumerate(rows)
            for column, text in enumerate(cells)
            if text
        )
    )


def test_cells_below_each_other_are_a_table_without_rules_and_empty_ones_keep_their_place():
    text = paper.repair(read(placed(ALIGNED) + show(*paragraph(600))))
    assert text == (
        "| Type | Flow | Limit |\n| --- | --- | --- |\n| V1 | 10 l | 3 bar |\n"
        f"| V2 |  | 4 bar |\n| V3 | 9 l | - |\n\n{' '.join(PROSE)}"
    )


@pytest.mark.parametrize(
    "rows",
    [
        [["1", "The pump", "3"], ["1.1", "Its seal", "7"], ["2", "The valve", "12"]],
        [["a)", "open", "b)", "shut"], ["c)", "on", "d)", "off"], ["e)", "up", "f)", "down"]],
        [["Type", "Flow", "Limit"], ["V1", "10 l", "3 bar"]],
        [sentences(1)[:3], sentences(2)[:3], sentences(3)[:3]],
    ],
    ids=["contents", "list", "two rows", "prose"],
)
def test_contents_lists_and_prose_in_columns_are_no_tables(rows: Sequence[Sequence[str]]):
    assert "|" not in read(placed(rows, step=185 if len(rows[0][0]) > 9 else 90))


def test_the_frame_of_a_page_with_a_sidebar_is_no_table():
    frame = rule(40, 760, 550, 760) + rule(40, 700, 550, 700) + rule(150, 760, 150, 60)
    page = frame + show(("Home", 50, 680), ("Install", 50, 660))
    page += show(*((text, 160, 680 - 20 * row) for row, text in enumerate(PROSE)))
    assert "|" not in read(page)


def test_drawn_bullets_mark_items_and_other_small_drawings_do_not():
    dots = b"".join(f"60 {702 - 13 * row} 3 3 re f\n".encode() for row in range(2))
    items = show(("open it", 70, 700), ("close it", 70, 687), *paragraph(650))
    assert paper.repair(read(dots + items)) == f"- open it\n- close it\n\n{' '.join(PROSE)}"
    far = b"20 702 3 3 re f\n60 690 3 1 re f\n300 702 3 3 re f\n"
    assert "- " not in paper.repair(read(far + items))
