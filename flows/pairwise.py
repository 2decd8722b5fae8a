"""The pairwise judge in a run: calibrated on people's decisions, asked about the test answers."""

import json
import os
from collections.abc import Mapping
from functools import partial

from flows.engine.context import Run, say
from flows.engine.stage_runner import run_stage
from pipeline.core.cache import digest
from pipeline.core.home import Home
from pipeline.core.record import read_json
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.evaluate.measures.llm_judge import PROMPT_VERSION
from pipeline.evaluate.measures.pairwise import judge_arms, people_decisions
from pipeline.evaluate.results import Pairwise
from pipeline.evaluate.stages import COMPARED, PAIRWISE
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.settings import TeacherSettings


def judge_pairwise(
    run: Run, pairs: Dataset, frozen: Dataset, answers: Mapping[str, Dataset]
) -> tuple[Pairwise | None, dict[str, Dataset]]:
    """Let the judge compare the challenger's answers with those of base and champion.

    Returns:
        What the judge said, and the data set that keeps it; None and none without a judge.

    Raises:
        TeacherError: the endpoint cannot be reached, refuses, or fails too often.
    """
    settings = run.settings.judge
    if not settings.model:
        return None, {}
    teacher = _judge(run)
    decisions = people_decisions(Home(run.store, run.registry), pairs, settings.max_decisions)
    judged = {arm: answers[arm] for arm in ("base", "champion", "challenger") if arm in answers}
    ask = partial(judge_arms, run.store, run.settings, teacher, decisions, frozen, judged)
    dataset = run_stage(
        run,
        PAIRWISE,
        judged,
        ask=Given(ask),
        rows=Given(frozen.rows),
        test=frozen,
        decisions=digest([[item.id, winner] for item, winner in decisions]),
        judge=teacher.name,
        also={
            **settings.model_dump(mode="json", exclude=_APART),
            "prompt": PROMPT_VERSION,
            "confidence": run.settings.evaluate.confidence,
        },
        parents={"pairs": pairs},
    )
    record = json.loads((run.store.path(dataset) / COMPARED).read_text("utf-8"))
    return read_json(Pairwise, record), {"pairwise": dataset}


_APART = {"concurrency", "timeout_seconds", "max_retries", "base_url"}
"""Settings that change no reply, and the address, which may hold a password."""


def _judge(run: Run) -> CachingTeacher:
    settings = run.settings.judge
    endpoint = TeacherSettings(
        kind="openai",
        model=settings.model,
        base_url=settings.base_url,
        concurrency=settings.concurrency,
        timeout_seconds=settings.timeout_seconds,
        max_retries=settings.max_retries,
        thinking_tokens=settings.thinking_tokens,
        extra=settings.extra,
    )
    key = os.environ.get("OPENAI_API_KEY")
    return CachingTeacher(EndpointTeacher(endpoint, key, say, "judge"), run.cache("replies"))
