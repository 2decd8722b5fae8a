"""A home folder with really trained adapters on the tiny base, made in seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.manifest import Recipe, fingerprint
from pipeline.core.outcome import Outcome, drops
from pipeline.core.registry import CHAMPION, Registry
from pipeline.core.store import Dataset, Filled, Store
from pipeline.settings import Settings
from pipeline.train.loop.trainer import train
from pipeline.train.models.adapter import identity
from pipeline.train.models.base_model import BaseModel
from schemas.pairs import Examples
from tests.pipeline.train.seed_examples import make_examples

TRAIN = {
    "method": "qlora", "epochs": 1, "max_steps": 2, "batch_size": 4, "micro_batch_size": 4,
    "evaluations": 1, "learning_rate": 1e-2, "rank": 8, "max_tokens": 200,
}  # fmt: skip


def settings_of(base: BaseModel, home: Path, **sections: Any) -> Settings:
    """Settings of a project on the tiny base."""
    return Settings.model_validate(
        {
            "paths": {"home": home},
            "model": {"base_model": str(base.path), "threads": 1},
            "train": TRAIN,
        }
        | sections
    )


def train_into(
    home: Path,
    base: BaseModel,
    examples: DataFrame[Examples] | None = None,
    pairs: Dataset | None = None,
    **changes: Any,
) -> Dataset:
    """Train a model into the store of a home folder, with its examples as parent.

    Args:
        home: the home folder.
        base: the base model.
        examples: rows to train on; None: the first seed tasks.
        pairs: what the examples were made of.
        changes: other settings of [train].
    """
    import json

    store = Store(home / "store")
    settings = settings_of(base, home, train=TRAIN | changes)
    examples = make_examples(10, 2) if examples is None else examples
    parent = store.write(
        recipe("examples", {}, {"pairs": str(pairs)} if pairs else {}),
        Examples,
        Outcome(examples, drops([]), rows_in=examples.height),
        0.0,
        0.0,
    )

    def fill(folder: Path) -> Filled:
        result = train(examples, base, settings.train, settings.model, home / "work", folder)
        (folder / "training.json").write_text(json.dumps(result.to_dict()), "utf-8")
        return Filled(identity=identity(folder), rows=result.rows_kept)

    section = settings.train.model_dump(mode="json")
    inputs = {"from": str(parent), "base": base.digest}
    return store.write_folder(recipe("model", section, inputs), fill)


def crown(home: Path, model: Dataset, ref: str = CHAMPION) -> None:
    """Point a ref to a model."""
    Registry(home / "refs").point(ref, model, "test", "2026-01-01T00:00:00Z")


def recipe(name: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> Recipe:
    """What a stage of this name would be stored by."""
    return Recipe(
        dataset=name,
        fingerprint=fingerprint(name, 1, dict(settings), dict(inputs)),
        stage_version=1,
        settings=dict(settings),
        inputs=dict(inputs),
        code={},
        libraries={},
        created_at="2026-01-01T00:00:00Z",
    )
