"""Concurrency of requests: more at once while that pays, fewer when the server says so."""

import threading
import time

FIRST = 8  # requests at once to begin with
GROWTH = 1.5
"""Of the limit after a round that paid. With 1.25, replies of unlike length hid the gain: beside a
simulated server with room for 64 the search ended at 16 (median), with 1.5 at 64."""
PAYS = 1.1  # replies a second, against the best round so far, from which more at once pays
ROUND = 2  # replies of a round, for each request at once
PATIENCE = 3  # rounds in a row that do not pay before the search ends: one may be slow by chance
SLOWDOWN = 0.75  # of the limit after a 429 (DataDesigner)


class Gate:
    """Lets so many requests to a server at once, and finds how many by itself.

    A round is so many replies while further requests wait. After one with more replies a second
    than the best before, the limit rises; after :data:`PATIENCE` without, or a 429, no more.
    """

    def __init__(self, most: int) -> None:
        self.limit = float(min(FIRST, most))
        self._most, self._patience = float(most), PATIENCE
        self._inside = self._replies = self._waiting = 0
        self._best, self._began = 0.0, time.monotonic()
        self._free = threading.Condition()

    def __enter__(self) -> None:
        with self._free:
            self._waiting += 1
            self._free.wait_for(lambda: self._inside < max(1, int(self.limit)))
            self._waiting -= 1
            self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._free:
            self._inside -= 1
            if kind is None:
                self._replied()
            self._free.notify_all()

    def too_many(self) -> None:
        """Note that the server asked for fewer."""
        with self._free:
            self.limit, self._patience = max(1.0, self.limit * SLOWDOWN), 0

    def _replied(self) -> None:
        self._replies += 1
        if not self._waiting:  # the server had too little to do: that is no slow round
            self._replies, self._began = 0, time.monotonic()
        if not self._patience or self._replies < ROUND * int(self.limit):
            return
        rate = self._replies / max(1e-9, time.monotonic() - self._began)
        self._replies, self._began = 0, time.monotonic()
        if rate < PAYS * self._best:
            self._patience -= 1
            return
        self._best, self._patience = rate, PATIENCE
        self.limit = min(self._most, self.limit * GROWTH)
