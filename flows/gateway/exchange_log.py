"""The log of exchanges that the drift check reads: questions, answers, ratings, redacted."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.engine.context import say_once
from pipeline.core.journal import append, write_time
from pipeline.documents.clean.clean_document import redact_all
from pipeline.settings import CleanSettings
from pipeline.text.chat_template import Message


class ExchangeLog:
    """A file a month in a folder, a line an exchange or a rating; nothing is changed in it."""

    def __init__(self, folder: Path, settings: CleanSettings) -> None:
        self.folder = folder
        self._settings = settings
        self._lock = threading.Lock()

    def note(
        self,
        key: str,
        turns: Sequence[Message],
        response: str | None,
        model: str,
        chunk_ids: Sequence[str],
    ) -> None:
        """Append an exchange; ``response``: None for one that was not written to its end."""
        texts = [response or "", *(turn["content"] for turn in turns)]
        answer, *contents = redact_all(texts, self._settings)
        pairs = zip(turns, contents, strict=True)
        said = (Message(role=turn["role"], content=text) for turn, text in pairs)
        *history, asked = (turn for turn in said if turn["role"] != "system")
        row: dict[str, Any] = {"id": key, "model": model, "prompt": asked["content"]}
        row |= {"history": history, "response": None if response is None else answer}
        try:
            self._append(row | {"chunk_ids": list(chunk_ids)})
        except OSError as error:  # the answer is worth more than its line
            say_once(f"serve: {self.folder}: {error.strerror}; nothing is logged")

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
