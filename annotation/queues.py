"""Label Studio and the queue files together: people may use either, all decisions count."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from annotation.decisions import Decision, Item
from annotation.label_studio import LabelStudioQueue
from annotation.label_studio_connection import Connection, find_connection
from annotation.notes import read_policy
from annotation.queue import Pulled, PushResult, QueueStatus, join_reviews, standing
from annotation.queue_files import FileQueue
from pipeline.core.errors import ReviewError
from pipeline.settings import Settings
from schemas.base import Drops
from schemas.documents import Chunks
from schemas.pairs import ScreenedPairs


def open_queue(settings: Settings) -> "ReviewQueue":
    """Return Label Studio and the queue files together, or the files alone without a server.

    Raises:
        ReviewError: a server is configured and its key is not.
    """
    policy = read_policy(settings)
    files = FileQueue(settings.paths.home / "reviews", policy)
    folder = files.folder / "label_studio"
    connection = find_connection(settings.label_studio, settings.paths.home)
    if connection is None and not folder.exists():
        return files
    # What was decided on a server counts even when its login is gone.
    retired = connection is None or not (settings.label_studio.managed or settings.label_studio.url)
    connection = connection or Connection("", "")
    server = LabelStudioQueue(folder, connection, settings.label_studio, policy)
    return CombinedQueue(server, files, retired=retired)


class CombinedQueue:
    """Each pair in the queue files and in Label Studio, once: what settles it closes it in both.

    The files never wait for the server: while it cannot be asked, ``missed`` of what is returned
    says why, and the next pull and push catch up. With a ``retired`` server nothing is asked of
    it any more; its decisions go on counting.
    """

    def __init__(
        self, server: LabelStudioQueue, files: FileQueue, *, retired: bool = False
    ) -> None:
        self.server = server
        self.files = files
        self.policy = files.policy = server.policy
        self.retired = retired
        self._missed = ""

    def push(
        self,
        pairs: DataFrame[ScreenedPairs],
        chunks: DataFrame[Chunks],
        hints: Mapping[str, str] | None = None,
    ) -> PushResult:
        """Queue pairs in both places; a server that the last pull did not reach is left alone."""
        filed = self.files.push(pairs, chunks, hints, self.server.stored().reviews)
        if self.retired or self._missed:
            return replace(filed, missed=self._missed)
        try:
            stored = self.server.push(pairs, chunks, hints)
        except ReviewError as error:
            return replace(filed, missed=str(error))
        return max(filed, stored, key=lambda result: result.new)

    def pull(self) -> Pulled:
        """Return all decisions, and close each settled pair in the other place."""
        here = self.files.pull()
        try:
            there = self.server.stored() if self.retired else self.server.pull(here.reviews)
        except ReviewError as error:
            there = replace(self.server.stored(), missed=str(error))
        self._missed = there.missed
        self.files.close(there.reviews)
        return _joined(there, here)

    def status(self) -> QueueStatus:
        """Count the pairs of both places, each once; asks no server."""
        queued = self.server.queued() | self.files.items().keys()
        return standing(queued, self.stored(), self.policy)

    def stored(self) -> Pulled:
        """Return all decisions pulled so far; asks no server."""
        return _joined(self.server.stored(), self.files.stored())

    def items(self) -> Mapping[str, Item]:
        """Return the queued pairs by id; the files hold all."""
        return self.files.items()

    def open_items(self, reviewer: str) -> list[Item]:
        """Return the pairs of the files that lack a decision which this reviewer may take."""
        return self.files.open_items(reviewer, self.server.stored().reviews)

    def decide(self, decision: Decision) -> None:
        """Store one decision in the files at once."""
        self.files.decide(decision)


ReviewQueue = FileQueue | CombinedQueue  # where people decide on pairs


def _joined(there: Pulled, here: Pulled) -> Pulled:
    reviews = join_reviews(there.reviews, here.reviews)
    bounced = cast("DataFrame[Drops]", pl.concat([there.bounced, here.bounced]))
    return replace(there, reviews=reviews, bounced=bounced)
