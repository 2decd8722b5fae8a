"""What is told of the requests to come: before the first one, after the pilot, and on the way."""

import time
from collections.abc import Sequence

from pipeline.core.progress import advance, announce
from pipeline.pairs.grounded import Chunk
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import GenerateSettings

PASS = 0.84
"""Share of the candidates that passes the screens: 256 of the 303 of the samples."""
PROMPT_TOKENS = 120
"""Of a strong teacher's request beside its chunk."""


class Foresight:
    """Requests, tokens and time of a generation, and how far it is."""

    def __init__(
        self,
        documents: Sequence[Sequence[Chunk]],
        wanted: Sequence[Sequence[int]],
        settings: GenerateSettings,
        teacher: Teacher,
        limited: bool,
    ) -> None:
        self._settings, self._limited = settings, limited
        self._strong = teacher.strength == "strong"
        asked = [
            (chunk, count)
            for document, counts in zip(documents, wanted, strict=True)
            for chunk, count in zip(document, counts, strict=True)
            if count
        ]
        self._chunks, self._candidates = len(asked), sum(count for _, count in asked)
        self._all = sum(self._requests(count) for _, count in asked)
        self._tokens = sum((1 + count) * (chunk.tokens + PROMPT_TOKENS) for chunk, count in asked)
        self._share = min(1.0, settings.target / PASS / self._candidates) if limited else 1.0
        self._done = 0
        self._began = time.monotonic()
        self.more = 0
        """Requests of self-instruct."""

    def announce(self) -> None:
        """Say what will be asked, and how to change it."""
        target = self._settings.target
        line = f"generate: about {self._total():,} requests"
        if self._strong:
            line += f", {self._share * self._tokens:,.0f} tokens to read"
        if self._limited:
            line += (
                f", until {target:,} pairs pass; a smaller generate.target asks less, a larger one "
                f"or 0 up to all {self._chunks:,} chunks ({self._candidates:,} candidates)"
            )
        else:
            line += (
                f" for all {self._chunks:,} chunks ({self._candidates:,} candidates); "
                "a smaller generate.target asks less"
            )
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
        unit = "requests"
        if self._settings.target:
            unit += f", {passed:,} of {self._settings.target:,} pairs"
        if self._limited and passed:
            self._share = min(1.0, self._done * self._settings.target / passed / self._all)
        advance(self._done, self._total(), unit)

    def end(self) -> None:
        """Tell that all is done."""
        done = self._done + self.more
        advance(done, done, "requests")

    def _total(self) -> int:
        return max(self._done, round(self._share * self._all)) + self.more

    def _requests(self, count: int) -> int:
        return count + 1 if self._strong else count * self._settings.questions_per_answer
