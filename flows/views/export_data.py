"""Export the pairs of a data set in the forms of other tools, with their splits and lineage."""

import shutil
from pathlib import Path
from typing import Any

import polars as pl

from flows.models.listing import system_prompt_of
from flows.views.cards import FILES, data_facts
from pipeline.core.errors import InputError
from pipeline.core.home import Home, ancestors
from pipeline.core.store import Dataset
from pipeline.pairs.data_forms import DATA_FORMS, DataForm, Row
from pipeline.report.cards import data_card
from pipeline.settings import Settings
from schemas.pairs import SettledPairs

LINEAGE = ("pair_id", "doc_id", "chunk_id", "origin", "kind", "status")
"""Columns that lead back to a document, in every form."""


def export_data(settings: Settings, form: str, folder: Path) -> dict[str, Any]:
    """Write the latest pairs that training uses, with gold rows, in a form of :data:`DATA_FORMS`.

    Returns ``dataset``, ``folder``, ``form`` and rows by split (``splits``). An InputError where
    there are no pairs yet, or the folder is neither new nor empty.
    """
    home = Home.at(settings.paths.home)
    latest = home.latest()
    if "examples" not in latest:
        raise InputError("export data: no examples found; expected some; run `tuneloop run`")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"export data: {folder} holds something; expected a new or an empty folder; name "
            "another with --to"
        )
    examples = latest["examples"]
    splits = _splits(home, examples)
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        kind = DATA_FORMS[form]
        written = {split: [_row(row, kind) for row in rows] for split, rows in splits.items()}
        kind.write(temporary, written)
        card = data_card(data_facts(home, settings, examples))
        (temporary / FILES["data"]).write_text(card, "utf-8")
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    counts = {split: len(rows) for split, rows in splits.items()}
    return {"dataset": str(examples), "folder": str(folder), "form": form, "splits": counts}


def _splits(home: Home, examples: Dataset) -> dict[str, list[Row]]:
    """Return the pairs behind examples by split, with the turns of each conversation."""
    made = {item.dataset: item for item in ancestors(home, examples)}
    pairs = home.store.read(Dataset.of(made["clean_pairs"]), SettledPairs).sort("pair_id")
    told = pairs.with_columns(prompt=pl.lit(system_prompt_of(home, examples)))
    parts = told.partition_by("split", as_dict=True)
    return {str(split): part.to_dicts() for (split,), part in sorted(parts.items())}


def _row(row: Row, form: DataForm) -> Row:
    history = [dict(turn) for turn in row["history"]]
    if row["prompt"] and not (history and history[0]["role"] == "system"):
        history = [{"role": "system", "content": row["prompt"]}, *history]
    said = {"user": row["instruction"], "assistant": row["response"]}
    turns = history + [{"role": role, "content": text.strip()} for role, text in said.items()]
    return form.row(turns, row["input"].strip()) | {name: row[name] for name in LINEAGE}
