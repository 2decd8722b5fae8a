"""Settled pairs to a model: gold -> decontaminate -> examples -> train -> drift baseline."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from flows.context import Run, say
from flows.curate import Corpus
from flows.models import LoadedModel, free_memory, say_device
from flows.replay import replay_rows
from flows.steps import Stage, run_folder_stage, run_stage
from pipeline.cache import digest
from pipeline.dataset.benchmarks import read_benchmark
from pipeline.dataset.examples import to_examples
from pipeline.dataset.gold import attach_gold
from pipeline.dataset.jsonl import read_jsonl
from pipeline.dataset.leak import check_leaks, decontaminate
from pipeline.drift.baseline import baseline
from pipeline.drift.features import document_texts, pair_texts
from pipeline.errors import InputError, TrainingError
from pipeline.manifest import content_digest
from pipeline.outcome import Outcome
from pipeline.store import DROPPED, Dataset, Filled
from pipeline.train.base_model import BaseModel, hidden_size, token_counter
from pipeline.train.distill import find_teacher
from pipeline.train.methods import resolved
from schemas.chunks import Chunks
from schemas.documents import RawDocuments, UniqueDocuments
from schemas.drift import DriftFeatures
from schemas.pairs import Examples, SettledPairs
from schemas.splits import Splits

GOLD = Stage("gold", 1, "gold_pairs")
DECONTAMINATE = Stage("decontaminate", 2, "clean_pairs")
EXAMPLES = Stage("examples", 1, "examples")
TRAIN = Stage("train", 2, "model", holds_model=True)
DRIFT = Stage("drift baseline", 2, "drift_reference", holds_model=True)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What is trained and judged on."""

    pairs: Dataset
    examples: Dataset
    leaks: int
    """Rows of train or validation that repeat a test row: 0, or nothing is trained."""


def build_examples(run: Run, corpus: Corpus, settled: Dataset) -> TrainingData:
    """Join settled and gold pairs, drop what leaks into test, and render chat messages."""
    settings = run.settings
    pairs = [settled]
    if settings.paths.gold is not None:
        pairs.append(gold_pairs(run, corpus, settings.paths.gold))
    benchmarks = [row for path in settings.paths.benchmarks for row in read_benchmark(path)]
    tables = {f"pairs_{number}": (dataset, SettledPairs) for number, dataset in enumerate(pairs)}
    clean = run_stage(
        run,
        DECONTAMINATE,
        SettledPairs,
        lambda **frames: decontaminate(
            cast("DataFrame[SettledPairs]", pl.concat(frames.values())), benchmarks
        ),
        settings={},
        tables=tables,
        keys={"benchmarks": digest(benchmarks)} if benchmarks else {},
    )
    examples = run_stage(
        run,
        EXAMPLES,
        Examples,
        lambda pairs: to_examples(pairs),
        settings={},
        tables={"pairs": (clean, SettledPairs)},
    )
    leaks = check_leaks(run.store.read(clean, SettledPairs), benchmarks)
    if len(leaks):
        raise TrainingError(
            f"leak check: {len(leaks)} rows of train or validation repeat test rows after "
            "decontamination; expected none; this is a bug, please report it with the run folder"
        )
    return TrainingData(clean, examples, len(leaks))


def gold_pairs(run: Run, corpus: Corpus, path: Path) -> Dataset:
    """Read the gold file and let each row follow its document into a split."""
    rows = read_jsonl(path)
    duplicates = run.store.read_dropped(corpus.documents)
    return run_stage(
        run,
        GOLD,
        SettledPairs,
        lambda documents, raw, splits, chunks: attach_gold(
            rows, documents, duplicates, raw, splits, chunks, path.name
        ),
        settings={},
        tables={
            "documents": (corpus.documents, UniqueDocuments),
            "raw": (corpus.raw, RawDocuments),
            "splits": (corpus.splits, Splits),
            "chunks": (corpus.chunks, Chunks),
        },
        keys={"gold": digest(rows)},
    )


def train_model(run: Run, base: BaseModel, examples: Dataset, stage: Stage = TRAIN) -> Dataset:
    """Train an adapter on the train rows, watched on the validation rows.

    The test rows are no part of the fingerprint: a new test row trains nothing.
    """
    everything = run.store.read(examples, Examples)
    rows = cast("DataFrame[Examples]", everything.filter(pl.col("split") != "test"))
    counts = dict(rows.group_by("split").len().iter_rows())
    if not counts.get("train") or not counts.get("validation"):
        raise InputError(
            f"train: {counts.get('train', 0)} train and {counts.get('validation', 0)} validation "
            "rows found; expected at least one of each; review more pairs, add gold rows or "
            "documents, or loosen review.require"
        )
    settings = run.settings
    wanted = resolved(settings.train, hidden_size(base.path))
    replayed = replay_rows(run, base, examples)
    everything, rows = (
        cast("DataFrame[Examples]", pl.concat([part, replayed])) for part in (everything, rows)
    )
    content = content_digest(rows)
    distilled = find_teacher(wanted, run.home / "models")
    teacher = {"distilled_from": distilled.digest} if distilled else {}
    work = run.home / "work" / digest([content, wanted.model_dump(mode="json")])[:16]

    def fill(folder: Path) -> Filled:
        from pipeline.train.stored import identity

        say_device(settings.model)
        # With the test rows, for the leak proof at its start.
        arguments = (everything, base, wanted, settings.model, work, folder)
        if wanted.processes > 1 or wanted.launch_config:
            from pipeline.train.launched import launch

            free_memory()  # of a GPU, too, for the processes
            told = launch(*arguments)
            reasons = Counter(drop["reason"] for drop in told["dropped"])
            return Filled(identity=identity(folder), rows=told["rows_kept"], reasons=dict(reasons))
        from pipeline.train.trainer import train

        result = train(*arguments)
        for proof in result.proofs:
            if proof.name == "target layers":
                say(proof.text)
        result.dropped.write_parquet(folder / DROPPED)
        (folder / "training.json").write_text(json.dumps(result.to_dict(), indent=1), "utf-8")
        return Filled(
            identity=identity(folder),
            rows=result.rows_kept,
            reasons=dict(Counter(result.dropped["reason"])),
        )

    model = run_folder_stage(
        run,
        stage,
        fill,
        settings=wanted,
        keys={"examples": content, "base": base.digest} | teacher,
        parents={"from": examples},
    )
    shutil.rmtree(work, ignore_errors=True)  # checkpoints of a model that is stored
    return model


def store_drift_baseline(
    run: Run,
    base: BaseModel,
    corpus: Corpus,
    data: TrainingData,
    model: Dataset,
    loaded: LoadedModel,
) -> Dataset:
    """Keep the features of the training snapshot with the model, for later drift checks."""
    splits = run.store.read(corpus.splits, Splits).filter(split="train")
    documents = run.store.read(corpus.documents, UniqueDocuments)
    seen = documents.filter(pl.col("doc_id").is_in(splits["doc_id"].to_list()))
    trained = run.store.read(data.examples, Examples).filter(split="train")
    texts = pl.concat(
        [
            document_texts(cast("DataFrame[UniqueDocuments]", seen)),
            pair_texts(cast("DataFrame[Examples]", trained)),
        ]
    )

    def compute() -> Outcome[DriftFeatures]:
        from pipeline.drift.model_signal import row_losses, sample

        seed = run.settings.train.seed
        measured = pl.concat(  # of each kind as many: a drift check compares like with like
            [sample(texts.filter(kind=kind), seed) for kind in ("document", "pair")]
        )
        losses = row_losses(*loaded.get(model), measured["text"].to_list())
        by_id = dict(zip(measured["id"], losses, strict=True))
        return baseline(texts, token_counter(base.path), by_id)

    return run_stage(
        run,
        DRIFT,
        DriftFeatures,
        compute,
        settings={"seed": run.settings.train.seed},
        keys={"texts": content_digest(texts), "adapter": model.content, "base": base.digest},
        parents={"model": model, "documents": corpus.documents, "examples": data.examples},
    )
