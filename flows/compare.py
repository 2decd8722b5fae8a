"""Train several methods on the same rows, several seeds each, and show them side by side."""

from collections.abc import Mapping, Sequence

from pandera.typing.polars import DataFrame
from prefect import flow

from flows.candidates import BASE, Bench
from flows.engine.context import open_run
from flows.models.loaded_model import LoadedModel, base_model
from flows.training import latest_data, trainable_rows
from flows.views.report import write_report
from pipeline.core.errors import SettingsError
from pipeline.evaluate.comparison import Comparison, Trained, candidate, mean_loss
from pipeline.pairs.assignment import unit_of
from pipeline.report.contents import Report
from pipeline.settings import Settings, TrainSettings
from pipeline.train.methods import METHODS, of_method, resolved
from pipeline.train.models.base_model import hidden_size
from schemas.pairs import Examples

Plans = Mapping[str, tuple[DataFrame[Examples], TrainSettings]]
"""Rows (train and validation) and settings by candidate."""


@flow(name="compare", timeout_seconds=48 * 3600)
def compare(
    settings: Settings, methods: Sequence[str], seeds: int = 2, steps: int = 0
) -> Report | None:
    """Train each method from each seed on the latest examples, and measure all alike.

    Every training and every measurement is a stage, so that a stopped comparison goes on.
    ``train.seed`` is the first of ``seeds``; with 0 ``steps`` the settings decide. A SettingsError
    for an unknown method, a MissingDataset or an InputError where there are no rows.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods or seeds < 1:
        raise SettingsError(
            f"compare: methods {', '.join(unknown) or 'none'} and {seeds} seeds; expected one seed "
            f"or more and methods among {', '.join(METHODS)}; correct --methods"
        )
    with open_run("compare", settings) as run:
        base = base_model(settings)
        _, _, data = latest_data(run)
        rows = trainable_rows(run, data.examples)
        bench = Bench(run, LoadedModel(base, settings.model, run.store), data.examples)
        width = hidden_size(base.path)
        asked = {name: method_settings(settings.train, name, steps, width) for name in methods}
        plans = {name: (rows, plan) for name, plan in asked.items()}
        return write_report(run, comparison=train_and_measure(bench, plans, seeds))


def method_settings(settings: TrainSettings, method: str, steps: int, width: int) -> TrainSettings:
    """Return the settings that train a method: its preset, unless it is the configured one."""
    if steps:  # so many, however few the rows
        settings = settings.model_copy(update={"max_steps": steps, "epochs": float(10 * steps)})
    if method == settings.method:
        return resolved(settings, width)
    return of_method(settings, method, width)


def train_and_measure(
    bench: Bench, plans: Plans, seeds: int, about: str = "method", **missing: str
) -> Comparison:
    """Train candidates from each seed, measure and compare them.

    ``about``: what tells them apart, ``method`` or ``data``; ``missing``: why one is not there.
    """
    settings = bench.run.settings
    trained: dict[str, list[Trained]] = {}
    with bench.loaded:
        before = bench.losses(BASE, None)
        for name, (rows, plan) in plans.items():
            for number in range(seeds):
                seeded = plan.model_copy(update={"seed": plan.seed + number})
                model = bench.train(name, rows, seeded)
                timed = number == 0 and about == "method"  # of one method all weights cost alike
                measured = bench.measure(name, seeded.seed, model, timed=timed)
                trained.setdefault(name, []).append(measured)
    first = next(iter(trained.values()))
    counts = {name: rows.filter(split="train").height for name, (rows, _) in plans.items()}
    return Comparison(
        about=about,
        candidates=tuple(
            candidate(name, runs, first, counts[name], settings.evaluate)
            for name, runs in trained.items()
        ),
        missing=missing,
        base_validation_loss=mean_loss([before], "validation", settings.evaluate),
        base_test_loss=mean_loss([before], "test", settings.evaluate),
        validation_rows=before.filter(split="validation").height,
        test_rows=before.filter(split="test").height,
        test_clusters=before.filter(split="test")["cluster_id"].n_unique(),
        unit=unit_of(bench.run.store.read(bench.held_out, Examples)),
        confidence=settings.evaluate.confidence,
    )
