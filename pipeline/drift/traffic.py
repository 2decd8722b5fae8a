"""Exchanges that people should look at, and why: nothing is learnt before one accepts it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.documents.clean.clean_document import redact_all
from pipeline.evaluate.answers.chunk_index import ChunkIndex
from pipeline.evaluate.measures.grounding import chunk_text, grounded
from pipeline.evaluate.measures.metrics import withholds
from pipeline.pairs.harvest import pair_row
from pipeline.settings import CleanSettings, Settings
from pipeline.text.words import same_text
from schemas.exchanges import Exchanges

REASONS = {  # to look at an exchange, in the reviewer's words; what matters most first
    "rated_down": "a user asked this and rated the answer down",
    "drifted": "users ask about something that the model was not trained on",
    "abstained": "a user asked this, and the model said that it does not know",
    "unsupported": "a user asked this, and the answer says what the passage does not",
}


def choose(
    exchanges: DataFrame[Exchanges],
    index: ChunkIndex,
    drifted: Sequence[str],
    known: Sequence[Mapping[str, Any]],
    room: int,
    settings: Settings,
) -> list[dict[str, Any]]:
    """Choose of the exchanges, in the order of time, ``room`` that people should look at next.

    ``drifted`` are ids of a window that drifted, the farthest first; rows that are ``known``, and
    their questions, do not come again. By their answers the latest ``monitor.max_window`` are
    chosen. An exchange without passages gets the best chunks, for the reviewer to judge by. What
    is kept of each comes by reason, then the farthest or latest first; texts redacted.
    """
    taken = {row["exchange_id"] for row in known}
    asked = {same_text(row["prompt"]) for row in known}
    chosen: list[dict[str, Any]] = []
    fresh = exchanges.filter(~pl.col("exchange_id").is_in(sorted(taken)))
    for reason, row in _reasons(cast("DataFrame[Exchanges]", fresh), index, drifted, settings):
        if len(chosen) == room:
            break
        texts = _redacted(row, settings.clean)
        if row["exchange_id"] in taken or same_text(texts["prompt"]) in asked:
            continue
        taken.add(row["exchange_id"])
        asked.add(same_text(texts["prompt"]))
        passages = _passages(row, index, settings.evaluate.retrieved_chunks)
        facts = {name: row[name] for name in ("exchange_id", "time", "rating", "model")}
        chunk_ids = [chunk["chunk_id"] for chunk in passages]
        key = pair_row("traffic", texts["prompt"], texts["response"], history=texts["history"])
        facts |= {"pair_id": key["pair_id"], "reason": reason, "chunk_ids": chunk_ids}
        chosen.append(facts | texts)
    return chosen


def _reasons(
    exchanges: DataFrame[Exchanges], index: ChunkIndex, drifted: Sequence[str], settings: Settings
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield exchanges with why they are worth a look; one may come for several reasons."""
    monitor, refusal = settings.monitor, same_text(settings.task.refusal) or "\0"
    latest = exchanges.reverse()
    for row in latest.filter(pl.col("rating") <= monitor.low_rating).iter_rows(named=True):
        yield "rated_down", row
    by_id = {row["exchange_id"]: row for row in latest.iter_rows(named=True)}
    for key in drifted:
        if key in by_id:
            yield "drifted", by_id[key]
    unsupported = []
    for row in list(by_id.values())[: monitor.max_window]:
        if row["response"] is None:
            continue
        if withholds(row["response"]) or refusal in same_text(row["response"]):
            yield "abstained", row
            continue
        passages = _passages(row, index, settings.evaluate.retrieved_chunks)
        source = "\n".join(map(chunk_text, passages))
        if grounded(row["response"], row["prompt"], source, settings.screen) == 0:
            unsupported.append(("unsupported", row))
    yield from unsupported


def _passages(row: Mapping[str, Any], index: ChunkIndex, count: int) -> list[dict[str, Any]]:
    given = [index.rows[key] for key in row["chunk_ids"] if key in index.rows]
    return given or index.find(row["prompt"], count)


def _redacted(row: Mapping[str, Any], settings: CleanSettings) -> dict[str, Any]:
    """Return the texts of an exchange without personal data: other servers log them as they are."""
    turns = row["history"] or []
    texts = [row["prompt"], row["response"] or "", *(turn["content"] for turn in turns)]
    prompt, response, *contents = redact_all(texts, settings)
    history = [turn | {"content": text} for turn, text in zip(turns, contents, strict=True)]
    return {"prompt": prompt, "response": response, "history": history}
