"""Texts as what the clean stage leaves, for the stages behind it."""

from dataclasses import replace

from flows.engine.context import Run
from pipeline.core.outcome import Outcome, drops
from pipeline.core.store import Dataset
from pipeline.documents.clean.clean import CLEAN
from pipeline.settings import CleanSettings
from schemas.documents import Documents
from tests.pipeline.dedup.corpus import corpus


def cleaned(run: Run, texts: dict[str, str]) -> Dataset:
    """Return a data set of documents, by source, made as the clean stage makes it."""
    made = corpus(texts)

    def clean(settings: CleanSettings) -> Outcome[Documents]:
        return Outcome(made, drops([]), rows_in=made.height)

    stage = replace(CLEAN, function=clean, reads={})
    return run(stage, texts=str(sorted(texts.items())))
