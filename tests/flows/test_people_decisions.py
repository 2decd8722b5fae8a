"""What people decided about pairs, as the judge is calibrated on it."""

import polars as pl
import pytest

from pipeline.core.home import Home
from pipeline.core.outcome import Drop, table
from pipeline.core.store import Store
from pipeline.evaluate.measures.pairwise import people_decisions
from schemas.documents import Chunks
from schemas.pairs import ScreenedPairs, SettledPairs
from tests.flows.judged_home import settled, write
from tests.pipeline.train.seed_examples import make_examples

CHUNK = "c" * 16


@pytest.fixture
def home(tmp_path):
    """Twelve pairs: one edited, one accepted, one rejected, the others undecided."""
    store = Store(tmp_path / "store")
    (tmp_path / "refs").mkdir()
    pairs = settled(make_examples(12, 4)).with_columns(
        chunk_id=pl.lit(CHUNK),
        original_response=pl.when(status="edited").then(pl.lit("As it was.")),
    )
    screened = pairs.select(list(ScreenedPairs.dtypes()))
    gone = screened.with_columns(pair_id=pl.lit("f" * 16), response=pl.lit("Wrong."))[:1]
    chunk = {
        "chunk_id": CHUNK, "doc_id": "d" * 16, "title": "", "section": "", "start": 0, "end": 12,
        "text": "The passage.", "tokens": 3,
    }  # fmt: skip
    chunks = write(store, Chunks, "chunks", table(Chunks, [chunk]), {})
    before = write(
        store, ScreenedPairs, "screened_pairs", pl.concat([screened, gone]), {"chunks": str(chunks)}
    )
    after = write(
        store, SettledPairs, "settled_pairs", pairs, {"pairs": str(before)},
        dropped=[Drop("f" * 16, "rejected", "bad", 1.0, 1.0)],
    )  # fmt: skip
    return Home.at(tmp_path), write(
        store, SettledPairs, "clean_pairs", pairs, {"pairs": str(after)}
    )


def test_accepted_and_rewritten_answers_are_right_and_what_they_replaced_is_not(home):
    found = people_decisions(*home, 100)
    assert sorted(item.accepted for item in found) == [False, False, True, True]
    wrong = {item.answer for item in found if not item.accepted}
    assert wrong == {"As it was.", "Wrong."}
    rewritten = next(item for item in found if item.answer == "As it was.")
    right = [item for item in found if item.accepted and item.asked == rewritten.asked]
    assert len(right) == 1  # the same question, with the answer that a person wrote
    assert {item.asked.passage for item in found} == {"The passage."}


def test_of_many_decisions_half_are_of_each_kind(home):
    found = people_decisions(*home, 2)
    assert sorted(item.accepted for item in found) == [False, True]
    assert found == people_decisions(*home, 2)
