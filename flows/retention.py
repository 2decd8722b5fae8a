"""Retention: general text, questions, instructions and refusals before and after a training."""

from collections.abc import Mapping
from typing import Any

from flows.engine.context import Run
from flows.engine.stage_runner import run_stage
from flows.models.loaded_model import LoadedModel
from pipeline.core.cache import digest
from pipeline.core.stage import Given, Stage
from pipeline.core.store import Dataset
from pipeline.evaluate.measures.behaviour import Item, compare_behaviour, read_behaviour_items
from pipeline.evaluate.results import Retention
from pipeline.evaluate.retention.forgetting import GeneralSet, compare, read_general_set
from pipeline.evaluate.stages import BEHAVIOUR, FORGETTING
from schemas.evaluation import BehaviourScores, GeneralScores

SCORED = ("base", "challenger")
"""Arms whose behaviour is measured."""


def measure_retention(
    run: Run, loaded: LoadedModel, model: Dataset, champion: Dataset | None
) -> tuple[Retention, dict[str, Dataset]]:
    """Measure base, champion and challenger on the general set and compare them.

    Each model is measured on everything before the next one is loaded.

    Returns:
        The comparison, and the data sets it rests on.
    """
    folder = run.settings.paths.general
    if folder is None:
        return Retention(), {}
    general = read_general_set(folder)
    items = read_behaviour_items(folder, run.settings.forgetting)
    arms: Mapping[str, Dataset | None] = {"base": None, "champion": champion, "challenger": model}
    measured: dict[str, Dataset] = {}
    for arm, adapter in arms.items():
        if arm == "champion" and champion is None:
            continue
        measured[f"general_{arm}"] = general_scores(
            run, FORGETTING.named(f"forgetting {arm}"), loaded, general, adapter
        )
        if arm in SCORED and items:
            measured[f"behaviour_{arm}"] = _behaviour(run, arm, loaded, items, adapter)
    scores = {
        arm: run.store.read(dataset, GeneralScores)
        for arm in arms
        if (dataset := measured.get(f"general_{arm}"))
    }
    settings = run.settings.evaluate
    mine = scores["challenger"]
    behaviour = None
    if items:
        said = [run.store.read(measured[f"behaviour_{arm}"], BehaviourScores) for arm in SCORED]
        behaviour = compare_behaviour(*said)
    retention = Retention(
        forgetting=compare(scores["base"], mine, settings),
        over_champion=compare(scores["champion"], mine, settings) if champion else None,
        behaviour=behaviour,
    )
    return retention, measured


def general_scores(
    run: Run, stage: Stage, loaded: LoadedModel, general: GeneralSet, adapter: Dataset | None
) -> Dataset:
    """Measure one model on general texts and questions."""
    return run_stage(
        run,
        stage,
        general=Given(general, digest(general.content())),
        **loaded.given(adapter),
    )


def _behaviour(
    run: Run, arm: str, loaded: LoadedModel, items: tuple[Item, ...], adapter: Dataset | None
) -> Dataset:
    tokens = run.settings.forgetting.max_new_tokens
    asked: list[Any] = [[item.id, item.kind, item.prompt, item.checks] for item in items]
    return run_stage(
        run,
        BEHAVIOUR.named(f"behaviour {arm}"),
        items=Given(items, digest(asked)),
        max_new_tokens=Given(tokens),
        also={"max_new_tokens": tokens},
        **loaded.given(adapter),
    )
