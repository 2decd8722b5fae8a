"""Documents worked on by a runner, one bad document costing one."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import polars as pl

from pipeline.core.outcome import Drop, Rows
from pipeline.core.progress import track
from pipeline.core.runner import Inline, Processes, Runner
from pipeline.core.workers import Done, Failed, Limits, workers_are_kept

Value = TypeVar("Value")

FEW = 300_000
"""Characters in all up to which no worker is started for this alone: that takes about a second, as
long as cleaning so much."""


def spread(
    runner: Runner,
    function: Callable[[dict[str, Any]], Value],
    documents: pl.DataFrame,
    *,
    seconds: float,
    megabytes: float,
) -> Iterator[Done[Value] | Failed]:
    """Yield what a function makes of each row of documents; who does it changes no answer.

    The limits, of a document and of a worker's memory, hold in worker processes and on nodes: in
    all runs of the flows, which keep the workers that have read the files.
    """
    rows, few = Rows(documents), documents["text"].str.len_chars().sum() <= FEW
    if few and isinstance(runner, Processes) and not workers_are_kept():
        runner = Inline()
    answers = runner.guarded(function, rows, Limits(seconds, megabytes))
    for _, answer in zip(track(rows, "documents"), answers, strict=True):
        yield answer


REASONS = {
    "timeout": ("timeout", "took too long"),
    "memory": ("out_of_memory", "needs too much memory"),
    "crash": ("crashed", "ended its worker"),
    "error": ("crashed", "met an error"),
}
"""Why a worker gave nothing -> end of the reason, and what is said of the document."""


def limited(stage: str, document: Mapping[str, Any], failed: Failed) -> Drop:
    """Return the row of the ledger of a document that a worker gave no answer for."""
    reason, what = REASONS[failed.reason]
    message = f"{document['source']}: {what} ({failed.message}); shorten the file or exclude it"
    return Drop(document["doc_id"], f"{stage}_{reason}", message, failed.value, failed.threshold)
