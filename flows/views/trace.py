"""Follow a row both ways: to the passage it was made from, and into the models that learned it."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.core.errors import InputError
from pipeline.core.home import Home, ancestors
from pipeline.core.store import DROPPED, Dataset
from pipeline.documents.lineage import describe, locate

Row = dict[str, Any]
TRACED = {
    "doc_id": ["raw_documents", "documents", "unique_documents", "splits"],
    "chunk_id": ["chunks", "splits"],
    "pair_id": [
        "candidate_pairs", "screened_pairs", "reviews", "settled_pairs", "gold_pairs",
        "clean_pairs", "examples",
    ],
}  # fmt: skip
"""Where each kind of id lives, in the order of the stages."""
CHUNKS = ("chunk_id", "other_chunk_id")


def trace(home: Home, identifier: str) -> Row:
    """Follow a document, chunk or pair through the latest datasets, up to source and models.

    A document may be named by its source. What only older datasets have is followed through
    those behind a model that learned it. An InputError where nothing has this id.

    Returns ``found``: rows by dataset, upstream ones too; ``dropped``: ledger rows by dataset;
    ``pairs`` with the last dataset that has each (``reached``), why it was ``dropped`` behind that,
    and its ``reviews``; ``place`` of a chunk in the original: ``label`` (file and page), ``start``
    and ``end`` (characters), ``pages`` and ``share`` found; ``models`` that were trained on it.
    """
    datasets = home.latest()
    if "raw_documents" in datasets:
        named = home.rows(datasets["raw_documents"]).filter(source=identifier)["doc_id"]
        identifier = next(iter(named), identifier)
    models = models_trained_on(home, identifier)
    found, dropped = _follow(home, identifier, datasets)
    if models and not found and not dropped:
        # The nearest of each name: deduplication compared with older documents.
        nearest = reversed(list(ancestors(home, models[-1])))
        datasets = {item.dataset: home.dataset(str(item)) for item in nearest}
        found, dropped = _follow(home, identifier, datasets)
    if not found and not dropped:
        raise InputError(
            f"trace: no document, chunk or pair {identifier!r} in the latest datasets or behind a "
            "model; expected an id as `tuneloop show pairs` prints it"
        )
    return {
        "id": identifier,
        "found": found,
        "dropped": dropped,
        "pairs": _pairs(home, identifier, datasets),
        "place": _place(found),
        "models": [str(model) for model in models],
    }


def _follow(
    home: Home, identifier: str, datasets: Mapping[str, Dataset]
) -> tuple[dict[str, Row], dict[str, Row]]:
    """Return the rows of an id and of what it was made from, and its rows in the ledgers."""
    found: dict[str, Row] = {}
    dropped: dict[str, Row] = {}
    waiting = [identifier]
    seen: set[str] = set()
    while waiting:
        current = waiting.pop()
        if not current or current in seen:
            continue
        seen.add(current)
        for column, names in TRACED.items():
            for name in (name for name in names if name in datasets):
                frame = home.rows(datasets[name])
                if column == "doc_id" and "chunk_id" in frame.columns:
                    frame = frame.filter(chunk_id="")  # the others are of chunks
                if column in frame.columns:
                    for row in frame.filter(pl.col(column) == current).head(1).to_dicts():
                        found[name] = row
                        waiting += [row[key] for key in ("chunk_id", "doc_id") if row.get(key)]
        for name, dataset in datasets.items():
            if (home.store.path(dataset) / DROPPED).exists():
                ledger = home.rows(dataset, dropped=True).filter(pl.col("id") == current)
                for row in ledger.head(1).to_dicts():
                    dropped[name] = row
                    waiting.append(row["related_id"] or "")
    return found, dropped


def _pairs(home: Home, identifier: str, datasets: Mapping[str, Dataset]) -> list[Row]:
    """Return the pairs of a document or chunk, or the pair itself, and what became of each."""
    pairs: dict[str, Row] = {}
    names = [name for name in TRACED["pair_id"] if name in datasets and name != "reviews"]
    for name in names:
        frame = home.rows(datasets[name])
        own = [key for key in ("pair_id", "doc_id", *CHUNKS) if key in frame.columns]
        wanted = pl.any_horizontal(pl.col(own) == identifier) | pl.col("pair_id").is_in([*pairs])
        for row in frame.filter(wanted).iter_rows(named=True):
            pair = pairs.setdefault(row["pair_id"], {"pair_id": row["pair_id"], "reviews": []})
            pair |= {key: row[key] for key in ("kind", "split", "status") if row.get(key)}
            pair["reached"] = name
    for name in names:
        for row in home.rows(datasets[name], dropped=True).iter_rows(named=True):
            if row["id"] in pairs:
                pairs[row["id"]]["dropped"] = row["reason"]
    if "reviews" in datasets:
        for row in home.rows(datasets["reviews"]).iter_rows(named=True):
            if row["pair_id"] in pairs:
                pairs[row["pair_id"]]["reviews"].append(f"{row['verdict']} by {row['reviewer']}")
    return list(pairs.values())


def _place(found: dict[str, Row]) -> Row | None:
    raw, chunk = found.get("raw_documents"), found.get("chunks")
    document = found.get("unique_documents")
    if not (raw and chunk):
        return None
    # The text of the chunk may repeat the header of a table that stands pages above.
    own = document["text"][chunk["start"] : chunk["end"]] if document else chunk["text"]
    place = locate(raw, own)
    return {"label": describe(raw, place), **place._asdict()} if place else None


def models_trained_on(home: Home, identifier: str) -> list[Dataset]:
    """Return the models that learned a pair, or a pair of a document or chunk, the latest last."""
    learned: dict[str, set[str]] = {}
    """The pairs in question by examples: many models share theirs."""
    models = []
    for manifest in home.manifests():
        source = manifest.inputs.get("from")
        if manifest.dataset != "model" or source is None or not identifier:
            continue
        if source not in learned:
            learned[source] = _train_pairs(home, source, identifier)
        model = home.dataset(str(manifest))
        told = json.loads((home.store.path(model) / "training.json").read_text("utf-8"))
        if learned[source] - {row["id"] for row in told["dropped"]}:
            models.append(model)
    return models


def _train_pairs(home: Home, examples: str, identifier: str) -> set[str]:
    """Return the train rows of examples that are a pair, or are of a document or chunk."""
    name, _, key = examples.partition("/")
    origin = home.store.find(name, key)
    if origin is None:
        return set()
    wanted = (pl.col("pair_id") == identifier) | (pl.col("doc_id") == identifier)
    for item in ancestors(home, origin):
        if item.dataset == "clean_pairs":  # examples say nothing of chunks
            rows = home.rows(home.dataset(str(item)))
            shown = [name for name in CHUNKS if name in rows.columns]
            pairs = rows.filter(pl.any_horizontal(pl.col(shown) == identifier))["pair_id"]
            wanted |= pl.col("pair_id").is_in(pairs.to_list())
    return set(home.rows(origin).filter(wanted, split="train")["pair_id"])
