"""The log of exchanges that the drift check reads: questions, answers, ratings, redacted."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.journal import append, write_time
from pipeline.drift.logs import redacted
from pipeline.settings import CleanSettings


class ExchangeLog:
    """A file a month in a folder, a line an exchange or a rating; nothing is changed in it.

    The folder is made with the first line; the settings say what is redacted.
    """

    def __init__(self, folder: Path, settings: CleanSettings) -> None:
        self.folder = folder
        self._settings = settings
        self._lock = threading.Lock()

    def note(
        self,
        key: str,
        turns: Sequence[Mapping[str, str]],
        response: str | None,
        model: str,
        chunk_ids: Sequence[str],
    ) -> None:
        """Append an exchange.

        ``key``: id of the answer, which a rating names; ``turns``: the request's, the last
        one is the question; ``response``: None for one that was not written to its end;
        ``model``: fingerprint of the champion; ``chunk_ids``: passages that went before the
        question.

        Raises:
            OSError: the file cannot be written.
        """
        texts = [response or "", *(turn["content"] for turn in turns)]
        answer, *contents = redacted(texts, self._settings)
        roles = [turn["role"] for turn in turns]
        written = zip(roles, contents, strict=True)
        logged = [{"role": role, "content": text} for role, text in written if role != "system"]
        asked = {"prompt": logged[-1]["content"], "history": logged[:-1]}
        said = {"response": None if response is None else answer, "chunk_ids": list(chunk_ids)}
        self._append({"id": key, "model": model} | asked | said)

    def rate(self, key: str, rating: float) -> bool:
        """Append a rating of an exchange, the latest of which counts; False: there is none."""
        mark = f'"id": "{key}"'
        for path in sorted(self.folder.glob("serve-*.jsonl"), reverse=True):
            with path.open(encoding="utf-8", errors="replace") as lines:
                if any(mark in line[:120] for line in lines):
                    self._append({"rates": key, "rating": rating})
                    return True
        return False

    def _append(self, row: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        with self._lock:
            append(self.folder / f"serve-{now:%Y-%m}.jsonl", [row | {"time": write_time(now)}])
