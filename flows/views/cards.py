"""What manifests, run card and verdict say of a model, for its card and that of its data."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from flows.models.listing import judgement, system_prompt_of
from pipeline.core.cache import write_atomically
from pipeline.core.home import Home, ancestors
from pipeline.core.manifest import Manifest
from pipeline.core.store import Dataset
from pipeline.pairs.assignment import unit_of
from pipeline.report.cards import Facts, data_card, model_card
from pipeline.settings import Settings
from pipeline.train.models.adapter import read_run_card
from pipeline.train.models.embedded import NAME as EMBEDDED
from schemas.pairs import SettledPairs

HUB = {EMBEDDED: ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")}
"""Id on the Hub and licence of the embedded model; of others the README in their folder tells."""
STAGES = (
    "chunks", "splits", "candidate_pairs", "screened_pairs", "settled_pairs", "gold_pairs",
    "clean_pairs", "examples",
)  # fmt: skip
"""Data sets on the way from unique documents to examples, in order."""
DECISIONS = ("accepted", "edited", "rejected", "reviewers_disagree", "unreviewed")
RUN_CARD = (
    "template_digest", "method", "settings", "trainable_parameters", "supervised_tokens",
    "best_step", "steps", "libraries",
)  # fmt: skip
FILES = {"model": "model_card.md", "data": "data_card.md"}


def model_and_data_card(home: Home, settings: Settings, model: Dataset) -> dict[str, str]:
    """Return the cards of a model and of the examples it was trained on: ``model``, ``data``."""
    manifest = home.store.manifest(model.name, model.fingerprint)
    data = data_facts(home, settings, home.dataset(manifest.inputs["from"]))
    judged = judgement(home, model)
    card = read_run_card(home.store.path(model))
    name = card["base_model"]["name"]
    base, licence = HUB.get(name, (name, _licence(Path(settings.model.base_model))))
    facts = dict(
        name=f"{data['name']}-{manifest.fingerprint[:8]}",
        fingerprint=manifest.fingerprint,
        created_at=manifest.created_at,
        base=base,
        base_digest=card["base_model"]["digest"],
        licence=licence,
        **{key: card[key] for key in RUN_CARD},
        code=manifest.code,
        verdict=judged.record if judged else None,
        evidence=judged.evidence if judged else "",
        data=data,
    )
    return {"model": model_card(facts), "data": data_card(data)}


def write_cards(cards: Mapping[str, str], folder: Path) -> list[Path]:
    """Write model_card.md and data_card.md into a folder."""
    for kind, text in cards.items():
        write_atomically(folder / FILES[kind], text.encode())
    return [folder / FILES[kind] for kind in cards]


def data_facts(home: Home, settings: Settings, origin: Dataset) -> Facts:
    """Return what the card of examples tells of them."""
    folder = settings.paths.input  # or an address
    path = folder.resolve() if isinstance(folder, Path) else PurePosixPath(folder)
    found = list(ancestors(home, origin))
    before = {item.dataset: item for item in found}
    documents = documents_in(found)
    examples = home.rows(origin)
    settled = before.get("settled_pairs")
    by_cleaning = next((item.settings for item in documents if item.dataset == "documents"), {})
    return dict(
        rows=examples.height,
        name=path.name,
        system_prompt=system_prompt_of(home, origin),
        languages=tuple(by_cleaning.get("languages", ())),
        stages=tuple(
            (item.dataset, item.facts.rows_in, item.facts.rows_kept, item.facts.reasons)
            for item in [*documents, *(before[stage] for stage in STAGES if stage in before)]
        ),
        formats=_count(home, documents[-1] if documents else None, "format"),
        splits=_counts(examples, "split"),
        unit=unit_of(examples),
        origins=_counts(examples, "origin"),
        statuses=_counts(examples, "status"),
        generators=_generators(home, before.get("clean_pairs")),
        decisions={
            kind: int(settled.facts.metrics[kind])
            for kind in DECISIONS
            if settled and settled.facts.metrics.get(kind)
        },
        reviewers=len(_count(home, before.get("reviews"), "reviewer")),
        redacted=tuple(by_cleaning.get("redact", ())),
        fingerprint=origin.fingerprint,
        created_at=found[0].created_at,
    )


def documents_in(found: Sequence[Manifest]) -> list[Manifest]:
    """Return the stages of the documents in order: read, cleaned, without duplicates.

    The first unique documents in ``found`` (of :func:`ancestors`) are what the chunks are of;
    others were compared with.
    """
    known = {str(item): item for item in found}
    at = next((item for item in found if item.dataset == "unique_documents"), None)
    stages: list[Manifest] = []
    while at is not None:
        stages.append(at)
        at = known.get(at.inputs.get("documents", ""))
    return stages[::-1]


def _count(home: Home, manifest: Manifest | None, column: str) -> dict[str, int]:
    return _counts(home.rows(Dataset.of(manifest)), column) if manifest else {}


def _counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    """Return rows by value, most frequent first."""
    counted = frame.group_by(column).len().sort(["len", column], descending=[True, False])
    return {str(value): int(rows) for value, rows in counted.iter_rows()}


def _generators(home: Home, manifest: Manifest | None) -> tuple[tuple[str, str, str, int], ...]:
    if manifest is None:
        return ()
    columns = ["kind", "generator", "prompt_version"]
    pairs = home.store.read(Dataset.of(manifest), SettledPairs).filter(pl.col("origin") != "gold")
    return tuple(pairs.group_by(columns).len().sort(columns).iter_rows())


def _licence(folder: Path) -> str | None:
    """Return the licence that the README of a model folder names, or None."""
    readme = folder / "README.md"
    if not readme.is_file():
        return None
    from huggingface_hub import ModelCard

    header: Any = ModelCard(readme.read_text("utf-8"), ignore_metadata_errors=True).data
    found = header.to_dict().get("license")
    return found if isinstance(found, str) else None
