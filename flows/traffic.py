"""What people asked of the served model, on its way into the loop: chosen, queued, settled."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from flows.engine.context import Run, say, say_once
from pipeline.core.cache import digest
from pipeline.core.home import Home
from pipeline.core.journal import append, now, read_rows
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.drift.traffic import REASONS, choose
from pipeline.evaluate.answers.chunk_index import ChunkIndex
from pipeline.pairs.traffic import TRAFFIC
from schemas.documents import Chunks
from schemas.exchanges import Exchanges
from schemas.pairs import ScreenedPairs

JOURNAL = "reviews/traffic.jsonl"  # exchanges that were chosen for review, each once, and why


def choose_exchanges(
    run: Run, exchanges: DataFrame[Exchanges], decided: Collection[str], drifted: Sequence[str]
) -> int:
    """Note exchanges for review, of which ``monitor.review_pairs`` wait at most; count the new."""
    known = read_rows(run.home / JOURNAL, say_once)
    waiting = {row["pair_id"] for row in known} - set(decided)
    room = run.settings.monitor.review_pairs - len(waiting)
    if room <= 0 or not exchanges.height:
        return 0
    chunks = run.store.read(Home(run.store, run.registry).dataset("chunks"), Chunks)
    chosen = choose(exchanges, ChunkIndex(chunks), drifted, known, room, run.settings)
    append(run.home / JOURNAL, [row | {"at": now(), "run": run.folder.name} for row in chosen])
    if chosen:
        reasons = Counter(row["reason"] for row in chosen)
        run.event("TRAFFIC", run.flow, **reasons)
        counts = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        say(f"{run.flow}: {len(chosen)} exchanges for review ({counts})")
    return len(chosen)


def traffic(run: Run) -> Dataset | None:
    """Return the pairs of all exchanges that were chosen so far; None without any."""
    chosen = read_rows(run.home / JOURNAL, say_once)
    if not chosen:
        return None
    home, shares = Home(run.store, run.registry), run.settings.split
    return run(
        TRAFFIC,
        chosen=Given(chosen, digest(chosen)),
        chunks=home.dataset("chunks"),
        splits=home.dataset("splits"),
        shares=Given(shares, digest(shares.recipe())),
    )


def why_chosen(home: Path) -> dict[str, str]:
    """Return why people should look at an exchange, by its pair."""
    return {row["pair_id"]: REASONS[row["reason"]] for row in read_rows(home / JOURNAL, say_once)}


def with_traffic(
    home: Home, pairs: DataFrame[ScreenedPairs], chunks: DataFrame[Chunks]
) -> DataFrame[ScreenedPairs]:
    """Return pairs for review with those of exchanges, whose passages may be gone by now."""
    made = home.latest().get(TRAFFIC.dataset)
    if made is None:
        return pairs
    there = chunks["chunk_id"].to_list()
    own = home.store.read(made, ScreenedPairs).with_columns(
        pl.when(pl.col(name).is_in(there)).then(name).otherwise(pl.lit("")).alias(name)
        for name in ("chunk_id", "other_chunk_id")
    )
    return cast("DataFrame[ScreenedPairs]", pl.concat([pairs, own.select(pairs.columns)]))
