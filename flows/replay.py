"""The stage of replay: the base model answers general prompts once, for trainings to mix in."""

from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from flows.engine.context import Run
from flows.engine.stage_runner import run_stage
from pipeline.core.cache import digest
from pipeline.core.errors import TrainingError
from pipeline.core.manifest import content_digest
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.pairs.replay import REPLAY, rows_wanted
from pipeline.pairs.teachers.embedded import EmbeddedTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.pairs.user_files import read_seed_tasks
from pipeline.train.models.base_model import BaseModel
from schemas.pairs import Examples


def replay_rows(run: Run, base: BaseModel, examples: Dataset) -> pl.DataFrame:
    """Return the replay rows that go with the examples; none when train.replay_share is 0.

    The answers are in the store and in the reply cache: another training of the same base asks
    nothing twice.

    Raises:
        TrainingError: no answer can be used.
    """
    settings = run.settings
    rows = run.store.read(examples, Examples)
    wanted = rows_wanted(settings.train.replay_share, rows.filter(split="train").height)
    if not wanted:
        return rows.clear()
    seeds = read_seed_tasks(settings.paths.seeds)
    held_out = cast("DataFrame[Examples]", rows.filter(pl.col("split") != "train"))
    teacher = EmbeddedTeacher(base, settings.model, settings.generate.batch_size)

    dataset = run_stage(
        run,
        REPLAY,
        seed_tasks=Given(seeds, digest(seeds.to_dicts())),
        held_out=Given(held_out, content_digest(held_out)),
        wanted=Given(wanted),
        seed=Given(settings.train.seed),
        teacher=Given(CachingTeacher(teacher, run.cache("replies"))),
        also={"wanted": wanted, "seed": settings.train.seed},
        base=base.digest,
        parents={"examples": examples},
    )
    made = run.store.read(dataset, Examples)
    if not made.height:
        raise TrainingError(
            f"replay: none of {wanted} answers of the base model can be used (see the ledger of "
            f"{dataset}); expected some; set train.replay_share = 0, or choose an "
            "instruction-tuned base model"
        )
    return made
