"""Settled pairs to a model: gold -> decontaminate -> examples -> train -> drift baseline."""

import json
import shutil
from dataclasses import dataclass, replace
from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from flows.curate import Corpus, latest_corpus
from flows.engine.context import Run
from flows.models.loaded_model import LoadedModel
from flows.review import review_pairs
from flows.splits import locate_gold
from pipeline.core.cache import digest
from pipeline.core.errors import InputError, TrainingError
from pipeline.core.home import Home
from pipeline.core.manifest import content_digest
from pipeline.core.stage import Given, Stage
from pipeline.core.store import Dataset
from pipeline.dedup.decontaminate import DECONTAMINATE, check_leaks
from pipeline.drift.features import DRIFT, document_texts, pair_texts
from pipeline.evaluate.answers.retrieval import behind_passages, find_passages
from pipeline.pairs.examples import EXAMPLES
from pipeline.pairs.gold import GOLD
from pipeline.pairs.replay import REPLAY, rows_wanted
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.pairs.user_files import read_benchmark, read_seed_tasks
from pipeline.settings import TrainSettings
from pipeline.train.methods import resolved
from pipeline.train.models.base_model import BaseModel, hidden_size, token_counter
from pipeline.train.models.distill import find_teacher
from pipeline.train.placebo import DEAL
from pipeline.train.stages import TRAIN
from schemas.documents import Chunks, UniqueDocuments
from schemas.pairs import Examples, SettledPairs, Splits


def replay_rows(run: Run, base: BaseModel, examples: Dataset) -> pl.DataFrame:
    """Return the replay rows that go with the examples; none when train.replay_share is 0.

    Their answers are kept: another training of the same base asks nothing twice. A TrainingError
    where no answer can be used.
    """
    settings = run.settings
    rows = run.store.read(examples, Examples)
    wanted = rows_wanted(settings.train.replay_share, rows.filter(split="train").height)
    if not wanted:
        return rows.clear()
    seeds = read_seed_tasks(settings.paths.seeds)
    held_out = cast("DataFrame[Examples]", rows.filter(pl.col("split") != "train"))
    from pipeline.pairs.teachers.embedded import EmbeddedTeacher  # imports torch

    teacher = EmbeddedTeacher(base, settings.model, settings.generate.batch_size)
    dataset = run(
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


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What is trained and judged on."""

    pairs: Dataset
    examples: Dataset
    leaks: int  # rows of train or validation that repeat a test row: 0, or nothing is trained


def build_examples(run: Run, corpus: Corpus, settled: Dataset) -> TrainingData:
    """Join settled and gold pairs, drop what leaks into test, and render chat messages."""
    settings = run.settings
    benchmarks = [row for path in settings.paths.benchmarks for row in read_benchmark(path)]
    file, pairs = settings.paths.gold, None
    gold = corpus.gold or locate_gold(run, corpus.raw, corpus.documents, corpus.chunks)
    if file is not None and gold is not None:
        pairs = run(GOLD, gold=gold, splits=corpus.splits, name=Given(file.name))
    known = Given(benchmarks, digest(benchmarks) if benchmarks else None)
    clean = run(DECONTAMINATE, benchmarks=known, settled=settled, gold=pairs)
    examples = run(EXAMPLES, pairs=clean)
    count = run.remembered(
        lambda: {"leaks": len(check_leaks(run.store.read(clean, SettledPairs), benchmarks))},
        check_leaks.__module__,
        [clean],
        benchmarks=known.digest,
    )["leaks"]
    if count:
        raise TrainingError(
            f"leak check: {count} rows of train or validation repeat test rows after "
            "decontamination; expected none; this is a bug, please report it with the run folder"
        )
    return TrainingData(clean, examples, count)


def latest_data(run: Run) -> tuple[Corpus, Dataset, TrainingData]:
    """Return the latest corpus, its screened pairs and what is accepted, or a MissingDataset."""
    corpus, screened = latest_corpus(Home(run.store, run.registry))
    return corpus, screened, build_examples(run, corpus, review_pairs(run, corpus, screened))


def trainable_rows(run: Run, examples: Dataset) -> DataFrame[Examples]:
    """Return the train and validation rows; an InputError where there are none of a split."""
    rows = run.store.read(examples, Examples).filter(pl.col("split") != "test")
    counts = dict(rows.group_by("split").len().iter_rows())
    if not counts.get("train") or not counts.get("validation"):
        raise InputError(
            f"{run.flow}: {counts.get('train', 0)} train and {counts.get('validation', 0)} "
            "validation rows found; expected at least one of each; review more pairs, add gold "
            "rows or documents, or loosen review.require"
        )
    return cast("DataFrame[Examples]", rows)


def train_model(run: Run, base: BaseModel, examples: Dataset, stage: Stage = TRAIN) -> Dataset:
    """Train an adapter on the train rows, watched on the validation rows.

    The test rows are no part of the fingerprint: a new test row trains nothing.
    """
    settings = run.settings
    trainable_rows(run, examples)  # an error where a split has none
    rows: pl.DataFrame = run.store.read(examples, Examples)
    if settings.task.passages:
        rows = _behind_passages(run, examples, cast("DataFrame[Examples]", rows))
    wanted = resolved(settings.train, hidden_size(base.path))
    rows = pl.concat([rows, replay_rows(run, base, examples)])
    content = content_digest(rows.filter(pl.col("split") != "test"))
    distilled = find_teacher(wanted, run.home / "models")
    work = digest([content, wanted.model_dump(mode="json")])[:16]
    # With the test rows, for the leak proof at its start; they decide nothing.
    given: dict[str, Any] = {"examples": Given(rows, content), "parents": {"from": examples}}
    given["distilled_from"] = distilled.digest if distilled else None
    return run_training(run, stage, base, wanted, work, **given)


def _behind_passages(run: Run, examples: Dataset, rows: DataFrame[Examples]) -> DataFrame[Examples]:
    count, share = run.settings.evaluate.retrieved_chunks, run.settings.task.passages
    home = Home(run.store, run.registry)
    chunks, splits = home.dataset("chunks"), home.dataset("splits")
    told = run.store.read(chunks, Chunks)

    def find() -> dict[str, list[str]]:
        return find_passages(rows, told, run.store.read(splits, Splits), count, share)

    datasets, module = (examples, chunks, splits), find_passages.__module__
    found = run.remembered(find, module, datasets, count=count, share=share)
    return behind_passages(rows, told, found)


def run_training(
    run: Run, stage: Stage, base: BaseModel, settings: TrainSettings, work: str, **given: Any
) -> Dataset:
    """Run a stage that trains, its checkpoints in a folder ``work`` that goes once it is done."""
    folder = run.home / "work" / work
    given |= {"base": Given(base, base.digest), "model_settings": Given(run.settings.model)}
    model = run(stage, settings=settings, work=Given(folder), **given)
    shutil.rmtree(folder, ignore_errors=True)
    return model


def train_placebo(
    run: Run, base: BaseModel, examples: Dataset, model: Dataset
) -> tuple[Dataset, tuple[int, int]]:
    """Train a placebo for a share of a model's steps; return it, its steps and the model's."""
    record = json.loads((run.store.path(model) / "training.json").read_text("utf-8"))
    steps = max(1, round(run.settings.evaluate.placebo * record["steps"]))
    train = run.settings.train.model_copy(update={"max_steps": steps, "evaluations": 1})
    shorter = replace(run, settings=run.settings.model_copy(update={"train": train}))
    dealt = run(DEAL, examples=examples, seed=Given(train.seed, str(train.seed)))
    stage = TRAIN.named("train placebo", "placebo_model")
    return train_model(shorter, base, dealt, stage), (steps, record["steps"])


def store_drift_baseline(
    run: Run, corpus: Corpus, data: TrainingData, model: Dataset, loaded: LoadedModel
) -> Dataset:
    """Keep the features of the training snapshot with the model, for later drift checks."""
    splits = run.store.read(corpus.splits, Splits).filter(split="train")
    documents = run.store.read(corpus.documents, UniqueDocuments)
    seen = documents.filter(pl.col("doc_id").is_in(splits["doc_id"].to_list()))
    trained = run.store.read(data.examples, Examples).filter(split="train")
    told = document_texts(cast("DataFrame[UniqueDocuments]", seen))
    texts = pl.concat([told, pair_texts(cast("DataFrame[Examples]", trained))])
    seed = run.settings.train.seed
    return run(
        DRIFT,
        texts=Given(texts, content_digest(texts)),
        count_tokens=Given(token_counter(loaded.base.path)),
        seed=Given(seed),
        also={"seed": seed},
        **loaded.given(model, documents=corpus.documents, examples=data.examples),
    )
