"""Label Studio and the queue files together: people may use either, all decisions count."""

from dataclasses import replace
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from annotation.decisions import Decision, Item
from annotation.label_studio import Connection, LabelStudioQueue, find_connection
from annotation.queue import Pulled, PushResult, QueueStatus, ReviewQueue, standing
from annotation.queue_files import FileQueue
from pipeline.core.errors import ReviewError
from pipeline.settings import Settings
from schemas.base import Drops
from schemas.documents import Chunks
from schemas.pairs import Reviews, ScreenedPairs


def open_queue(settings: Settings) -> ReviewQueue:
    """Return Label Studio and the queue files together, or the files alone without a server.

    Raises:
        ReviewError: a server is configured and its key is not.
    """
    files = FileQueue(settings.paths.home / "reviews")
    folder = files.folder / "label_studio"
    connection = find_connection(settings.label_studio, settings.paths.home)
    if connection is None and not folder.exists():
        return files
    # What was decided on a server counts even when its login is gone.
    retired = connection is None or not (settings.label_studio.managed or settings.label_studio.url)
    server = LabelStudioQueue(folder, connection or Connection("", ""), settings.label_studio)
    return CombinedQueue(server, files, retired=retired)


class CombinedQueue:
    """Each pair in the queue files and in Label Studio: it counts once, and one decision closes it.

    The files never wait for the server: while it cannot be asked, ``missed`` of what is returned
    says why, and the next pull and push catch up. With a ``retired`` server nothing is asked of
    it any more; its decisions go on counting.
    """

    def __init__(
        self, server: LabelStudioQueue, files: FileQueue, *, retired: bool = False
    ) -> None:
        self.server = server
        self.files = files
        self.retired = retired
        self._missed = ""

    def push(self, pairs: DataFrame[ScreenedPairs], chunks: DataFrame[Chunks]) -> PushResult:
        """Queue pairs in both places; a server that the last pull did not reach is left alone."""
        filed = self.files.push(pairs, chunks, self.server.stored().decided)
        if self.retired:
            return filed
        if self._missed:
            return replace(filed, missed=self._missed)
        try:
            stored = self.server.push(pairs, chunks)
        except ReviewError as error:
            return replace(filed, missed=str(error))
        return max(filed, stored, key=lambda result: result.new)

    def pull(self) -> Pulled:
        """Return all decisions, and close each decided pair in the other place."""
        here = self.files.pull()
        if self.retired:
            there = self.server.stored()
        else:
            try:
                there = self.server.pull(here.reviews)
            except ReviewError as error:
                there = replace(self.server.stored(), missed=str(error))
        self._missed = there.missed
        self.files.close(there.decided)
        return _joined(there, here)

    def status(self) -> QueueStatus:
        """Count the pairs of both places, each once; asks no server."""
        queued = self.server.queued() | self.files.items().keys()
        return standing(queued, _joined(self.server.stored(), self.files.stored()))

    def open_items(self, reviewer: str) -> list[Item]:
        """Return the pairs of the files that nobody decided on and this reviewer did not skip."""
        there = self.server.stored()
        mine = there.reviews.filter(pl.col("reviewer") == reviewer)["pair_id"]
        closed = there.decided | set(mine)
        return [item for item in self.files.open_items(reviewer) if item["pair_id"] not in closed]

    def decide(self, decision: Decision) -> None:
        """Store one decision in the files at once."""
        self.files.decide(decision)


def _joined(there: Pulled, here: Pulled) -> Pulled:
    """Return both; of one reviewer's decisions on a pair the latest."""
    reviews = pl.concat([there.reviews, here.reviews]).sort("pair_id", "reviewer", "decided_at")
    latest = reviews.unique(["pair_id", "reviewer"], keep="last", maintain_order=True)
    return replace(
        there,
        reviews=cast("DataFrame[Reviews]", latest),
        bounced=cast("DataFrame[Drops]", pl.concat([there.bounced, here.bounced])),
    )
