"""Chunks, splits and pairs for the tests of screening."""

from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import Outcome, table
from pipeline.pairs.harvest import pair_id
from pipeline.settings import ScreenSettings
from schemas.documents import Chunks
from schemas.pairs import Pairs, ScreenedPairs, SeedTasks, Splits

TEXT = """The FW-200 raises alarm A17 when a pump runs dry for more than thirty seconds.
To reset the alarm, hold the key "Reset pump" for 5 seconds until the green lamp of the relay
board turns on. The Fernwick service team in Bristol replaces the pump seal every 2,500 hours of
operation, or on 3 May 2024 at the latest. Firmware 4.2.1 shows the number of starts per day on the
maintenance page, and the log keeps them for one year."""

SEEDS = ["Rewrite this message so that it sounds courteous.", "Sort the numbers in rising order."]


def chunks(*names: str) -> DataFrame[Chunks]:
    return table(
        Chunks,
        (
            {
                "chunk_id": short_id("chunk", name),
                "doc_id": short_id("doc", name),
                "title": "Pump alarms",
                "section": "Alarms > Dry running",
                "start": 0,
                "end": len(TEXT),
                "text": TEXT,
                "tokens": 90,
            }
            for name in names
        ),
    )


def splits(*names: str) -> DataFrame[Splits]:
    return table(
        Splits,
        (
            {
                "doc_id": short_id("doc", name),
                "chunk_id": "",
                "unit_id": short_id("cluster", name),
                "cluster_id": short_id("cluster", name),
                "split": "test" if name == "b" else "train",
            }
            for name in names
        ),
    )


def seed_tasks() -> DataFrame[SeedTasks]:
    return table(
        SeedTasks,
        (
            {
                "seed_task_id": f"seed-{n}",
                "name": "n",
                "instruction": text,
                "input": "",
                "output": "x",
                "is_classification": False,
            }
            for n, text in enumerate(SEEDS)
        ),
    )


def row(instruction: str, response: str, origin: str, name: str = "", **changed: Any) -> dict:
    doc_id = short_id("doc", name) if name else ""
    given = str(changed.get("input", ""))
    return {
        "pair_id": pair_id(instruction, given, response, doc_id, origin),
        "instruction": instruction,
        "input": given,
        "response": response,
        "evidence": "",
        "chunk_id": short_id("chunk", name) if name else "",
        "doc_id": doc_id,
        "seed_task_id": "",
        "generator": "teacher",
        "prompt_version": "1",
        "kind": "",
        "history": [],
        "other_chunk_id": "",
        "origin": origin,
        "score": None,
    } | changed


def grounded(instruction: str, response: str, name: str = "a", **changed: Any) -> dict:
    return row(instruction, response, "grounded", name, **changed)


def task(instruction: str, response: str, given: str = "") -> dict:
    return row(instruction, response, "self_instruct", input=given)


def pairs(*rows: dict) -> DataFrame[Pairs]:
    return table(Pairs, rows)


def screened(*rows: dict, **changed: Any) -> Outcome[ScreenedPairs]:
    from pipeline.pairs.screen.judge import Criteria
    from pipeline.pairs.screen.screen import screen

    names = ("a", "b", "c")
    return screen(
        pairs(*rows),
        chunks(*names),
        seed_tasks(),
        splits(*names),
        ScreenSettings(**changed),
        Criteria(("en",)),
    )
