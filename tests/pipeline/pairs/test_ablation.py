"""The pairs of an arm: its own train rows, and the held-out rows of all."""

import polars as pl

from pipeline.core.outcome import table
from pipeline.pairs.ablation import ablation_pairs
from schemas.pairs import Pairs, SettledPairs, Splits

SPLITS = {"train": "a" * 16, "test": "b" * 16, "validation": "c" * 16}


def pair(number: int, split: str, **changes: object) -> dict[str, object]:
    words = [
        "amber",
        "birch",
        "cedar",
        "dune",
        "ember",
        "fjord",
        "grove",
        "heath",
        "inlet",
        "jetty",
        "kelp",
        "lagoon",
    ]
    text = " ".join(words[number % 12 :] + words[: number % 12])
    return {
        "pair_id": f"{number:016x}", "instruction": f"What is said of number {number}?",
        "input": "", "response": f"{number} {text}", "evidence": "", "chunk_id": "",
        "doc_id": SPLITS[split], "seed_task_id": "", "generator": "g",
        "prompt_version": "1", "kind": "", "history": [], "other_chunk_id": "",
        "origin": "grounded", "score": None, "split": split, "cluster_id": SPLITS[split],
        "status": "unreviewed", "original_instruction": None, "original_response": None,
        "reviewer": None,
    } | changes  # fmt: skip


def splits() -> pl.DataFrame:
    rows = [
        {"doc_id": key, "chunk_id": "", "unit_id": key, "cluster_id": key, "split": name}
        for name, key in SPLITS.items()
    ]
    return table(Splits, rows)


def arm(source: list[dict[str, object]], reviewed: bool = False) -> tuple[pl.DataFrame, dict]:
    held = [pair(90, "test"), pair(91, "validation"), pair(92, "train")]
    columns = SettledPairs if reviewed else Pairs
    rows = [{name: row[name] for name in columns.columns()} for row in source]
    outcome = ablation_pairs(
        table(columns, rows), table(SettledPairs, held), splits(), reviewed=reviewed
    )
    assert outcome.balances
    return outcome.kept, dict(outcome.dropped.select("id", "reason").iter_rows())


def test_only_pairs_of_train_documents_are_trained_and_all_arms_share_the_held_out_rows() -> None:
    kept, dropped = arm([pair(1, "train"), pair(2, "test"), pair(3, "validation")])
    assert kept.filter(split="train")["pair_id"].to_list() == [f"{1:016x}"]
    assert set(kept.filter(pl.col("split") != "train")["pair_id"]) == {f"{90:016x}", f"{91:016x}"}
    assert set(dropped.values()) == {"held_out_document"}


def test_the_reviewed_arm_takes_what_a_person_accepted_or_edited() -> None:
    source = [
        pair(1, "train", status="accepted"),
        pair(2, "train", status="edited"),
        pair(3, "train"),
        pair(4, "train", status="gold", origin="gold"),
    ]
    kept, dropped = arm(source, reviewed=True)
    assert kept.filter(split="train")["status"].to_list() == ["accepted", "edited"]
    assert dropped == {f"{3:016x}": "not_reviewed", f"{4:016x}": "gold"}


def test_a_raw_pair_that_repeats_a_test_row_is_dropped_by_name() -> None:
    copy = pair(1, "train") | {name: pair(90, "test")[name] for name in ("instruction", "response")}
    kept, dropped = arm([copy])
    assert not kept.filter(split="train").height
    assert dropped == {f"{1:016x}": "leaks_into_test"}


def test_a_self_instruct_pair_has_no_document_and_is_trained() -> None:
    kept, _ = arm([pair(1, "train", origin="self_instruct", doc_id="")])
    assert kept.filter(split="train")["cluster_id"].to_list() == [f"{1:016x}"]
