"""Train several methods on the same rows, several seeds each, and show them side by side."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame
from prefect import flow

from flows.engine.context import Run, open_run
from flows.models.loaded_model import LoadedModel, base_model
from flows.retention import general_scores
from flows.training import latest_data, run_training, trainable_rows
from flows.views.report import write_report
from pipeline.core.cache import digest
from pipeline.core.errors import SettingsError
from pipeline.core.manifest import content_digest
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.evaluate.answers.answers import decoding_speed
from pipeline.evaluate.comparison import Comparison, Trained, candidate, mean_loss
from pipeline.evaluate.retention.forgetting import compare as compare_general
from pipeline.evaluate.retention.forgetting import read_general_set
from pipeline.evaluate.stages import DECODED, DECODING, FORGETTING, LOSSES
from pipeline.pairs.assignment import unit_of
from pipeline.report.contents import Report
from pipeline.settings import Settings, TrainSettings
from pipeline.train.export.merge import merge
from pipeline.train.methods import METHODS, of_method, resolved
from pipeline.train.models.adapter import identity, read_run_card
from pipeline.train.models.base_model import BaseModel, hidden_size, load_model
from pipeline.train.models.device import choose_device
from pipeline.train.peak_memory import free_memory
from pipeline.train.stages import CANDIDATE
from schemas.evaluation import GeneralScores, HeldOutLosses
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
        width = hidden_size(base.path)
        asked = {name: method_settings(settings.train, name, steps, width) for name in methods}
        plans = {name: (rows, plan) for name, plan in asked.items()}
        measured = train_and_measure(run, base, data.examples, plans, seeds)
        return write_report(run, comparison=measured)


def method_settings(settings: TrainSettings, method: str, steps: int, width: int) -> TrainSettings:
    """Return the settings that train a method: its preset, unless it is the configured one."""
    if steps:  # so many, however few the rows
        settings = settings.model_copy(update={"max_steps": steps, "epochs": float(10 * steps)})
    if method == settings.method:
        return resolved(settings, width)
    return of_method(settings, method, width)


def train_and_measure(
    run: Run, base: BaseModel, held_out: Dataset, plans: Plans, seeds: int,
    about: str = "method", **missing: str,
) -> Comparison:  # fmt: skip
    """Train candidates from each seed, measure and compare them.

    ``held_out``: examples whose validation and test rows are scored; ``about``: what tells the
    candidates apart, ``method`` or ``data``; ``missing``: why one is not there.
    """
    settings = run.settings
    trained: dict[str, list[Trained]] = {}
    with LoadedModel(base, settings.model, run.store) as loaded:
        bench = Bench(run, loaded, held_out)
        before = bench.losses("base", None)
        for name, (rows, plan) in plans.items():
            for seed in range(plan.seed, plan.seed + seeds):
                model = bench.train(name, rows, plan.model_copy(update={"seed": seed}))
                # Of one method all weights cost alike.
                timed = seed == plan.seed and about == "method"
                trained.setdefault(name, []).append(bench.measure(name, seed, model, timed))
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
        unit=unit_of(run.store.read(held_out, Examples)),
        confidence=settings.evaluate.confidence,
    )


@dataclass(frozen=True, slots=True)
class Bench:
    """What all candidates of a comparison share."""

    run: Run
    loaded: LoadedModel
    held_out: Dataset

    def train(self, name: str, rows: DataFrame[Examples], settings: TrainSettings) -> Dataset:
        """Train one candidate from one seed, in a process of its own."""
        content = content_digest(rows)
        key = digest([name, content, settings.model_dump(mode="json")])[:16]
        stage = CANDIDATE.named(f"train {name} seed {settings.seed}")
        given = {"examples": Given(rows, content), "free": Given(self.loaded.release)}
        base, work = self.loaded.base, f"compare-{key}"
        return run_training(self.run, stage, base, settings, work, **given)

    def measure(self, name: str, seed: int, model: Dataset, timed: bool) -> Trained:
        """Measure one trained candidate; ``timed`` adds how fast it writes."""
        folder, full = self.run.store.path(model), f"{name} seed {seed}"
        before = self.general("base", None)  # first: one model is in memory at a time
        general, losses = self.general(full, model), self.losses(full, model)
        written = self._decoding(full, model) if timed else {}
        forgetting = None
        if general is not None and before is not None:
            forgetting = compare_general(before, general, self.run.settings.evaluate)
        return Trained(
            seed=seed,
            losses=losses,
            forgetting=forgetting,
            training=json.loads((folder / "training.json").read_text("utf-8")),
            disk_bytes=sum((folder / file).stat().st_size for file in identity(folder)),
            tokens_written=written.get("adapter"),
            tokens_written_merged=written.get("merged"),
        )

    def losses(self, name: str, model: Dataset | None) -> DataFrame[HeldOutLosses]:
        """Return the losses on the held-out rows, of the base model for None."""
        everything = self.run.store.read(self.held_out, Examples)
        rows = cast("DataFrame[Examples]", everything.filter(pl.col("split") != "train"))
        stage, given = LOSSES.named(f"losses {name}"), Given(rows, content_digest(rows))
        model_given = self.loaded.given(model, examples=self.held_out)
        dataset = self.run(stage, rows=given, **model_given)
        return self.run.store.read(dataset, HeldOutLosses)

    def general(self, name: str, model: Dataset | None) -> DataFrame[GeneralScores] | None:
        """Return the scores on the general set, of the base model for None; None without a set."""
        folder = self.run.settings.paths.general
        if folder is None:
            return None
        stage = FORGETTING.named(f"general {name}", "compared_general_scores")
        texts = read_general_set(folder)
        dataset = general_scores(self.run, stage, self.loaded, texts, model)
        return self.run.store.read(dataset, GeneralScores)

    def _decoding(self, name: str, model: Dataset) -> dict[str, float]:
        """Time the decoding at batch 1: with the adapter, and merged where the method can be."""
        run = self.run
        asked = run.store.read(self.held_out, Examples).filter(pl.col("split") != "train")
        question = asked.sort("pair_id")["messages"][0][-2]["content"]

        def speeds() -> dict[str, float]:
            rates = {"adapter": decoding_speed(*self.loaded.get(model), question)}
            self.loaded.release()
            adapter, settings = run.store.path(model), run.settings.model
            if METHODS[read_run_card(adapter)["method"]].mergeable:
                with tempfile.TemporaryDirectory(dir=run.home / "work") as folder:
                    merge(self.loaded.base, adapter, settings, Path(folder))
                    free_memory()
                    merged = load_model(Path(folder), choose_device(settings))
                    _, tokenizer = self.loaded.get(None)
                    rates["merged"] = decoding_speed(merged, tokenizer, question)
            return rates

        dataset = run(
            DECODING.named(f"decoding {name}"),
            file=Given(DECODED),
            record=Given(speeds),
            question=digest(question),
            base=self.loaded.base.digest,
            adapter=model.content,
            parents={"model": model},
        )
        return dict(json.loads((run.store.path(dataset) / DECODED).read_bytes()))
