"""Successive halving over trainings: most are stopped at a low rung, the best go on.

A trial is one training with the schedule of its last step. At each rung it is compared with the
trials that were there before (Li et al. 2018, asynchronous), and stopped or let on. All stands in
Optuna's journal and the trainer's checkpoints: a killed search goes on in the middle of its trial.
"""

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import TrainingError
from pipeline.core.progress import Listener, listening
from pipeline.settings import ModelSettings, TrainSettings, TuneSettings
from pipeline.train.models.base_model import BaseModel
from pipeline.train.peak_memory import free_memory, naming_the_setting
from pipeline.train.plan.hardware import Hardware
from pipeline.train.plan.memory import memory, total
from pipeline.train.plan.shapes import LORA, Shape
from pipeline.train.tune.choice import TUNED
from pipeline.train.tune.start import RATE_FACTORS, Workload, candidate, ranks_around
from schemas.pairs import Examples


@dataclass(frozen=True)
class Job:
    """What is tuned."""

    examples: DataFrame[Examples]  # train and validation rows; test rows are not here
    base: BaseModel
    shape: Shape
    train: TrainSettings
    model: ModelSettings
    tune: TuneSettings
    rank: int  # of the closed form, where the search starts
    workload: Workload
    hardware: Hardware
    forgetting: Callable[[Path], float] | None  # rise of loss on general text, nats


class _Stopped(Exception):
    """The trial was compared at a rung and does not go on."""


class _OutOfTime(Exception):
    """The budget is spent; the trial stays where it is."""


def search(job: Job, folder: Path, say: Callable[[str], None], listener: Listener) -> Any:
    """Run trials until their number or the budget is reached; returns the study."""
    study = _open_study(folder, job.tune)
    if not study.get_trials(deepcopy=False):
        method, targets = job.tune.methods[0], job.tune.targets[0]
        first = {"method": method, "rate": 1.0, "rank": job.rank, "targets": targets}
        study.enqueue_trial(first)  # what a method has no use for is not asked for
    while (trial := _next_trial(study, job.tune)) is not None:
        try:
            _run(study, trial, job, folder / f"trial-{trial.number:03d}", listener)
        except _OutOfTime:
            say(f"trial {trial.number:3d}  unfinished: tune.budget_minutes is spent")
            break
        say(_describe(study.trials[trial.number]))
    return study


def _open_study(folder: Path, tune: TuneSettings) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    for lock in folder.glob("journal.log.lock*"):
        lock.unlink()  # of a killed process: the home folder is locked, so we are alone
    return optuna.create_study(
        study_name="tune",
        storage=JournalStorage(JournalFileBackend(str(folder / "journal.log"))),
        load_if_exists=True,
        direction="minimize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(
            min_resource=tune.first_rung, reduction_factor=tune.reduction
        ),
    )


def _spent(study: Any) -> float:
    """Return the seconds of all trials."""
    return math.fsum(trial.user_attrs.get("seconds", 0.0) for trial in study.trials)


def _describe(trial: Any) -> str:
    found = trial.user_attrs
    words = " ".join(str(each) for each in found.get("settings", {}).values() if each is not None)
    said = found.get("stopped", "unfinished")
    if trial.state.name == "COMPLETE":
        forgot = found.get("forgetting")
        said = f"validation loss {trial.value:.4f}"
        said += "" if forgot is None else f", forgetting {forgot:+.3f}"
    return f"trial {trial.number:3d}  {words}: {said}"


def _next_trial(study: Any, tune: TuneSettings) -> Any:
    """Return the trial that a killed process left, else a new one, else None.

    The sampler is seeded anew by the number of trials: a search that was killed chooses the same.
    """
    import optuna

    trials = study.get_trials(deepcopy=False)
    finished = sum(trial.state.is_finished() for trial in trials)
    study.sampler = optuna.samplers.TPESampler(seed=tune.seed + finished)
    if _spent(study) >= tune.budget_minutes * 60:
        return None
    for trial in trials:
        if trial.state.name == "RUNNING":
            return optuna.trial.Trial(study, trial._trial_id)
    return study.ask() if finished < tune.trials else None


def _suggest(trial: Any, job: Job) -> dict[str, Any]:
    chosen = {
        "method": trial.suggest_categorical("method", job.tune.methods),
        "rate": trial.suggest_float("rate", *RATE_FACTORS, log=True),
    }
    if chosen["method"] in LORA:
        chosen["rank"] = trial.suggest_categorical("rank", ranks_around(job.rank))
        chosen["targets"] = trial.suggest_categorical("targets", job.tune.targets)
    return chosen


def _run(study: Any, trial: Any, job: Job, folder: Path, listener: Listener) -> None:
    """Run a trial from where it is to its end, or to the rung where it is stopped."""
    from pipeline.train.loop.trainer import train

    settings = candidate(job.train, _suggest(trial, job), job.shape.hidden)
    trial.set_user_attr("settings", {name: getattr(settings, name) for name in TUNED})
    machine, largest = job.hardware, job.workload.largest
    peak = total(memory(job.shape, settings, largest, machine.kind, machine.value))
    trial.set_user_attr("bytes", peak)
    limit = min(job.tune.max_gigabytes * 1e9 or machine.usable, machine.usable)
    if peak > limit:
        return _stop(study, trial, f"would take {peak / 1e9:.1f} GB of {limit / 1e9:.1f}")
    tune, work = job.tune, folder / "work"
    reported = study.trials[trial.number].intermediate_values  # by a process that was killed
    rungs = [tune.first_rung * tune.reduction**number for number in range(tune.rungs)]
    before, spent, began = trial.user_attrs.get("seconds", 0.0), _spent(study), time.monotonic()

    def stamp() -> None:  # now and then: a kill spares what is stored
        trial.set_user_attr("seconds", round(before + time.monotonic() - began, 3))

    def listen(step: int, whole: int, unit: str) -> None:
        listener(step, whole, unit)
        if unit != "steps" or not step:
            return
        if step in rungs:
            if step not in reported:
                trial.report(_validation_loss_at(work, step), step)
            trial.set_user_attr("rung", step)
            stamp()
            if step < tune.steps and trial.should_prune():
                raise _Stopped
        if step < tune.steps and spent + time.monotonic() - began >= tune.budget_minutes * 60:
            stamp()
            raise _OutOfTime

    schedule = job.workload.schedule(settings, tune)
    try:
        with listening(listen):
            result = train(job.examples, job.base, schedule, job.model, work, folder / "adapter")
        if job.forgetting is not None:
            with naming_the_setting("lower tune.general_texts"):
                trial.set_user_attr("forgetting", job.forgetting(folder / "adapter"))
    except _Stopped:
        _stop(study, trial, f"stopped at step {trial.user_attrs['rung']}")
        return shutil.rmtree(folder)
    except TrainingError as error:
        return _stop(study, trial, f"failed: {error}")
    finally:
        free_memory()
    stamp()
    study.tell(trial, min(loss for _, loss in result.validation_loss))
    shutil.rmtree(work)


def _stop(study: Any, trial: Any, why: str) -> None:
    from optuna.trial import TrialState

    trial.set_user_attr("stopped", why)
    study.tell(trial, state=TrialState.PRUNED)


def _validation_loss_at(work: Path, step: int) -> float:
    file = work / f"step-{step:06d}" / "history.json"
    try:
        return float(dict(json.loads(file.read_text("utf-8"))["validation_loss"])[step])
    except (OSError, KeyError) as error:
        raise TrainingError(
            f"tune: no validation loss at step {step} in {file}; expected a checkpoint at each "
            "rung and validation rows; review more pairs, so that some are for validation"
        ) from error
