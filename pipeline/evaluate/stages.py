"""The stages of evaluation: what each model answers and loses, and what the gate says of it.

A model is given as a function that loads it; what needs torch is imported when it is called.
"""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.cache import write_atomically
from pipeline.core.errors import TeacherError
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.record import as_json
from pipeline.core.stage import Stage
from pipeline.core.store import Filled
from pipeline.evaluate.answers.prompts import Material
from pipeline.evaluate.measures.behaviour import Item
from pipeline.evaluate.retention.forgetting import GeneralSet
from pipeline.evaluate.test_set import test_set
from pipeline.pairs.teachers import teacher as teachers
from pipeline.pairs.teachers.replies import forget
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import EvaluateSettings
from schemas.evaluation import Answers, BehaviourScores, GeneralScores, HeldOutLosses
from schemas.pairs import Examples

LoadModel = Callable[[], tuple[Any, Any]]  # returns a model in memory and its tokenizer

LOADING = ("pipeline.train.models.adapter", "pipeline.train.cpu.packed")  # code that loads a model
ASKING = ("pipeline.evaluate.answers.answers", *LOADING)
COMPARED = "pairwise.json"
VERDICT = "verdict.json"
SWEPT = "sweep.json"
DECODED = "decoding.json"


def answers(
    arm: str,
    asked: DataFrame[Examples],
    model: LoadModel,
    settings: EvaluateSettings,
    material: Material,
) -> Outcome[Answers]:
    """Let one arm answer the test set; without rows no model is loaded."""
    from pipeline.evaluate.answers.answers import answer_timed, answered

    if not asked.height:
        return answered([], [])
    return answer_timed(arm, asked, *model(), settings, material)


def larger_answers(
    asked: DataFrame[Examples],
    base: DataFrame[Answers],
    teacher: Teacher,
    settings: EvaluateSettings,
    material: Material,
) -> Outcome[Answers]:
    """Let a larger model answer the test set at temperature 0, with passages where they are on.

    ``base``, the base model's answers, says how long the references are in its tokens. The larger
    model's have no loss and no log-probability; their tokens are those that it counts itself.
    TeacherError: it cannot be reached, or a question got no answer.
    """
    from pipeline.evaluate.answers.answers import Request, answered, messages_of, scores

    assert settings.max_new_tokens is not None, "pipeline.evaluate.test_set.answer_limit"
    rows = asked.sort("pair_id").to_dicts()
    asking = [messages_of(row, material, False)[:-1] for row in rows]
    requests = [
        teachers.Request(
            tuple((turn["role"], turn["content"]) for turn in turns),
            settings.max_new_tokens,
            temperature=0.0,
            top_p=1.0,
        )
        for turns in asking
    ]
    started = time.perf_counter()
    replies = teacher.complete(requests, seed=0)
    seconds = time.perf_counter() - started
    failed = [place for place, reply in enumerate(replies) if reply.failed]
    for place in failed:
        forget(teacher, requests[place], seed=0)
    if failed:
        raise TeacherError(
            f"larger model {teacher.name}: {len(failed)} of {len(replies)} questions got no answer "
            f"(first: {replies[failed[0]].shown}); expected one each; run again, or leave "
            "larger.model empty"
        )
    known = {row["pair_id"]: row for row in base.iter_rows(named=True)}
    written = [
        known[row["pair_id"]]
        | {
            "arm": "larger",
            "prompt_tokens": max(1, reply.prompt_tokens),
            "completion_tokens": max(1, reply.completion_tokens),
            "loss": None,
            "bits_per_byte": None,
            "log_prob": None,
            "stopped": float(reply.finish_reasons[0] == teachers.ENDED),
        }
        | scores(Request(row, [], [], False), reply.texts[0].strip(), material)
        for row, reply in zip(rows, replies, strict=True)
    ]
    timing: dict[str, Any] = {"rows": len(rows), "first_token_seconds": 0.0, "seconds": seconds}
    for name in ("prompt_tokens", "completion_tokens"):
        timing[name] = sum(row[name] for row in written)
    return answered(written, [timing])


def held_out_losses(
    rows: DataFrame[Examples], model: LoadModel, settings: EvaluateSettings
) -> Outcome[HeldOutLosses]:
    """Measure the losses of validation and test responses; one without a loss is ``too_long``."""
    from pipeline.evaluate.answers.answers import response_losses

    losses = response_losses(rows, *model(), settings)
    kept, dropped = [], []
    for row in rows.sort("pair_id").to_dicts():
        pair, text = row["pair_id"], row["messages"][-1]["content"]
        if pair in losses:
            loss, tokens = losses[pair]
            about = {name: row[name] for name in ("pair_id", "split", "cluster_id")}
            kept.append(about | {"tokens": tokens, "loss": loss})
        else:
            dropped.append(Drop(pair, "too_long", text, None, settings.max_tokens))
    return Outcome(table(HeldOutLosses, kept), drops(dropped), rows_in=rows.height)


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


def stored(folder: Path, file: str, record: Callable[[], Any], rows: int = 0) -> Filled:
    """Store a record in one file: speeds, scales, what a judge says, what the gate saw."""
    write_atomically(folder / file, json.dumps(as_json(record()), indent=1).encode())
    return Filled(identity=(file,), rows=rows)


TEST_SET = Stage(
    "test set", test_set, Examples,
    section="evaluate", fields=("max_tokens", "max_test_rows", "seed"), dataset="test_set",
)  # fmt: skip
ANSWER = Stage(
    "evaluate", answers, Answers, {"asked": Examples},
    section="evaluate", fields=("max_new_tokens", "thinking_tokens", "max_tokens", "batch_size"),
    dataset="answers", version=7, holds_model=True, code=ASKING,
)  # fmt: skip
LARGER = Stage(
    "evaluate larger", larger_answers, Answers, {"asked": Examples, "base": Answers},
    section="evaluate", fields=("max_new_tokens",), dataset="answers", version=3,
    code=("pipeline.evaluate.answers.answers",),
)  # fmt: skip
LOSSES = Stage(
    "losses", held_out_losses, HeldOutLosses,
    section="evaluate", fields=("batch_size", "max_tokens"),
    dataset="held_out_losses", version=1, holds_model=True, code=ASKING,
)  # fmt: skip
FORGETTING = Stage(
    "forgetting", general_scores, GeneralScores,
    dataset="general_scores", version=1, holds_model=True,
    code=("pipeline.evaluate.retention.general", *LOADING),
)  # fmt: skip
BEHAVIOUR = Stage(
    "behaviour", behaviour_scores, BehaviourScores,
    dataset="behaviour_scores", version=1, holds_model=True,
    code=("pipeline.evaluate.answers.behaviour_answers", *LOADING),
)  # fmt: skip
DECODING = Stage(
    "decoding", stored, None, dataset="decoding", version=1, holds_model=True, code=ASKING,
)  # fmt: skip
PAIRWISE = Stage(
    "judge", stored, None, dataset="pairwise", version=3,
    code=("pipeline.evaluate.measures.pairwise",),
)  # fmt: skip
SWEEP = Stage(
    "sweep", stored, None, version=1, holds_model=True,
    code=("pipeline.evaluate.retention.frontier", *LOADING),
)  # fmt: skip
GATE = Stage(
    "gate", stored, None, dataset="verdict",
    code=("pipeline.evaluate.gate.gate", "pipeline.evaluate.gate.advice"),
)  # fmt: skip
