"""Texts as what the clean stage leaves, for the stages behind it."""

from dataclasses import replace

from flows.context import Run
from flows.steps import run_stage
from pipeline.ingest.clean import CLEAN
from pipeline.outcome import Outcome, drops
from pipeline.settings import CleanSettings
from pipeline.store import Dataset
from schemas.documents import Documents
from tests.pipeline.dedup.corpus import corpus


def cleaned(run: Run, texts: dict[str, str]) -> Dataset:
    """Return a data set of documents, by source, made as the clean stage makes it."""
    made = corpus(texts)

    def clean(settings: CleanSettings) -> Outcome[Documents]:
        return Outcome(made, drops([]), rows_in=made.height)

    stage = replace(CLEAN, function=clean, reads={})
    return run_stage(run, stage, texts=str(sorted(texts.items())))
