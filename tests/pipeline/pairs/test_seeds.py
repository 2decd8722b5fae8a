"""Seed tasks are read whole or refused with the rows that are wrong."""

import pytest

from pipeline.core.errors import InputError
from pipeline.pairs.harvest import pair_id
from pipeline.pairs.user_files import read_jsonl, seed_tasks
from schemas.pairs import SeedTasks
from tests.conftest import ROOT

GOOD = {
    "id": "seed-1",
    "name": "name",
    "instruction": "Do it.",
    "input": "",
    "output": "Done.",
    "is_classification": False,
}


def test_the_seed_tasks_of_the_repository_are_a_valid_table():
    tasks = seed_tasks(read_jsonl(ROOT / "data/seeds/seed_tasks.jsonl"))
    SeedTasks.validate(tasks, lazy=True)
    assert tasks.height >= 100
    assert tasks["seed_task_id"].is_sorted()
    assert tasks["is_classification"].sum() >= 10


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "none found"),
        ([GOOD, {k: v for k, v in GOOD.items() if k != "output"}], "row 2: output: Field required"),
        (
            [GOOD | {"is_classification": "no"}],
            "row 1: is_classification: 'no' found; Input",
        ),
        ([GOOD | {"instruction": "  "}], "row 1: instruction: '  ' found; String should have at"),
        ([GOOD | {"outptu": ""}], "row 1: outptu: '' found; Extra inputs are not perm"),
        ([GOOD, GOOD], "row 2: id 'seed-1' is that of row 1"),
        ([GOOD | {"id": "seed 1"}], "row 1: id: 'seed 1' found; String should match"),
        ([{}] * 3, "and 13 more"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(rows, message):
    with pytest.raises(InputError, match=message):
        seed_tasks(rows)


def test_a_pair_has_the_id_of_its_content():
    one = pair_id("Ask?", "", "Answer.", "0" * 16, "grounded")
    assert one == pair_id("Ask?", "", "Answer.", "0" * 16, "grounded")
    others = {
        pair_id("Ask?", "", "Answer", "0" * 16, "grounded"),
        pair_id("Ask?", "Answer.", "", "0" * 16, "grounded"),
        pair_id("Ask?", "", "Answer.", "0" * 16, "gold"),
    }
    assert len(others | {one}) == 4
