"""Label Studio and the queue files together: people may use either, all decisions count."""

from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from annotation.decisions import Item
from annotation.label_studio import LabelStudioQueue
from annotation.label_studio_connection import Connection, find_connection
from annotation.queue import Pulled, PushResult, join_reviews, read_policy
from annotation.queue_files import FileQueue
from pipeline.core.errors import ReviewError
from pipeline.settings import Settings
from schemas.base import Drops


def open_queue(settings: Settings) -> FileQueue:
    """Return the files with Label Studio, or alone without it; ReviewError: its key is missing."""
    policy, folder = read_policy(settings), settings.paths.home / "reviews"
    connection = find_connection(settings.label_studio, settings.paths.home)
    if connection is None and not (folder / "label_studio").exists():
        return FileQueue(folder, policy)
    # What was decided on a server counts even when its login is gone.
    retired = connection is None or not (settings.label_studio.managed or settings.label_studio.url)
    connection = connection or Connection("", "")
    server = LabelStudioQueue(folder / "label_studio", connection, settings.label_studio, policy)
    return CombinedQueue(server, folder, retired=retired)


class CombinedQueue(FileQueue):
    """Each pair in the queue files and in Label Studio, once: what settles it closes it in both.

    Only push and pull ask the server, a ``retired`` one never. While it cannot be asked, ``missed``
    of what they return says why, and the next ones catch up.
    """

    def __init__(self, server: LabelStudioQueue, folder: Path, *, retired: bool = False) -> None:
        super().__init__(folder, server.policy)
        self.server = server
        self.retired = retired
        self._missed = ""

    def push(self, items: Sequence[Item]) -> PushResult:
        """Queue items in both places; a server that the last pull did not reach is left alone."""
        filed = super().push(items)
        if self.retired or self._missed:
            return replace(filed, missed=self._missed)
        try:
            stored = self.server.push(items)
        except ReviewError as error:
            return replace(filed, missed=str(error))
        return max(filed, stored, key=lambda result: result.new)

    def pull(self) -> Pulled:
        """Return all decisions, and close each settled pair in the other place."""
        here = super().pull()
        try:
            there = self.server.stored() if self.retired else self.server.pull(here.reviews)
        except ReviewError as error:
            there = replace(self.server.stored(), missed=str(error))
        self._missed = there.missed
        self.close()
        return _joined(there, here)

    def stored(self) -> Pulled:
        """Return the decisions of both places."""
        return _joined(self.server.stored(), super().stored())

    def queued(self) -> Set[str]:
        """Return the pairs of both places."""
        return self.server.queued() | super().queued()


def _joined(there: Pulled, here: Pulled) -> Pulled:
    reviews = join_reviews(there.reviews, here.reviews)
    bounced = cast("DataFrame[Drops]", pl.concat([there.bounced, here.bounced]))
    return replace(there, reviews=reviews, bounced=bounced)
