"""Further trainings of the challenger's recipe, each from another seed, for a claimed gain."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import polars as pl

from flows.arms import TestSet
from flows.engine.context import Run
from flows.engine.stage_runner import run_stage
from flows.models.loaded_model import LoadedModel
from flows.training import TrainingData, train_model
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.evaluate.results import Claim
from pipeline.evaluate.stages import SEED_LOSSES
from pipeline.evaluate.statistics.claim import claim
from pipeline.train.models.base_model import BaseModel
from pipeline.train.stages import TRAIN
from schemas.evaluation import Answers, SeedLosses


def claim_gain(
    run: Run,
    base: BaseModel,
    data: TrainingData,
    test: TestSet,
    loaded: LoadedModel,
    answers: Mapping[str, Dataset],
) -> Claim | None:
    """Judge the recipe by ``evaluate.seeds`` trainings against the base model's losses.

    Of the further trainings only the losses of the references are taken, nothing is decoded; they
    are no candidates for promotion. None when the test set is empty.
    """
    before = run.store.read(answers["base"], Answers).sort("pair_id")
    if not before.height:
        return None
    first = run.settings.train.seed
    after = {first: run.store.read(answers["challenger"], Answers).sort("pair_id")["loss"]}
    for seed in range(first + 1, first + run.settings.evaluate.seeds):
        loaded.release()
        after[seed] = _losses(run, seed, base, data, test, loaded)
    return claim(
        {seed: (losses - before["loss"]).to_numpy() for seed, losses in after.items()},
        before["cluster_id"].to_list(),
        before["response_tokens"].to_numpy(),
        run.settings.evaluate.confidence,
    )


def _losses(
    run: Run, seed: int, base: BaseModel, data: TrainingData, test: TestSet, loaded: LoadedModel
) -> pl.Series:
    """Train from another seed and return the losses on the test set, sorted by pair_id."""
    settings = run.settings
    seeded = settings.model_copy(update={"train": settings.train.model_copy(update={"seed": seed})})
    stage = TRAIN.named(f"train seed {seed}", "seed_model")
    model = train_model(replace(run, settings=seeded), base, data.examples, stage)

    dataset = run_stage(
        run,
        SEED_LOSSES.named(f"evaluate seed {seed}"),
        asked=test.frozen,
        model=Given(partial(loaded.get, model)),
        base=base.digest,
        adapter=model.content,
        parents={"model": model},
    )
    return run.store.read(dataset, SeedLosses).sort("pair_id")["loss"]
