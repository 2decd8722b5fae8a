"""Train candidates and measure each on the same held-out rows: losses, forgetting, speed, size."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from flows.engine.context import Run
from flows.models.loaded_model import LoadedModel
from flows.retention import general_scores
from flows.training import run_training
from pipeline.core.cache import digest
from pipeline.core.manifest import content_digest
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.evaluate.answers.answers import decoding_speed
from pipeline.evaluate.comparison import Trained
from pipeline.evaluate.retention.forgetting import compare, read_general_set
from pipeline.evaluate.stages import DECODED, DECODING, FORGETTING, LOSSES
from pipeline.settings import TrainSettings
from pipeline.train.export.merge import merge
from pipeline.train.methods import METHODS
from pipeline.train.models.adapter import identity, read_run_card
from pipeline.train.models.base_model import load_model
from pipeline.train.models.device import choose_device
from pipeline.train.peak_memory import free_memory
from pipeline.train.stages import CANDIDATE
from schemas.evaluation import GeneralScores, HeldOutLosses
from schemas.pairs import Examples

BASE = "base"  # how the base model is called among the candidates


@dataclass(frozen=True, slots=True)
class Bench:
    """What all candidates of a comparison share."""

    run: Run
    loaded: LoadedModel
    held_out: Dataset  # examples whose validation and test rows are scored

    def train(self, name: str, rows: DataFrame[Examples], settings: TrainSettings) -> Dataset:
        """Train one candidate from one seed, in a process of its own."""
        content = content_digest(rows)
        key = digest([name, content, settings.model_dump(mode="json")])[:16]
        stage = CANDIDATE.named(f"train {name} seed {settings.seed}")
        given = {"examples": Given(rows, content), "free": Given(self.loaded.release)}
        base, work = self.loaded.base, f"compare-{key}"
        return run_training(self.run, stage, base, settings, work, **given)

    def measure(self, name: str, seed: int, model: Dataset, *, timed: bool) -> Trained:
        """Measure one trained candidate; ``timed`` adds how fast it writes."""
        folder = self.run.store.path(model)
        before = self.general(BASE, None)  # first: one model is in memory at a time
        full = f"{name} seed {seed}"
        general, losses = self.general(full, model), self.losses(full, model)
        written = self._decoding(full, model) if timed else {}
        forgetting = None
        if general is not None and before is not None:
            forgetting = compare(before, general, self.run.settings.evaluate)
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
            return rates | self._merged(run.store.path(model), question)

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

    def _merged(self, adapter: Path, question: str) -> dict[str, float]:
        if not METHODS[read_run_card(adapter)["method"]].mergeable:
            return {}
        settings = self.run.settings.model
        with tempfile.TemporaryDirectory(dir=self.run.home / "work") as folder:
            merge(self.loaded.base, adapter, settings, Path(folder))
            free_memory()
            model = load_model(Path(folder), choose_device(settings))
            _, tokenizer = self.loaded.get(None)
            return {"merged": decoding_speed(model, tokenizer, question)}
