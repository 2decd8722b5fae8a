"""Which exchanges people should look at, and what becomes of them."""

import json

import polars as pl

from pipeline.core.outcome import table
from pipeline.drift.logs import read_logs
from pipeline.drift.traffic import choose
from pipeline.evaluate.answers.chunk_index import ChunkIndex
from pipeline.pairs.review import settle
from pipeline.pairs.traffic import traffic_pairs
from pipeline.settings import ReviewSettings, Settings, SplitSettings
from schemas.documents import Chunks
from schemas.pairs import Reviews, ScreenedPairs, Splits
from tests.pipeline.drift.test_logs import written

PUMP = "The pump stops when the inlet valve is closed. Open the valve by hand."
LAMP = "The signal lamp blinks twice a second while the memory is written."
ROWS = [("c1", "d1", PUMP), ("c2", "d2", LAMP)]
CHUNKS = table(
    Chunks,
    [
        {
            "chunk_id": chunk * 8, "doc_id": doc * 8, "title": "", "section": "", "start": 0,
            "end": len(text), "text": text, "tokens": 12,
        }
        for chunk, doc, text in ROWS
    ],
)  # fmt: skip
SPLITS = table(
    Splits,
    [
        {
            "doc_id": doc * 8,
            "chunk_id": "",
            "unit_id": doc * 8,
            "cluster_id": doc * 8,
            "split": split,
        }
        for (_, doc, _), split in zip(ROWS, ("train", "test"), strict=True)
    ],
)
INDEX = ChunkIndex(CHUNKS)
SETTINGS = Settings()
RIGHT = "Open the inlet valve by hand."


def row(number, prompt, response, **more):
    return {"id": f"a{number}", "time": 1_800_000_000 + number, "prompt": prompt} | (
        {"response": response} | more
    )


LOG = [
    row(1, "Why does the pump stop?", "Because the inlet valve is closed."),
    row(2, "How do I start the pump?", RIGHT),
    row(3, "When does the signal lamp blink?", "It rings like a church bell on every Sunday."),
    row(4, "Who made the pump?", "I do not know: my documents say nothing about that."),
    row(5, "Is the lamp of jo@example.com red?", "Twice a second, jo@example.com."),
    row(6, "how do I  START the pump?", "The valve is closed."),
    {"rates": "a2", "rating": 1, "time": 1_800_000_010},
    {"rates": "a2", "rating": -1, "time": 1_800_000_011},
    {"rates": "a6", "rating": -1, "time": 1_800_000_012},
    {"rates": "gone", "rating": -1, "time": 1_800_000_013},
]


def exchanges(folder, *rows):
    return read_logs(written(folder, *(rows or LOG))).kept


def test_a_rating_line_rates_its_exchange_and_the_latest_counts(tmp_path):
    found = read_logs(written(tmp_path, *LOG))
    assert found.balances and found.rows_in == 6
    rated = dict(found.kept.select("prompt", "rating").iter_rows())
    assert rated[LOG[1]["prompt"]] == -1
    assert rated[LOG[0]["prompt"]] is None
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    more = {"history": history, "chunk_ids": ["c1", 2, "\ud800"], "model": "m"}
    told = json.dumps(row(1, "x", "y", **more))  # with its half of a surrogate pair escaped
    kept = exchanges(tmp_path, told, row(2, "x", "y", history=[{"role": "q"}]))
    assert kept.select("history", "chunk_ids", "model").rows() == [
        (history, ["c1", "\ufffd"], "m"),
        ([], [], ""),
    ]


def test_what_was_rated_down_drifted_abstained_or_made_up_is_chosen_once(tmp_path):
    logged = exchanges(tmp_path)
    by_prompt = dict(logged.select("prompt", "exchange_id").iter_rows())
    drifted = [by_prompt[LOG[4]["prompt"]], "elsewhere"]
    chosen = choose(logged, INDEX, drifted, [], 40, SETTINGS)
    assert [(item["reason"], item["prompt"]) for item in chosen] == [
        ("rated_down", LOG[5]["prompt"]),  # the same question as the earlier one, the latest comes
        ("drifted", "Is the lamp of <EMAIL_1> red?"),
        ("abstained", LOG[3]["prompt"]),
        ("unsupported", LOG[2]["prompt"]),
    ]
    assert chosen[1]["response"] == "Twice a second, <EMAIL_1>."
    assert chosen[3]["chunk_ids"] == ["c2" * 8], "the best passage, where none was given"
    assert choose(logged, INDEX, drifted, chosen, 40, SETTINGS) == []
    assert choose(logged, INDEX, drifted, [], 2, SETTINGS) == chosen[:2]
    stars = SETTINGS.model_copy(
        update={"monitor": SETTINGS.monitor.model_copy(update={"low_rating": -2})}
    )
    assert "rated_down" not in {item["reason"] for item in choose(logged, INDEX, [], [], 9, stars)}


def test_the_given_passages_are_what_an_answer_is_judged_by(tmp_path):
    given = row(1, "Why does the pump stop?", "Twice a second.", chunk_ids=["c2" * 8, "gone"])
    assert choose(exchanges(tmp_path, given), INDEX, [], [], 9, SETTINGS) == []
    alone = row(1, "Why does the pump stop?", "Twice a second.")
    (chosen,) = choose(exchanges(tmp_path, alone), INDEX, [], [], 9, SETTINGS)
    assert (chosen["reason"], chosen["chunk_ids"]) == ("unsupported", ["c1" * 8])


def test_pairs_follow_their_document_into_its_split_and_wait_for_an_accept(tmp_path):
    chosen = choose(exchanges(tmp_path), INDEX, [], [], 40, SETTINGS)
    outcome = traffic_pairs(chosen, CHUNKS, SPLITS, SplitSettings())
    ScreenedPairs.validate(outcome.kept)
    assert outcome.balances
    split = dict(outcome.kept.select("chunk_id", "split").iter_rows())
    assert split == {"c1" * 8: "train", "c2" * 8: "test"}
    assert set(outcome.kept["pair_id"]) == {item["pair_id"] for item in chosen}
    # The corpus changed: the same pairs, without the passage that is gone.
    later = traffic_pairs(chosen, CHUNKS.clear(), SPLITS, SplitSettings())
    assert later.kept["pair_id"].to_list() == outcome.kept["pair_id"].to_list()
    assert set(later.kept["doc_id"]) == {""}

    start = next(item["pair_id"] for item in chosen if "START" in item["prompt"])
    decision = {
        "pair_id": start, "verdict": "edit", "edited_response": RIGHT, "flags": [], "note": "",
        "reviewer": "ada", "decided_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    settled = settle(
        table(ScreenedPairs, []),
        table(Reviews, [decision]),
        ReviewSettings(require="none"),
        traffic=outcome.kept,
    )
    assert settled.kept.select("pair_id", "response", "status", "origin").rows() == [
        (start, RIGHT, "edited", "traffic")
    ]
    assert settled.reasons == {"needs_accept": len(chosen) - 1}
    assert settled.metrics["sample_reviewed"] == 0, "no part of the random sample"
    assert pl.Series(settled.kept["split"]).to_list() == ["train"]
