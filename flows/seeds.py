"""Further trainings of the challenger's recipe, each from another seed, for a claimed gain."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
from pandera.typing.polars import DataFrame

from flows.arms import TestSet
from flows.context import Run
from flows.finetune import TRAIN, TrainingData, train_model
from flows.models import LoadedModel
from flows.steps import Stage, run_stage
from pipeline.evaluate.claim import Claim, claim
from pipeline.outcome import Outcome, drops, table
from pipeline.store import Dataset
from pipeline.train.base_model import BaseModel
from schemas.evaluation import Answers, SeedLosses
from schemas.pairs import Examples


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
    stage = Stage(f"train seed {seed}", TRAIN.version, "seed_model", holds_model=True)
    model = train_model(replace(run, settings=seeded), base, data.examples, stage)

    def compute(asked: DataFrame[Examples]) -> Outcome[SeedLosses]:
        from pipeline.evaluate.answers import response_losses

        losses = response_losses(asked, *loaded.get(model), settings.evaluate)
        rows = [{"pair_id": pair, "loss": loss} for pair, loss in sorted(losses.items())]
        return Outcome(table(SeedLosses, rows), drops([]), rows_in=asked.height)

    dataset = run_stage(
        run,
        Stage(f"evaluate seed {seed}", 1, "seed_losses", holds_model=True),
        SeedLosses,
        compute,
        settings=settings.evaluate.model_dump(mode="json", include={"max_tokens", "batch_size"}),
        tables={"asked": (test.frozen, Examples)},
        keys={"base": base.digest, "adapter": model.content},
        parents={"model": model},
    )
    return run.store.read(dataset, SeedLosses).sort("pair_id")["loss"]
