"""A small project whose pairs were cut from its documents, so that no teacher is needed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pandera.typing.polars import DataFrame
from prefect import flow

from annotation.decisions import Decision
from annotation.queue_files import FileQueue
from flows.curate import curate_documents, input_files
from flows.engine.context import open_run
from flows.engine.settings_file import load_settings
from flows.models.loaded_model import base_model
from flows.review import review_pairs
from flows.views.report import write_report
from pipeline.core.home import Home
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.stage import Given
from pipeline.pairs.generate import GENERATE
from pipeline.pairs.harvest import pair_id
from pipeline.pairs.screen.judge import Criteria
from pipeline.pairs.screen.screen import SCREEN
from pipeline.pairs.user_files import read_jsonl, seed_tasks
from pipeline.pairs.weak_english.evidence import sentences
from pipeline.settings import GenerateSettings, Settings
from schemas.documents import Chunks
from schemas.pairs import Pairs, ScreenedPairs
from tests.end_to_end.project import make_project


def synthesized_home(folder: Path, models: Path, base: Path) -> Settings:
    """Curate a small project, take pairs from its sentences, and screen and queue them."""
    project = make_project(folder, models)
    settings = load_settings(
        project.folder / "tuneloop.toml",
        [
            f"paths.{name}={folder / value}"
            for name, value in {
                "input": "raw", "home": "home", "seeds": "seeds.jsonl", "gold": "gold.jsonl",
                "general": "general",
            }.items()
        ]
        + [f"model.base_model={base}", "train.max_steps=2", "train.evaluations=1",
           "compute.runner=inline"],
    )  # fmt: skip
    _synthesize(settings)
    return settings


def accept(settings: Settings, count: int) -> None:
    """Let a person accept the first queued pairs of train documents."""
    home = Home.at(settings.paths.home)
    screened = home.store.read(home.dataset("screened_pairs"), ScreenedPairs)
    of_train = set(screened.filter(split="train")["pair_id"])
    queue = FileQueue(settings.paths.home / "reviews")
    wanted = [item for item in queue.open_items("ann") if item["pair_id"] in of_train]
    for item in wanted[:count]:
        queue.decide(Decision(item["pair_id"], "accept", "", (), "", "ann"))


@flow(name="synthesize")
def _synthesize(settings: Settings) -> None:
    with open_run("synthesize", settings) as run:
        corpus = curate_documents(run, base_model(settings), input_files(run))
        seeds = seed_tasks(read_jsonl(settings.paths.seeds))
        candidates = run(replace(GENERATE, function=_pairs), chunks=corpus.chunks)
        screened = run(SCREEN, pairs=candidates, chunks=corpus.chunks, splits=corpus.splits,
            seed_tasks=Given(seeds), criteria=Given(Criteria(settings.clean.languages)),
        )  # fmt: skip
        review_pairs(run, corpus, screened)
        write_report(run)


def _pairs(chunks: DataFrame[Chunks], settings: GenerateSettings) -> Outcome[Pairs]:
    """Two pairs a sentence: one that it answers, and one with a number that is not in it."""
    rows: dict[str, dict[str, Any]] = {}
    for chunk in chunks.iter_rows(named=True):
        for sentence in sentences(chunk["text"])[:3]:
            subject = " ".join(sentence.split()[:6]).rstrip(".,:")
            for response in (sentence, f"{sentence} It takes 987654 hours."):
                question = f"What does the manual of {chunk['title']} say about {subject}?"
                key = pair_id(question, "", response, chunk["doc_id"], "grounded")
                rows[key] = {
                    "pair_id": key, "instruction": question, "input": "", "response": response,
                    "evidence": sentence, "chunk_id": chunk["chunk_id"],
                    "doc_id": chunk["doc_id"], "seed_task_id": "", "generator": "test",
                    "prompt_version": "1", "kind": "", "history": [], "other_chunk_id": "",
                    "origin": "grounded", "score": None,
                }  # fmt: skip
    kept = table(Pairs, [rows[key] for key in sorted(rows)])
    return Outcome(kept, drops([]), rows_in=kept.height)
