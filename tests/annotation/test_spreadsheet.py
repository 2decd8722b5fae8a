import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.spreadsheet import guard, read_sheet, unguard, write_sheet


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "=x", "'=1"]
)
def test_no_cell_starts_like_a_formula(cell):
    assert guard(cell) == f"'{cell}"


@given(st.text())
def test_guarding_loses_nothing(cell):
    assert unguard(guard(cell)) == cell


@given(
    st.lists(
        st.text(st.characters(codec="utf-8")).map(lambda text: text.replace("\r", "")),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(",;\t"),
)
def test_any_text_survives_the_file(cells, delimiter):
    columns = [f"c{number}" for number in range(len(cells))]
    cells[0] = "x" + cells[0]  # a row of blanks is no row
    row = dict(zip(columns, cells, strict=True))
    data = write_sheet(columns, [row], delimiter)
    assert read_sheet(data, "queue.csv", columns).rows == (row,)


def test_no_pair_id_reads_as_a_number(queue):
    lines = (queue.folder / "queue.csv").read_text("utf-8-sig").splitlines()
    assert sum(line.startswith('"pair-') for line in lines) == 6
