"""Is the challenger better? Answer, score, compare, decide: every arm on one frozen test set."""

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, replace
from functools import partial
from typing import Any

import polars as pl

from flows.arms import TestSet, answer_arm, claim_gain, which_look
from flows.engine.context import Run, say_once
from flows.models.loaded_model import LoadedModel
from flows.retention import compare_retention, measure_arm
from flows.synthesize import judge_endpoint
from flows.training import TrainingData, train_placebo
from pipeline.core.cache import digest
from pipeline.core.home import Home
from pipeline.core.journal import now
from pipeline.core.record import as_json, read_json
from pipeline.core.registry import CHALLENGER, CHAMPION
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.evaluate.gate import advice, checks
from pipeline.evaluate.gate.gate import Judged, decide
from pipeline.evaluate.measures import own, pairwise
from pipeline.evaluate.measures.grounding import Taught, taught
from pipeline.evaluate.measures.llm_judge import PROMPT_VERSION, asked_of
from pipeline.evaluate.results import Cost, Evaluation, Looks, Pairwise, Verdict
from pipeline.evaluate.stages import COMPARED, GATE, PAIRWISE, VERDICT
from pipeline.evaluate.summary import served_arm, summarise
from pipeline.pairs.kinds.brief import brief_in_words
from schemas.documents import Chunks
from schemas.evaluation import Answers, AnswerTimings
from schemas.pairs import Examples, SettledPairs

_APART = {"concurrency", "timeout_seconds", "max_retries", "base_url"}
"""Settings that change no reply, and the address, which may hold a password."""


def judge_pairwise(
    run: Run, pairs: Dataset, test: TestSet, answers: Mapping[str, Dataset], served: str
) -> tuple[Pairwise | None, dict[str, Dataset]]:
    """Let the judge grade the challenger as served beside base and champion, and compare them.

    Returns what the judge said, and the data set that keeps it; None and none without a judge. A
    TeacherError where its endpoint cannot be reached, refuses, or fails too often.
    """
    settings = run.settings.judge
    if not settings.model:
        return None, {}
    teacher = judge_endpoint(run)
    home = Home(run.store, run.registry)
    decisions = pairwise.people_decisions(home, pairs, settings.max_decisions)
    judged = {arm: answers[arm] for arm in ("base", "champion") if arm in answers}
    judged["challenger"] = answers[served]
    about = (decisions, test.frozen, judged, test.sources)
    ask = partial(pairwise.judge_arms, run.store, run.settings, teacher, *about)
    people = [[*astuple(item.asked), item.answer, item.accepted] for item in decisions]
    dataset = run(
        PAIRWISE,
        judged,
        file=Given(COMPARED),
        record=Given(ask),
        rows=Given(test.frozen.rows),
        test=test.frozen,
        decisions=digest(people),
        sources=digest(dict(test.sources)),
        judge=teacher.name,
        also={
            **settings.model_dump(mode="json", exclude=_APART),
            "prompt": PROMPT_VERSION,
            "brief": brief_in_words(run.settings.task),
            "confidence": run.settings.evaluate.confidence,
        },
        parents={"pairs": pairs},
    )
    record = json.loads((run.store.path(dataset) / COMPARED).read_text("utf-8"))
    return read_json(Pairwise, record), {"pairwise": dataset}


def _summary(run: Run, test: TestSet, answers: Mapping[str, Dataset], looks: Looks) -> Evaluation:
    settings = run.settings.evaluate
    metrics = {name: own.load_metric(name) for name in settings.metrics}
    known = asked_of(run.store.read(test.frozen, Examples), test.sources)
    rows = pl.concat(run.store.read(dataset, Answers) for dataset in answers.values())
    found = own.with_own_metrics(rows, metrics, known)
    return summarise(found, settings, test.labels, test.unit, looks)


def judge_model(
    run: Run, data: TrainingData, test: TestSet, model: Dataset, loaded: LoadedModel,
    prompted: Mapping[str, Dataset], measured: Mapping[str, Dataset], learned: Taught,
) -> Judged:  # fmt: skip
    """Evaluate the adapters beside the base model's arms, let the gate decide, move the refs.

    Each model is asked everything before the next one is loaded; champion and placebo in the way in
    which the challenger is right more often: alone, or with passages. ``prompted``: the base
    model's answers by arm; ``measured``: it on the general set; ``learned``: support of its rows.
    """
    settings, champion = run.settings, champion_to_beat(run, model)
    run.registry.point(CHALLENGER, model, "trained", now())
    looks = which_look(run, test.frozen, model)
    answers, general = dict(prompted), dict(measured)
    for arm in ("challenger", "challenger_retrieval"):
        if arm == "challenger" or arm in settings.evaluate.arms:
            answers[arm] = answer_arm(run, arm, loaded, test, model)
    general |= measure_arm(run, loaded, test, "challenger", model)
    known = pl.concat(run.store.read(dataset, Answers) for dataset in answers.values())
    passages = served_arm(known) == "challenger_retrieval"
    if champion is not None:
        answers["champion"] = answer_arm(run, "champion", loaded, test, champion, passages=passages)
        general |= measure_arm(run, loaded, test, "champion", champion)
    steps = None
    if settings.evaluate.placebo and test.frozen.rows:
        loaded.release()
        placebo, steps = train_placebo(run, loaded.base, data.examples, model)
        answers["placebo"] = answer_arm(run, "placebo", loaded, test, placebo, passages=passages)
    retention = compare_retention(run, general)
    evaluation = replace(_summary(run, test, answers, looks), placebo_steps=steps)
    costs = _costs(run, answers)
    advised = advice.advise(evaluation, costs)
    claimed = claim_gain(run, data, test, loaded, answers)
    judge, compared = judge_pairwise(run, data.pairs, test, answers, evaluation.served)
    beside = champion is not None, data.leaks, claimed, judge, learned
    verdict = decide(evaluation, retention, settings.gate, *beside)
    record = {
        "evaluation": evaluation,
        "kept": retention,
        "thresholds": settings.gate.model_dump(mode="json"),
        "leaks": data.leaks,
        "verdict": verdict,
        "advice": advised,
        "claim": claimed,
        "pairwise": judge,
        "champion": str(champion) if champion else None,
        "challenger": str(model),
    }
    evidence = run(
        GATE,
        {**answers, **general, **compared},
        file=Given(VERDICT),
        record=Given(lambda: record),
        rows=Given(evaluation.test_rows),
        also={
            "gate": settings.gate.model_dump(mode="json"),
            "evaluate": settings.evaluate.model_dump(mode="json"),
            "has_champion": champion is not None,
            "leaks": data.leaks,
            "taught": as_json(learned),
            "labels": digest(test.labels),
            "by_seed": as_json(claimed.by_seed) if claimed else {},
        },
        parents={"model": model},
    )
    told = replace(evaluation, costs=costs, advice=advised, claim=claimed)
    return Judged(answers, told, retention, verdict, promote(run, model, verdict, evidence))


def look_at_answers(run: Run, pairs: Dataset, examples: Dataset, chunks: Dataset) -> Taught:
    """Measure the support of training answers, and say so where the gate would refuse them."""
    store, settings = run.store, run.settings.screen

    def look() -> dict[str, Any]:
        rows, settled = store.read(examples, Examples), store.read(pairs, SettledPairs)
        return asdict(taught(rows, settled, store.read(chunks, Chunks), settings))

    datasets = (examples, pairs, chunks)
    found = Taught(**run.remembered(look, taught.__module__, datasets, screen=settings.recipe()))
    for check in checks.taught_right(found, run.settings.gate.min_grounded_training):
        if not check.passed:
            say_once(f"training answers: {check.text}; the gate refuses a model that learned them")
    return found


def _costs(run: Run, answers: Mapping[str, Dataset]) -> dict[str, Cost]:
    found = {}
    for arm, dataset in answers.items():
        timings = run.store.read_table(dataset, "timings", AnswerTimings)
        prices = run.settings.larger if arm == "larger" else run.settings.evaluate
        if timings.height:
            found[arm] = advice.cost(timings, prices.prompt_price, prices.completion_price)
    return found


def promote(run: Run, model: Dataset, verdict: Verdict, evidence: Dataset) -> bool:
    """Make the challenger champion when the gate says yes; return whether it is champion now.

    The ref names the evidence: the data set of the verdict. A model that a person rolled back stays
    back: only a person brings it up again.
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
    return Dataset.of(run.store.manifest(current.name, current.previous))
