"""The stages of evaluation: what each model answers and loses, and what the gate says of it.

A model is given as a function that loads it, so that a reused result loads none, and what needs
torch is imported when it is called.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.cache import write_atomically
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.record import as_json
from pipeline.core.stage import Stage
from pipeline.core.store import Filled
from pipeline.evaluate.answers.prompts import Material
from pipeline.evaluate.judged import Pairwise
from pipeline.evaluate.measures.behaviour import Item
from pipeline.evaluate.retention.forgetting import GeneralSet
from pipeline.evaluate.retention.frontier import frontier
from pipeline.evaluate.test_set.selection import test_set
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import EvaluateSettings
from schemas.evaluation import (
    Answers,
    AnswerTimings,
    BehaviourScores,
    GeneralScores,
    HeldOutLosses,
    SeedLosses,
)
from schemas.pairs import Examples

LoadModel = Callable[[], tuple[Any, Any]]
"""Returns a model in memory and its tokenizer."""

LOADING = ("pipeline.train.models.adapter", "pipeline.train.cpu.packed")
"""Code that brings a model into memory."""

COMPARED = "pairwise.json"
VERDICT = "verdict.json"
SWEPT = "sweep.json"
DECODED = "decoding.json"


def frozen_test_set(
    examples: DataFrame[Examples], load: Callable[[], Any], settings: EvaluateSettings
) -> Outcome[Examples]:
    """Choose the test rows that every arm is asked; ``load`` returns the tokenizer."""
    return test_set(examples, load(), settings)


def answers(
    arm: str,
    asked: DataFrame[Examples],
    model: LoadModel,
    settings: EvaluateSettings,
    material: Material,
) -> Outcome[Answers]:
    """Let one arm answer the test set; the timings lie beside, outside the content."""
    from pipeline.evaluate.answers.answers import answer_timed

    if asked.height:
        answered = answer_timed(arm, asked, *model(), settings, material)
        rows, timings = answered.answers, answered.timings
    else:
        rows, timings = table(Answers, []), table(AnswerTimings, [])
    return Outcome(
        rows,
        drops([]),
        rows_in=asked.height,
        tables={"timings": (AnswerTimings, timings)},
    )


def larger_answers(
    asked: DataFrame[Examples],
    base: DataFrame[Answers],
    teacher: Teacher,
    settings: EvaluateSettings,
    material: Material,
) -> Outcome[Answers]:
    """Let a larger model answer the test set; the timings lie beside, outside the content."""
    from pipeline.evaluate.answers.larger import ask_larger

    assert settings.max_new_tokens is not None, "pipeline.evaluate.test_set.selection.answer_limit"
    answered = ask_larger(asked, base, teacher, material, settings.max_new_tokens)
    return Outcome(
        answered.answers,
        drops([]),
        rows_in=asked.height,
        tables={"timings": (AnswerTimings, answered.timings)},
    )


def seed_losses(
    asked: DataFrame[Examples], model: LoadModel, settings: EvaluateSettings
) -> Outcome[SeedLosses]:
    """Measure the losses of the references under the training of another seed."""
    from pipeline.evaluate.answers.answers import response_losses

    losses = response_losses(asked, *model(), settings)
    rows = [{"pair_id": pair, "loss": loss} for pair, loss in sorted(losses.items())]
    return Outcome(table(SeedLosses, rows), drops([]), rows_in=asked.height)


def held_out_losses(
    rows: DataFrame[Examples], model: LoadModel, settings: EvaluateSettings
) -> Outcome[HeldOutLosses]:
    """Measure the losses of validation and test responses under a candidate."""
    from pipeline.evaluate.answers.held_out_loss import held_out_losses

    return held_out_losses(rows, *model(), settings)


def general_scores(general: GeneralSet, model: LoadModel) -> Outcome[GeneralScores]:
    """Measure a model on general texts and questions."""
    from pipeline.evaluate.retention.general import general_scores

    rows = general_scores(general, *model())
    return Outcome(rows, drops([]), rows_in=rows.height)


def behaviour_scores(
    items: Sequence[Item], model: LoadModel, max_new_tokens: int
) -> Outcome[BehaviourScores]:
    """Measure whether a model follows instructions and refuses what it should refuse."""
    from pipeline.evaluate.answers.behaviour_answers import behaviour_scores

    rows = behaviour_scores(items, *model(), max_new_tokens)
    return Outcome(rows, drops([]), rows_in=rows.height)


def decoding(folder: Path, speeds: Callable[[], Mapping[str, float]]) -> Filled:
    """Time the decoding of a candidate."""
    (folder / DECODED).write_text(json.dumps(speeds()), "utf-8")
    return Filled(identity=(DECODED,))


def pairwise(folder: Path, ask: Callable[[], Pairwise], rows: int) -> Filled:
    """Store what the pairwise judge says, and how it was calibrated."""
    write_atomically(folder / COMPARED, json.dumps(as_json(ask()), indent=1).encode())
    return Filled(identity=(COMPARED,), rows=rows)


def verdict(folder: Path, record: Mapping[str, Any], rows: int) -> Filled:
    """Store what the gate saw and said."""
    write_atomically(folder / VERDICT, json.dumps(as_json(record), indent=1).encode())
    return Filled(identity=(VERDICT,), rows=rows)


def sweep(
    folder: Path,
    name: str,
    model: LoadModel,
    validation: DataFrame[Examples],
    texts: Sequence[str],
    scales: Sequence[float],
    limits: tuple[float, float],
    evaluation: EvaluateSettings,
) -> Filled:
    """Measure an adapter at several scales."""
    from pipeline.evaluate.retention.scales import measure_scales

    base_loss, max_forgetting = limits
    points = measure_scales(scales, *model(), validation, texts, base_loss, evaluation)
    record = frontier(points, max_forgetting, name)
    write_atomically(folder / SWEPT, json.dumps(as_json(record), indent=1).encode())
    return Filled(identity=(SWEPT,), rows=len(points))


TEST_SET = Stage(
    "test set",
    frozen_test_set,
    Examples,
    section="evaluate",
    fields=("max_tokens", "max_test_rows", "seed"),
    dataset="test_set",
    code=("pipeline.evaluate.test_set.selection",),
)
ANSWER = Stage(
    "evaluate",
    answers,
    Answers,
    {"asked": Examples},
    "evaluate",
    fields=("max_new_tokens", "thinking_tokens", "max_tokens", "batch_size"),
    dataset="answers",
    version=7,
    holds_model=True,
    code=("pipeline.evaluate.answers.answers", *LOADING),
)
LARGER = Stage(
    "evaluate larger",
    larger_answers,
    Answers,
    {"asked": Examples, "base": Answers},
    "evaluate",
    fields=("max_new_tokens",),
    dataset="answers",
    version=3,
    code=("pipeline.evaluate.answers.larger",),
)
SEED_LOSSES = Stage(
    "evaluate seed",
    seed_losses,
    SeedLosses,
    {"asked": Examples},
    "evaluate",
    fields=("max_tokens", "batch_size"),
    dataset="seed_losses",
    version=1,
    holds_model=True,
    code=("pipeline.evaluate.answers.answers", *LOADING),
)
LOSSES = Stage(
    "losses",
    held_out_losses,
    HeldOutLosses,
    section="evaluate",
    fields=("batch_size", "max_tokens"),
    dataset="held_out_losses",
    version=1,
    holds_model=True,
    code=("pipeline.evaluate.answers.held_out_loss", *LOADING),
)
FORGETTING = Stage(
    "forgetting",
    general_scores,
    GeneralScores,
    dataset="general_scores",
    version=1,
    holds_model=True,
    code=("pipeline.evaluate.retention.general", *LOADING),
)
BEHAVIOUR = Stage(
    "behaviour",
    behaviour_scores,
    BehaviourScores,
    dataset="behaviour_scores",
    version=1,
    holds_model=True,
    code=("pipeline.evaluate.answers.behaviour_answers", *LOADING),
)
DECODING = Stage(
    "decoding",
    decoding,
    None,
    dataset="decoding",
    version=1,
    holds_model=True,
    code=("pipeline.evaluate.answers.held_out_loss", *LOADING),
)
PAIRWISE = Stage(
    "judge",
    pairwise,
    None,
    dataset="pairwise",
    version=3,
    code=("pipeline.evaluate.measures.pairwise",),
)
SWEEP = Stage(
    "sweep",
    sweep,
    None,
    version=1,
    holds_model=True,
    code=("pipeline.evaluate.retention.scales", "pipeline.evaluate.retention.frontier", *LOADING),
)
GATE = Stage(
    "gate",
    verdict,
    None,
    dataset="verdict",
    code=("pipeline.evaluate.gate.gate", "pipeline.evaluate.gate.advice"),
)
