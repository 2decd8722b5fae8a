"""What is new since the champion was trained, cut into windows that are tested once."""

from dataclasses import dataclass
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.home import Home, stages_before
from pipeline.core.registry import CHAMPION
from pipeline.core.store import DROPPED, Dataset
from pipeline.drift.features import document_texts, exchange_texts, pair_texts, shuffle
from pipeline.settings import MonitorSettings
from schemas.documents import UniqueDocuments
from schemas.drift import KINDS
from schemas.exchanges import Exchanges
from schemas.pairs import Examples


@dataclass(frozen=True, slots=True)
class Watched:
    """The champion, what it was trained on, and its drift reference."""

    champion: Dataset
    promoted_at: str  # UTC, ISO 8601
    reference: Dataset
    examples: Dataset
    seen: frozenset[str]  # ids of all documents that were read by then, dropped ones included
    dropped: frozenset[str]  # of these, by ingest or cleaning
    duplicates: frozenset[str]  # of these, dropped by deduplication


@dataclass(frozen=True, slots=True)
class Intake:
    """Rows that were read since the snapshot and are in no window yet."""

    texts: pl.DataFrame
    dropped: frozenset[str]
    duplicates: frozenset[str]

    @property
    def read(self) -> int:
        """Documents that were read, dropped and repeated ones included."""
        documents = self.texts.filter(kind="document").height
        return documents + len(self.dropped) + len(self.duplicates)


def watched(home: Home) -> Watched | None:
    """Return what the monitor watches, or None while there is no champion with a reference.

    MissingDataset where the champion, or what it was trained on, is not in the store any more.
    """
    ref = home.registry.get(CHAMPION)
    champion = home.registry.dataset(CHAMPION, home.store)
    if ref is None or champion is None:
        return None
    # By its weights: a training on the same rows under other names gives the same model, and the
    # reference that was made with the first one serves both.
    own = (
        manifest
        for manifest in home.manifests()
        if manifest.dataset == "drift_reference"
        and champion.content == manifest.inputs.get("adapter")
    )
    manifest = max(own, key=lambda item: (item.stage_version, item.created_at), default=None)
    if manifest is None:
        return None
    documents = home.dataset(manifest.inputs["documents"])
    dropped, duplicates, kept = _fates(home, documents)
    return Watched(
        champion=champion,
        promoted_at=ref.at,
        reference=Dataset.of(manifest),
        examples=home.dataset(manifest.inputs["examples"]),
        seen=kept | dropped | duplicates,
        dropped=dropped,
        duplicates=duplicates,
    )


def intake(
    home: Home,
    about: Watched,
    examples: Dataset,
    exchanges: DataFrame[Exchanges],
    tested: frozenset[str],
) -> Intake:
    """Return what is new: documents, dropped rows, pairs of new documents, logged exchanges."""
    documents = home.dataset("unique_documents")
    dropped, duplicates, _ = _fates(home, documents)
    known = about.seen | tested
    trained = set(home.store.read(about.examples, Examples)["pair_id"])
    # Of new documents and by the teacher: pairs that were only reviewed or edited since are others.
    pairs = home.store.read(examples, Examples).filter(
        (pl.col("origin") == "grounded")
        & ~pl.col("pair_id").is_in(sorted(trained))
        & ~pl.col("doc_id").is_in(sorted(about.seen))
    )
    texts = pl.concat(
        [
            document_texts(home.store.read(documents, UniqueDocuments)),
            pair_texts(cast("DataFrame[Examples]", pairs)),
            exchange_texts(exchanges),
        ]
    )
    fresh = texts.filter(~pl.col("id").is_in(sorted(known)))
    return Intake(fresh, frozenset(dropped - known), frozenset(duplicates - known))


def cut(texts: pl.DataFrame, settings: MonitorSettings) -> list[pl.DataFrame]:
    """Cut new texts into at most ``settings.windows`` windows of ``settings.window`` or more.

    Each kind is dealt out by a hash of the id, so that the windows of one delivery are alike. A
    kind with fewer than ``min_window`` texts waits for more.
    """
    windows: list[list[pl.DataFrame]] = [[] for _ in range(settings.windows)]
    for kind in KINDS:
        rows = texts.filter(kind=kind)
        if rows.height < settings.min_window:
            continue
        dealt = shuffle(rows, settings.seed)
        parts = max(1, min(settings.windows, rows.height // settings.window))
        for number in range(parts):
            windows[number].append(dealt.gather_every(parts, number))
    return [pl.concat(parts).sort("id") for parts in windows if parts]


def reference_exchanges(
    exchanges: DataFrame[Exchanges], promoted_at: str, settings: MonitorSettings
) -> DataFrame[Exchanges]:
    """Return those logged until the champion was promoted when they are enough, else the first."""
    ordered = exchanges.sort("time", "exchange_id")
    before = ordered.filter(pl.col("time") <= promoted_at)
    enough = before.height >= settings.min_window
    return cast("DataFrame[Exchanges]", before if enough else ordered.head(settings.window))


def new_rows(home: Home, about: Watched, examples: Dataset) -> int:
    """Count train rows that training would use now and the champion was not trained on."""
    trained = home.store.read(about.examples, Examples).filter(split="train")["pair_id"]
    now = home.store.read(examples, Examples).filter(split="train")["pair_id"]
    return len(set(now) - set(trained))


def _fates(home: Home, documents: Dataset) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return ids that stages before deduplication dropped, duplicates, and what a dataset keeps."""
    dropped: set[str] = set()
    duplicates: set[str] = set()
    for dataset in stages_before(home, documents):
        fate = duplicates if dataset.name == documents.name else dropped
        path = home.store.path(dataset) / DROPPED
        if path.exists():
            fate.update(pl.read_parquet(path, columns=["id"])["id"])
    return frozenset(dropped), frozenset(duplicates), frozenset(home.rows(documents)["doc_id"])
