"""Documents worked on in this process when they are few, in worker processes when they are many."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pipeline.core.outcome import Drop
from pipeline.core.progress import track
from pipeline.core.workers import Done, Failed, map_in_processes, workers_are_kept

Item = TypeVar("Item")
Value = TypeVar("Value")

FEW = 300_000
"""Characters in all up to which no worker is started for this alone: that takes about a second, as
long as cleaning so much."""


def spread(
    function: Callable[[Item], Value],
    items: Sequence[Item],
    characters: int,
    *,
    workers: int,
    seconds: float,
    megabytes: float,
) -> Iterator[Done[Value] | Failed]:
    """Call a function on each document; the number of workers changes nothing in the answers.

    Args:
        function: See :func:`pipeline.core.workers.map_in_processes`.
        items: One a document.
        characters: Of all documents together.
        workers: Processes; 0 takes all cores that may be used.
        seconds: For one document.
        megabytes: Memory of one worker.

    Yields:
        One answer an item, in order. The limits hold in worker processes alone: in all runs of the
        flows, which keep the workers that have read the files.
    """
    if characters <= FEW and not workers_are_kept():
        yield from (Done(function(item)) for item in track(items, "documents"))
        return
    answers = map_in_processes(
        function, items, workers=workers, seconds=seconds, megabytes=megabytes
    )
    for _, answer in zip(track(items, "documents"), answers, strict=True):
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
