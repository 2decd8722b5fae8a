"""Documents worked on by a runner, one bad document costing one."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import polars as pl

from pipeline.core.outcome import Drop, Rows
from pipeline.core.progress import track
from pipeline.core.runner import Inline, Processes, Runner
from pipeline.core.workers import Failed, Limits, workers_are_kept

Value = TypeVar("Value")

FEW = 300_000
"""Characters in all up to which no worker is started for this alone: that takes about a second, as
long as cleaning so much."""
REASONS = {
    "timeout": ("timeout", "took too long"),
    "memory": ("out_of_memory", "needs too much memory"),
    "crash": ("crashed", "ended its worker"),
    "error": ("crashed", "met an error"),
}
"""Why a worker gave nothing -> end of the reason, and what is said of the document."""


def spread(
    stage: str,
    runner: Runner,
    function: Callable[[dict[str, Any]], Value],
    documents: pl.DataFrame,
    dropped: list[Drop],
    *,
    seconds: float,
    megabytes: float,
) -> Iterator[tuple[dict[str, Any], Value]]:
    """Yield each row of documents with what a function makes of it; who does it changes no answer.

    The limits, of a document and of a worker's memory, hold in worker processes and on nodes: in
    all runs of the flows, which keep the workers that have read the files. A document that a worker
    gave no answer for is ``dropped``: ``timeout``, ``out_of_memory`` or ``crashed`` of the stage.
    """
    rows, few = Rows(documents), documents["text"].str.len_chars().sum() <= FEW
    if few and isinstance(runner, Processes) and not workers_are_kept():
        runner = Inline()
    answers = runner.guarded(function, rows, Limits(seconds, megabytes))
    for row, answer in zip(track(rows, "documents"), answers, strict=True):
        if isinstance(answer, Failed):
            reason, what = REASONS[answer.reason]
            why = f"{row['source']}: {what} ({answer.message}); shorten the file or exclude it"
            limit = answer.value, answer.threshold
            dropped.append(Drop(row["doc_id"], f"{stage}_{reason}", why, *limit))
        else:
            yield row, answer.value
