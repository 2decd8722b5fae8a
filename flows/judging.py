"""Is the challenger better? Answer, score, compare, decide: every arm on one frozen test set."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from flows.arms import TestSet, answer_arm
from flows.engine.context import Run
from flows.engine.home import now
from flows.engine.stage_runner import run_stage
from flows.models.loaded_model import LoadedModel
from flows.pairwise import judge_pairwise
from flows.retention import measure_retention
from flows.seeds import claim_gain
from flows.test_set_log import note_look
from flows.training import TrainingData
from pipeline.core.cache import digest
from pipeline.core.record import as_json
from pipeline.core.registry import CHALLENGER, CHAMPION
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.evaluate.gate.advice import advise, cost, tokens_by_arm
from pipeline.evaluate.gate.gate import Judged, decide
from pipeline.evaluate.results import Cost, Verdict
from pipeline.evaluate.stages import GATE
from pipeline.evaluate.summary import summarise
from pipeline.train.models.base_model import BaseModel
from schemas.evaluation import Answers, AnswerTimings


def judge_model(
    run: Run,
    base: BaseModel,
    data: TrainingData,
    test: TestSet,
    model: Dataset,
    loaded: LoadedModel,
    prompted: Mapping[str, Dataset],
) -> Judged:
    """Evaluate the adapters beside the base model's arms, let the gate decide, move the refs."""
    settings = run.settings
    run.registry.point(CHALLENGER, model, "trained", now())
    champion = champion_to_beat(run, model)
    look = note_look(run, test.frozen, model)
    answers = dict(prompted)
    if champion is not None:
        answers["champion"] = answer_arm(run, "champion", base, loaded, test, champion)
    answers["challenger"] = answer_arm(run, "challenger", base, loaded, test, model)
    if "challenger_retrieval" in settings.evaluate.arms:
        arm = "challenger_retrieval"
        answers[arm] = answer_arm(run, arm, base, loaded, test, model)
    retention, general = measure_retention(run, base, loaded, model, champion)
    said = cast(
        "DataFrame[Answers]",
        pl.concat([run.store.read(dataset, Answers) for dataset in answers.values()]),
    )
    evaluation = summarise(said, settings.evaluate, test.labels, test.unit, look)
    advice = advise(evaluation, tokens_by_arm(said))
    claimed = claim_gain(run, base, data, test, loaded, answers)
    pairwise, compared = judge_pairwise(run, data.pairs, test.frozen, answers)
    verdict = decide(
        evaluation, retention, settings.gate, champion is not None, data.leaks, claimed, pairwise
    )

    record = {
        "evaluation": evaluation,
        "kept": retention,
        "thresholds": settings.gate.model_dump(mode="json"),
        "leaks": data.leaks,
        "verdict": verdict,
        "advice": advice,
        "claim": claimed,
        "pairwise": pairwise,
        "champion": str(champion) if champion else None,
        "challenger": str(model),
    }
    evidence = run_stage(
        run,
        GATE,
        {**answers, **general, **compared},
        record=Given(record),
        rows=Given(evaluation.test_rows),
        also={
            "gate": settings.gate.model_dump(mode="json"),
            "evaluate": settings.evaluate.model_dump(mode="json"),
            "has_champion": champion is not None,
            "leaks": data.leaks,
            "labels": digest(test.labels),
            "by_seed": as_json(claimed.by_seed) if claimed else {},
        },
        parents={"model": model},
    )
    told = replace(evaluation, costs=_costs(run, answers), advice=advice, claim=claimed)
    promoted = promote(run, model, verdict, evidence)
    return Judged(answers, told, retention, verdict, promoted)


def _costs(run: Run, answers: Mapping[str, Dataset]) -> dict[str, Cost]:
    settings = run.settings.evaluate
    found = {}
    for arm, dataset in answers.items():
        timings = run.store.read_table(dataset, "timings", AnswerTimings)
        if timings.height:
            found[arm] = cost(timings, settings.prompt_price, settings.completion_price)
    return found


def promote(run: Run, model: Dataset, verdict: Verdict, evidence: Dataset) -> bool:
    """Make the challenger champion when the gate says yes; return whether it is champion now.

    The ref names the evidence: the data set of the verdict, with all that it rests on.

    A model that was champion before and was rolled back by a person stays back: only a person
    brings it up again.
    """
    current = run.registry.get(CHAMPION)
    if current is not None and current.fingerprint == model.fingerprint:
        return True
    if not verdict.promoted or run.registry.was(CHAMPION, model.fingerprint):
        return False
    run.registry.point(CHAMPION, model, verdict.summary, now(), str(evidence))
    return True


def champion_to_beat(run: Run, model: Dataset) -> Dataset | None:
    """Return the champion, or the one before it when the challenger is champion already.

    So a second run compares with what the first one compared with, and reuses its evaluation.
    """
    current = run.registry.get(CHAMPION)
    if current is None or current.fingerprint != model.fingerprint:
        return run.registry.dataset(CHAMPION, run.store)
    if current.previous is None:
        return None
    manifest = run.store.manifest(current.name, current.previous)
    return Dataset(current.name, current.previous, manifest.content, manifest.facts.rows)
