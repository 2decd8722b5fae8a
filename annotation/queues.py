"""Label Studio and the file queue together: people may use either, all decisions count."""

from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from annotation.label_studio import LabelStudioQueue
from annotation.queue import FileQueue, Pulled, PushResult, QueueStatus
from schemas.chunks import Chunks
from schemas.drops import Drops
from schemas.pairs import ScreenedPairs
from schemas.reviews import Reviews


class CombinedQueue:
    """Pushes to Label Studio; pulls from there and from the queue files.

    With a ``retired`` server nothing is asked of it any more: its decisions go on counting, and
    new pairs go to the files.
    """

    def __init__(
        self, server: LabelStudioQueue, files: FileQueue, *, retired: bool = False
    ) -> None:
        self.server = server
        self.files = files
        self.retired = retired

    def push(self, pairs: DataFrame[ScreenedPairs], chunks: DataFrame[Chunks]) -> PushResult:
        """Queue pairs on the server, or in the files once it is retired."""
        queue = self.files if self.retired else self.server
        return queue.push(pairs, chunks)

    def pull(self) -> Pulled:
        """Return all decisions; raises ReviewError when the server cannot be asked."""
        return self.stored() if self.retired else _joined(self.server.pull(), self.files.pull())

    def stored(self) -> Pulled:
        """Return the decisions known without asking the server."""
        return _joined(self.server.stored(), self.files.pull())

    def status(self) -> QueueStatus:
        """Count both queues; a pair that was pushed to both counts in both."""
        one, other = self.server.status(), self.files.status()
        return QueueStatus(
            **{name: getattr(one, name) + getattr(other, name) for name in one.__slots__}
        )


def _joined(one: Pulled, other: Pulled) -> Pulled:
    """Return both; of one reviewer's decisions on a pair, settling takes the latest."""
    return Pulled(
        reviews=cast(
            "DataFrame[Reviews]",
            pl.concat([one.reviews, other.reviews]).sort("pair_id", "reviewer", "decided_at"),
        ),
        bounced=cast("DataFrame[Drops]", pl.concat([one.bounced, other.bounced])),
    )
