"""Choose method, rank, targets and learning rate on validation loss, and say so in a report."""

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import cast

from pandera.typing.polars import DataFrame
from prefect import flow

from flows.engine.console import StageProgress
from flows.engine.context import open_run, say
from flows.models.loaded_model import LoadedModel, base_model
from flows.training import latest_data, trainable_rows
from flows.views.report import write_report
from pipeline.core.cache import digest, write_atomically
from pipeline.core.manifest import content_digest
from pipeline.core.record import as_json
from pipeline.core.store import Store
from pipeline.evaluate.retention.forgetting import read_general_set
from pipeline.evaluate.retention.general import general_loss
from pipeline.report.contents import Report
from pipeline.settings import Settings
from pipeline.train.models.base_model import BaseModel
from pipeline.train.models.device import choose_device, describe_device
from pipeline.train.plan.hardware import training_machine
from pipeline.train.plan.shapes import read_folder
from pipeline.train.tune.choice import choose
from pipeline.train.tune.search import Job, search
from pipeline.train.tune.start import closed_form, measure_workload, rate_of
from schemas.pairs import Examples

EXTENDABLE = {"trials", "budget_minutes", "max_forgetting"}
"""Settings of [tune] that may change while a search goes on."""
IGNORED = {"method", "rank", "alpha", "targets", "learning_rate", "epochs", "max_steps"}
"""Settings of [train] that the search replaces."""


@flow(name="tune", timeout_seconds=48 * 3600)
def tune(settings: Settings) -> Report:
    """Search on the train and validation rows that are accepted now; the test set stays shut.

    It goes on with a search of the same rows, base and settings.

    A MissingDataset or an InputError where there are no such rows, a TrainingError where the base
    model cannot be planned or trained.
    """
    with open_run("tune", settings) as run:
        base = base_model(settings)
        _, _, data = latest_data(run)
        rows = cast("DataFrame[Examples]", trainable_rows(run, data.examples).sort("pair_id"))
        fixed = settings.train.model_dump(mode="json", exclude=IGNORED)
        limits = settings.tune.model_dump(mode="json", exclude=EXTENDABLE)
        key = digest([content_digest(rows), base.digest, fixed, limits])
        folder = run.home / "tune" / key[:16]
        shape = read_folder(base.path)
        workload = measure_workload(rows, base, settings.train)
        rank, reason = closed_form(shape, workload.supervised)
        first = settings.tune.methods[0]
        why = f"{first} at rate {rate_of(first, shape.hidden):g}, rank {rank}: {reason}"
        say(describe_device(settings.model))
        say(f"tune  {folder.name}  starts from {why}")
        job = Job(
            examples=rows,
            base=base,
            shape=shape,
            train=settings.train,
            model=settings.model,
            tune=settings.tune,
            rank=rank,
            workload=workload,
            hardware=training_machine(choose_device(settings.model)),
            forgetting=_rise(settings, run.store, base),
        )
        with StageProgress("tune") as bar:
            study = search(job, folder, say, bar)
        choice = choose(study, settings.tune, why)
        write_atomically(folder / "choice.json", json.dumps(as_json(choice), indent=1).encode())
        return write_report(run, tuning=choice)


def _rise(settings: Settings, store: Store, base: BaseModel) -> Callable[[Path], float] | None:
    """Return what measures the rise of loss on general text; None where there is none."""
    if settings.paths.general is None or not settings.tune.general_texts:
        return None
    texts = list(read_general_set(settings.paths.general).texts.values())
    texts = texts[: settings.tune.general_texts]

    def loss(adapter: Path | None) -> float:
        with LoadedModel(base, settings.model, store) as loaded:
            found = general_loss(texts, *loaded.get(adapter))
        return sum(mean * tokens for mean, tokens in found) / sum(tokens for _, tokens in found)

    before = cache(partial(loss, None))
    return lambda adapter: loss(adapter) - before()
