"""A home folder with a really trained model on the tiny base, its examples and a verdict."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.core.manifest import Recipe, fingerprint
from pipeline.core.outcome import Outcome, drops
from pipeline.core.record import as_json
from pipeline.core.store import Dataset, Filled, Store
from pipeline.evaluate.gate.gate import decide
from pipeline.settings import GateSettings, Settings
from pipeline.train.loop.trainer import train
from pipeline.train.models.base_model import BaseModel
from schemas.base import Table
from schemas.pairs import Examples, Reviews, SettledPairs
from tests.pipeline.evaluate.test_gate import GOOD, KEPT
from tests.pipeline.train.seed_examples import make_examples

TRAIN = {
    "method": "lora", "max_steps": 2, "batch_size": 4, "micro_batch_size": 4, "evaluations": 1,
    "learning_rate": 1e-2, "rank": 4, "max_tokens": 200,
}  # fmt: skip


def settings_of(base: BaseModel, home: Path, **sections: Any) -> Settings:
    """Settings of a project on the tiny base."""
    return Settings.model_validate(
        {"paths": {"home": home}, "model": {"base_model": str(base.path)}, "train": TRAIN}
        | sections
    )


def write(
    store: Store, schema: type[Table], name: str, rows: Any, inputs: Mapping[str, str], **facts: Any
) -> Dataset:
    """Store a table with its inputs; further facts: dropped rows, metrics, settings."""
    dropped = drops(facts.get("dropped", []))
    outcome = Outcome(
        rows, dropped, rows_in=rows.height + dropped.height, metrics=facts.get("metrics", {})
    )
    return store.write(_recipe(name, facts.get("settings", {}), inputs), schema, outcome, 0.0, 0.0)


def settled(examples: Any) -> Any:
    """Pairs behind examples: the first two edited and accepted by people."""
    from pipeline.core.outcome import table

    rows = []
    for number, row in enumerate(examples.sort("pair_id").iter_rows(named=True)):
        rows.append(
            {
                "pair_id": row["pair_id"], "instruction": row["messages"][0]["content"],
                "input": "", "response": row["messages"][-1]["content"], "evidence": "",
                "chunk_id": "", "doc_id": "", "seed_task_id": "", "generator": "teacher|a",
                "prompt_version": "3", "kind": "self_instruct", "history": [], "other_chunk_id": "",
                "origin": "self_instruct", "score": None,
                "split": row["split"], "cluster_id": row["pair_id"],
                "status": ["edited", "accepted", *["unreviewed"] * 99][number],
                "original_instruction": None, "original_response": None, "reviewer": None,
            }
        )  # fmt: skip
    return table(SettledPairs, rows)


def reviews(pairs: Any) -> Any:
    """Decisions of two reviewers on the first two pairs."""
    from pipeline.core.outcome import table

    rows = []
    for number, pair in enumerate(pairs["pair_id"][:2]):
        rows.append(
            {
                "pair_id": pair, "verdict": "accept", "edited_response": None, "flags": [],
                "edited_instruction": None, "seconds": None,
                "note": "", "reviewer": ["Ada Lovelace", "Carl Gauss"][number],
                "decided_at": "2026-01-01T00:00:00Z",
            }
        )  # fmt: skip
    return table(Reviews, rows)


def train_into(home: Path, base: BaseModel, **changes: Any) -> Dataset:
    """Train a model into the store, with examples and the pairs behind them as its lineage."""
    from pipeline.core.outcome import Drop

    store = Store(home / "store")
    settings = settings_of(base, home, train=TRAIN | changes)
    examples = make_examples(12, 4)
    pairs = settled(examples)
    examples = examples.sort("pair_id").with_columns(status=pairs["status"])
    said = write(store, Reviews, "reviews", reviews(pairs), {})
    behind = write(
        store, SettledPairs, "clean_pairs", pairs, {
            "pairs": str(
                write(
                    store, SettledPairs, "settled_pairs", pairs, {"reviews": str(said)},
                    dropped=[Drop("x" * 16, "rejected", "bad", 1.0, 1.0)],
                    metrics={"accepted": 1.0, "edited": 1.0, "rejected": 1.0, "unreviewed": 10.0},
                )
            )
        },
    )  # fmt: skip
    parent = write(store, Examples, "examples", examples, {"pairs": str(behind)})

    def fill(folder: Path) -> Filled:
        result = train(examples, base, settings.train, settings.model, home / "work", folder)
        (folder / "training.json").write_text(json.dumps(result.to_dict()), "utf-8")
        return Filled(
            identity=("adapter_config.json", "adapter_model.safetensors"), rows=result.rows_kept
        )

    section = settings.train.model_dump(mode="json")
    return store.write_folder(
        _recipe("model", section, {"from": str(parent), "base": base.digest}), fill
    )


def judge(home: Path, model: Dataset, leaks: int = 0) -> Dataset:
    """Store a verdict of the real gate on a model."""
    kept = replace(KEPT, over_champion=None)
    verdict = decide(GOOD, kept, GateSettings(), has_champion=False, leaks=leaks)
    record = {
        "evaluation": as_json(GOOD),
        "kept": as_json(kept),
        "verdict": as_json(verdict),
        "challenger": str(model),
    }

    def fill(folder: Path) -> Filled:
        (folder / "verdict.json").write_text(json.dumps(record), "utf-8")
        return Filled(identity=("verdict.json",), rows=GOOD.test_rows)

    return Store(home / "store").write_folder(
        _recipe("verdict", {"leaks": leaks}, {"model": str(model)}), fill
    )


def _recipe(name: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> Recipe:
    return Recipe(
        dataset=name,
        fingerprint=fingerprint(name, 1, dict(settings), dict(inputs)),
        stage_version=1,
        settings=dict(settings),
        inputs=dict(inputs),
        code={"commit": "c0ffee", "dirty": False},
        libraries={},
        created_at="2026-01-01T00:00:00Z",
    )
