"""Is the challenger better? Answer, score, compare, decide: every arm on one frozen test set."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from flows.context import Run
from flows.finetune import TrainingData
from flows.home import now
from flows.models import LoadedModel
from flows.steps import Stage, run_folder_stage, run_stage
from pipeline.cache import digest, write_atomically
from pipeline.dataset.chat import Message
from pipeline.evaluate.evaluate import Evaluation, summarise
from pipeline.evaluate.forgetting import Forgetting, compare, read_general_set
from pipeline.evaluate.gate import Verdict, decide
from pipeline.evaluate.selection import nearest_examples, test_set
from pipeline.manifest import content_digest
from pipeline.outcome import Outcome, drops, table
from pipeline.registry import CHALLENGER, CHAMPION
from pipeline.store import Dataset, Filled
from pipeline.train.base_model import BaseModel, load_tokenizer
from schemas.evaluation import ARMS, Answers, GeneralScores
from schemas.pairs import Examples

TEST_SET = Stage("test set", 1, "test_set")
ANSWER = {arm: Stage(f"evaluate {arm}", 1, "answers", holds_model=True) for arm in ARMS}
GENERAL = {
    arm: Stage(f"forgetting {arm}", 1, "general_scores", holds_model=True)
    for arm in ("base", "challenger")
}
GATE = Stage("gate", 1, "verdict")


@dataclass(frozen=True, slots=True)
class Judged:
    """What the evaluation found and the gate said."""

    answers: dict[str, Dataset]
    """Answers of each arm."""
    evaluation: Evaluation
    forgetting: Forgetting | None
    verdict: Verdict
    promoted: bool
    """Whether the challenger is champion now."""


def judge_model(
    run: Run, base: BaseModel, data: TrainingData, model: Dataset, loaded: LoadedModel
) -> Judged:
    """Evaluate all arms on the frozen test set, let the gate decide, move the refs."""
    settings = run.settings
    champion = champion_to_beat(run, model)
    run.registry.point(CHALLENGER, model, "trained", now())
    arms: dict[str, Dataset | None] = {"base": None}
    if settings.evaluate.few_shot:
        arms["few_shot"] = None
    if champion is not None:
        arms["champion"] = champion
    arms["challenger"] = model
    frozen = freeze_test_set(run, base, data.examples)
    answers = {
        arm: _answer(run, arm, base, loaded, data, frozen, adapter) for arm, adapter in arms.items()
    }
    general = _general_scores(run, base, loaded, model)
    evaluation = summarise(
        cast(
            "DataFrame[Answers]",
            pl.concat([run.store.read(dataset, Answers) for dataset in answers.values()]),
        ),
        settings.evaluate,
    )
    scores = {arm: run.store.read(dataset, GeneralScores) for arm, dataset in general.items()}
    forgetting = (
        compare(scores["base"], scores["challenger"], settings.evaluate) if scores else None
    )
    verdict = decide(evaluation, forgetting, settings.gate, champion is not None, data.leaks)

    def fill(folder: Path) -> Filled:
        record = {
            "evaluation": evaluation.to_dict(),
            "forgetting": forgetting.to_dict() if forgetting else None,
            "verdict": verdict.to_dict(),
            "champion": str(champion) if champion else None,
            "challenger": str(model),
        }
        write_atomically(folder / "verdict.json", json.dumps(record, indent=1).encode())
        return Filled(identity=("verdict.json",), rows=evaluation.test_rows)

    run_folder_stage(
        run,
        GATE,
        fill,
        settings={
            "gate": settings.gate.model_dump(mode="json"),
            "evaluate": settings.evaluate.model_dump(mode="json"),
            "leaks": data.leaks,
        },
        inputs={**answers, **{f"general_{arm}": item for arm, item in general.items()}},
        parents={"model": model},
    )
    return Judged(answers, evaluation, forgetting, verdict, promote(run, model, verdict))


def promote(run: Run, model: Dataset, verdict: Verdict) -> bool:
    """Make the challenger champion when the gate says yes; return whether it is champion now.

    A model that was champion before and was rolled back by a person stays back: only a person
    brings it up again.
    """
    current = run.registry.get(CHAMPION)
    if current is not None and current.fingerprint == model.fingerprint:
        return True
    if not verdict.promoted or run.registry.was(CHAMPION, model.fingerprint):
        return False
    run.registry.point(CHAMPION, model, verdict.summary, now())
    return True


def champion_to_beat(run: Run, model: Dataset) -> Dataset | None:
    """Return the champion, or the one before it when the challenger is champion already.

    So a second run compares with what the first one compared with, and reuses its evaluation.
    """
    current = run.registry.get(CHAMPION)
    if current is None:
        return None
    fingerprint = current.fingerprint
    if fingerprint == model.fingerprint:
        if current.previous is None:
            return None
        fingerprint = current.previous
    manifest = run.store.manifest(current.name, fingerprint)
    return Dataset(current.name, fingerprint, manifest.content, manifest.facts.rows)


def freeze_test_set(run: Run, base: BaseModel, examples: Dataset) -> Dataset:
    """Fix the rows that every arm is asked: all test rows that fit, or a seeded sample."""
    rows = run.store.read(examples, Examples)
    return run_stage(
        run,
        TEST_SET,
        Examples,
        lambda: test_set(rows, load_tokenizer(base.path), run.settings.evaluate),
        settings=run.settings.evaluate,
        keys={"test": content_digest(rows.filter(split="test")), "base": base.digest},
        parents={"examples": examples},
    )


def _answer(
    run: Run,
    arm: str,
    base: BaseModel,
    loaded: LoadedModel,
    data: TrainingData,
    frozen: Dataset,
    adapter: Dataset | None,
) -> Dataset:
    settings = run.settings.evaluate
    keys = {"base": base.digest}
    if adapter is not None:
        keys["adapter"] = adapter.content
    shots: dict[str, list[Message]] = {}
    if arm == "few_shot":
        shots = nearest_examples(run.store.read(data.examples, Examples), settings.few_shot)
        keys["shots"] = digest(shots)

    def compute(asked: DataFrame[Examples]) -> Outcome[Answers]:
        from pipeline.evaluate.answers import answer

        if not asked.height:
            return Outcome(table(Answers, []), drops([]), rows_in=0)
        answers = answer(arm, asked, *loaded.get(adapter), settings, shots)
        return Outcome(answers, drops([]), rows_in=asked.height)

    return run_stage(
        run,
        ANSWER[arm],
        Answers,
        compute,
        settings=settings,
        tables={"asked": (frozen, Examples)},
        keys=keys,
        parents={"model": adapter} if adapter else {},
    )


def _general_scores(
    run: Run, base: BaseModel, loaded: LoadedModel, model: Dataset
) -> dict[str, Dataset]:
    folder = run.settings.paths.general
    if folder is None:
        return {}
    general = read_general_set(folder)
    content = digest(general.content())

    def scores(arm: str, adapter: Dataset | None) -> Dataset:
        def compute() -> Outcome[GeneralScores]:
            from pipeline.evaluate.general import general_scores

            rows = general_scores(general, *loaded.get(adapter))
            return Outcome(rows, drops([]), rows_in=rows.height)

        keys = {"general": content, "base": base.digest}
        if adapter is not None:
            keys["adapter"] = adapter.content
        parents = {"model": adapter} if adapter else {}
        return run_stage(
            run, GENERAL[arm], GeneralScores, compute, settings={}, keys=keys, parents=parents
        )

    return {"base": scores("base", None), "challenger": scores("challenger", model)}
