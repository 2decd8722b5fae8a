"""Texts as what the clean stage leaves, for the stages behind it."""

from flows.context import Run
from flows.steps import Stage, run_stage
from pipeline.outcome import Outcome, drops
from pipeline.settings import CleanSettings
from pipeline.store import Dataset
from schemas.documents import Documents
from tests.pipeline.dedup.corpus import corpus


def cleaned(run: Run, texts: dict[str, str]) -> Dataset:
    """Return a data set of documents, by source, made as the clean stage makes it."""
    made = corpus(texts)
    return run_stage(
        run,
        Stage("clean", 1, "documents"),
        Documents,
        lambda: Outcome(made, drops([]), rows_in=made.height),
        settings=CleanSettings(),
        keys={"texts": str(sorted(texts.items()))},
    )
