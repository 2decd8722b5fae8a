"""Retention: general text, questions, instructions and refusals before and after a training."""

from collections.abc import Mapping
from dataclasses import asdict

from flows.arms import TestSet
from flows.engine.context import Run
from flows.models.loaded_model import LoadedModel
from pipeline.core.cache import digest
from pipeline.core.stage import Given, Stage
from pipeline.core.store import Dataset
from pipeline.evaluate.measures.behaviour import compare_behaviour, read_behaviour_items
from pipeline.evaluate.results import Retention
from pipeline.evaluate.retention.forgetting import GeneralSet, compare, read_general_set
from pipeline.evaluate.stages import BEHAVIOUR, FORGETTING
from schemas.evaluation import BehaviourScores, GeneralScores

SCORED = ("base", "challenger")


def measure_arm(
    run: Run, loaded: LoadedModel, test: TestSet, arm: str, adapter: Dataset | None
) -> dict[str, Dataset]:
    """Measure base, champion or challenger on the general set, while it is loaded for its answers.

    Nothing where there is no such set, or no test row: no verdict could rest on it.
    """
    folder = run.settings.paths.general
    if folder is None or not test.frozen.rows:
        return {}
    stage = FORGETTING.named(f"forgetting {arm}")
    general = general_scores(run, stage, loaded, read_general_set(folder), adapter)
    measured = {f"general_{arm}": general}
    items = read_behaviour_items(folder, run.settings.forgetting)
    if arm in SCORED and items:
        tokens = run.settings.forgetting.max_new_tokens
        asked = [[item.id, item.kind, item.prompt, item.checks] for item in items]
        measured[f"behaviour_{arm}"] = run(
            BEHAVIOUR.named(f"behaviour {arm}"),
            items=Given(items, digest(asked)),
            max_new_tokens=Given(tokens),
            also={"max_new_tokens": tokens},
            **loaded.given(adapter),
        )
    return measured


def compare_retention(run: Run, measured: Mapping[str, Dataset]) -> Retention:
    """Compare the challenger with base and champion by what was measured of each."""
    if not measured:
        return Retention()
    names = [name for name in measured if name.startswith("general_")]
    general = {name: run.store.read(measured[name], GeneralScores) for name in names}
    settings, mine = run.settings.evaluate, general["general_challenger"]
    champion, behaviour = general.get("general_champion"), None
    if "behaviour_base" in measured:
        said = [run.store.read(measured[f"behaviour_{arm}"], BehaviourScores) for arm in SCORED]
        folder = run.settings.paths.general
        items = read_behaviour_items(folder, run.settings.forgetting) if folder else ()
        groups = {item.id: item.group for item in items if item.group}
        behaviour = compare_behaviour(said[0], said[1], groups)
    forgetting = compare(general["general_base"], mine, settings)
    over = compare(champion, mine, settings) if champion is not None else None
    return Retention(forgetting=forgetting, over_champion=over, behaviour=behaviour)


def general_scores(
    run: Run, stage: Stage, loaded: LoadedModel, general: GeneralSet, adapter: Dataset | None
) -> Dataset:
    """Measure one model on general texts and questions."""
    return run(stage, general=Given(general, digest(asdict(general))), **loaded.given(adapter))
