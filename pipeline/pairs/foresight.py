"""What is told of the requests to come: before the first one, after the pilot, and on the way."""

import time
from collections.abc import Callable, Sequence

from pipeline.core.progress import advance, announce
from pipeline.pairs.chunk_order import Chunk
from pipeline.settings import GenerateSettings

PASS = 0.84
"""Share of the candidates that passes the screens: 256 of the 303 of the samples."""
PROMPT_TOKENS = 120
"""Of a strong teacher's request beside its chunk."""


class Foresight:
    """Requests, tokens and time of a generation, and how far it is."""

    def __init__(
        self,
        chunks: Sequence[tuple[Chunk, int]],
        requests: Callable[[int], int],
        settings: GenerateSettings,
        *,
        reads_chunks: bool,
        limited: bool,
        more: int,
    ) -> None:
        """Count what is to come.

        Args:
            chunks: all chunks, and how many pairs are wanted of each.
            requests: how many requests so many pairs of a chunk take.
            settings: section ``generate``.
            reads_chunks: whether a request holds its whole chunk.
            limited: whether the target ends it.
            more: requests without a chunk, at the end.
        """
        self._requests, self._target, self._limited = requests, settings.target, limited
        counts = [count for _, count in chunks if count]
        self._chunks, self._candidates = len(counts), sum(counts)
        self._all = sum(map(requests, counts))
        self._tokens = reads_chunks * sum(
            requests(count) * (chunk.tokens + PROMPT_TOKENS) for chunk, count in chunks if count
        )
        self._share = min(1.0, settings.target / PASS / self._candidates) if limited else 1.0
        self._done, self._more = 0, more
        self._began = time.monotonic()

    def announce(self) -> None:
        """Say what will be asked, and how to change it."""
        line = f"generate: about {self._total():,} requests"
        if self._tokens:
            line += f", {self._share * self._tokens:,.0f} tokens to read"
        chunks = f"all {self._chunks:,} chunks ({self._candidates:,} candidates)"
        if self._limited:
            line += (
                f", until {self._target:,} pairs pass; a smaller generate.target asks less, a "
                f"larger one or 0 up to {chunks}"
            )
        else:
            line += f" for {chunks}; a smaller generate.target asks less"
        announce(line)
        advance(0, self._total(), "requests")

    def announce_time(self) -> None:
        """Say how long the rest takes if it goes on as it began."""
        seconds = time.monotonic() - self._began
        left = seconds * (self._total() - self._done) / max(1, self._done)
        if left:
            announce(f"generate: about {left / 60:,.1f} min more at the pace of the pilot")

    def advance(self, counts: Sequence[int], passed: int) -> None:
        """Tell that chunks were asked for so many pairs each, and how many pairs pass by now."""
        self._done += sum(map(self._requests, counts))
        pairs = f", {passed:,} of {self._target:,} pairs" if self._target else ""
        if self._limited and passed:
            self._share = min(1.0, self._done * self._target / passed / self._all)
        advance(self._done, self._total(), f"requests{pairs}")

    def end(self) -> None:
        """Tell that all is done."""
        done = self._done + self._more
        advance(done, done, "requests")

    def _total(self) -> int:
        return max(self._done, round(self._share * self._all)) + self._more
