"""Go through all files of a home for what a document left there: count it, or take it out."""

import contextlib
import json
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import ValidationError

from annotation.spreadsheet import read_sheet, write_sheet
from flows.housekeeping.held import SOURCES, Held
from pipeline.core.cache import write_atomically
from pipeline.core.code import LOOKED
from pipeline.core.home import Home
from pipeline.core.journal import parse, read_lines
from pipeline.core.manifest import MANIFEST, FileEntry, Manifest, content_digest
from pipeline.core.store import DROPPED, PART, ROW_GROUP
from pipeline.dedup.index import IDS as INDEX_IDS
from pipeline.documents.files.read_file import refusal
from pipeline.documents.forgotten import LEDGER
from pipeline.report.contents import Report
from pipeline.report.html import render

LEARNED = (*SOURCES, "user_rows", "examples", "ablation_examples", "placebo_examples", "test_set")
"""Data sets whose rows are read, asked or trained on."""
SHEET = "queue.csv"
BASES = "models"  # folder of a home with base models, which learned of no document here
GONE = "(forgotten)"  # stands in a report for a text that quoted the document
TABLE, OPAQUE = ".parquet", (".safetensors", ".npy", ".arrow", ".bin", ".pt", ".gguf")
SQLITE = b"SQLite format 3\0"
TAG = re.compile(r"<[^<>]*>")
KEY = re.compile("[0-9a-f]{16}")


class Scrub:
    """One look through a home; with ``act`` what is found is removed, as often as it is run."""

    def __init__(self, home: Path, held: Held, act: bool) -> None:
        self.home, self.held, self.act = home, held, act
        self.found: Counter[str] = Counter()  # rows, entries and lines by place

    def run(self) -> Counter[str]:
        """Look at each file; return what is held where."""
        store = self.home / "store"
        for folder in sorted(store.glob("*/[!.]*")):
            self._dataset(folder)
        # Pages last: they are made of the JSON beside them.
        for path in sorted(self.home.rglob("*"), key=lambda path: (path.suffix == ".html", path)):
            inside = path.relative_to(self.home).parts
            elsewhere = inside[0] in (BASES, LEDGER, LOOKED, "store")
            if not path.is_file() or path.is_symlink() or elsewhere:
                continue
            if path.suffix == ".tmp":  # of a killed writer: nobody writes now
                self._remove(path)
            elif path.suffix == ".html":
                self._page(path)
            else:
                self._file(path)
        if self.act:
            shutil.rmtree(self.home / LOOKED, ignore_errors=True)  # of data sets as they were
            for left_over in store.glob("*/.*.tmp"):
                shutil.rmtree(left_over)
        return +self.found

    def _dataset(self, folder: Path) -> None:
        home = Home.at(self.home)
        if not (folder / MANIFEST).exists():
            self._remove(folder)
            return
        manifest = home.store.manifest(folder.parent.name, folder.name)
        index = folder / INDEX_IDS
        if index.exists():
            own = np.array([int(key, 16) for key in self.held.doc_ids], np.uint64)
            if np.isin(own, np.load(index)).any():
                self.found[f"store/{folder.parent.name}"] += 1
                self._remove(folder)  # the next run makes it again, of what is there
            return
        changed: dict[str, bytes] = {}
        frames: dict[str, pl.DataFrame] = {}
        for name in (entry.name for entry in manifest.files):
            path = folder / name
            if path.suffix == TABLE:
                frame = home.store.parquet(home.dataset(str(manifest)), name)
                is_learned = name == PART and manifest.dataset in LEARNED
                frames[name], count = self._table(frame, is_learned)
                if count:
                    self.found[f"store/{folder.parent.name}"] += count
                    changed[name] = b""
            elif path.suffix not in OPAQUE:
                self._text(path, partial(changed.__setitem__, name))
        if changed and self.act:
            _replace(folder, manifest, changed, frames)

    def _table(self, frame: pl.DataFrame, is_learned: bool) -> tuple[pl.DataFrame, int]:
        """Take rows out of a table, or the quotes out of others' that are not learned; count."""
        rows, count = [], 0
        for row in frame.iter_rows(named=True):
            quotes = self.held.holds(row)
            if self.held.names(row) or (quotes and is_learned):
                count += 1
            else:
                rows.append(self._cleaned(row)[1] if quotes else row)
                count += quotes
        return pl.DataFrame(rows, frame.schema) if count else frame, count

    def _file(self, path: Path) -> None:
        top = path.relative_to(self.home).parts[0]
        with path.open("rb") as stream:
            head = stream.read(len(SQLITE))
        if head == SQLITE:
            self._database(path)
        elif top == "reads" and path.parent != self.home / "reads":
            self._reading(path)
        elif top == "replies":
            if self.held.holds(path.read_text("utf-8", "replace")):
                self.found[top] += 1
                self._remove(path)
        elif path.suffix not in OPAQUE and not path.name.endswith(("-wal", "-shm")):
            self._text(path, lambda data: write_atomically(path, data))

    def _reading(self, path: Path) -> None:
        """Take the document's records out of what a file gave; others of that file stay."""
        row = parse(path.read_text("utf-8", "replace")) or {}
        records = row.get("value", {}).get("records", [])
        if own := [item for item in records if self.held.holds(item)]:
            self.found["reads"] += len(own)
            if self.act:
                row["value"]["records"] = [item for item in records if item not in own]
                row["value"]["failures"] += [refusal(item[0]) for item in own]
                write_atomically(path, json.dumps(row, ensure_ascii=False).encode())

    def _text(self, path: Path, write: Callable[[bytes], object]) -> None:
        """Take lines, rows or texts out of a text file; ``write`` gets what is left."""
        data = path.read_bytes()
        if path.name == SHEET:
            lost, left = self._sheet(data)
        elif b"\0" in data:
            return
        else:
            whole = self._json(data) if path.suffix == ".json" else None
            lost, left = whole or self._lines(path)
        if lost:
            self.found["/".join(path.relative_to(self.home).parts[:2])] += lost
            if self.act:
                write(left)

    def _json(self, data: bytes) -> tuple[int, bytes] | None:
        try:
            lost, value = self._cleaned(json.loads(data))
        except ValueError:  # torn: its lines are looked at
            return None
        return lost, json.dumps(value, ensure_ascii=False, indent=1).encode()

    def _sheet(self, data: bytes) -> tuple[int, bytes]:
        sheet = read_sheet(data, SHEET, ("pair_id",))
        ids = self.held.ids
        others = [row for row in sheet.rows if row["pair_id"].removeprefix("pair-") not in ids]
        rows = [row for row in others if not self.held.holds(row)]
        return len(sheet.rows) - len(rows), write_sheet(sheet.columns, rows, sheet.delimiter)

    def _lines(self, path: Path) -> tuple[int, bytes]:
        lines = read_lines(path)
        kept = [line for line in lines if not self._line(line)]
        if path.suffix not in (".jsonl", ".ndjson") and self.held.holds("\n".join(kept)):
            kept = []  # a passage that is broken into short lines
        return len(lines) - len(kept), "".join(f"{line}\n" for line in kept).encode()

    def _line(self, line: str) -> bool:
        row = parse(line)
        named = row is not None and row.get("pair_id") in self.held.ids
        return named or self.held.holds(line if row is None else row)

    def _cleaned(self, value: Any) -> tuple[int, Any]:
        """Return how many texts of a JSON value quote the document, and the value without them."""
        if isinstance(value, str):
            return (1, GONE) if self.held.holds(value) else (0, value)
        if isinstance(value, dict):
            parts = {key: self._cleaned(item) for key, item in value.items()}
            cleaned = {key: item for key, (_, item) in parts.items()}
            return sum(count for count, _ in parts.values()), cleaned
        if isinstance(value, list):
            items = [self._cleaned(item) for item in value]
            return sum(count for count, _ in items), [item for _, item in items]
        return 0, value

    def _page(self, path: Path) -> None:
        """Make a report's page again of its JSON; of another version it is deleted."""
        if not self.held.holds(unescape(TAG.sub(" ", path.read_text("utf-8", "replace")))):
            return
        self.found["/".join(path.relative_to(self.home).parts[:2])] += 1
        if self.act:
            try:
                report = Report.model_validate_json(path.with_suffix(".json").read_bytes())
                write_atomically(path, render(report).encode())
            except (OSError, ValidationError):
                path.unlink()

    def _database(self, path: Path) -> None:
        """Delete rows of a server's database, and give the freed pages back."""
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
            connection.execute("PRAGMA secure_delete=ON")
            names = "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'"
            tables = [name for (name,) in connection.execute(names)]
            tasks: list[tuple[int]] = []
            for table in tables:
                rows = connection.execute(f'SELECT rowid, * FROM "{table}"')
                own = [(row[0],) for row in rows if self._is_row(row[1:])]
                tasks += own if table == "task" else []
                self.found[path.relative_to(self.home).as_posix()] += len(own)
                if self.act:
                    connection.executemany(f'DELETE FROM "{table}" WHERE rowid = ?', own)
            for table in tables if tasks and self.act else ():
                fields = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
                if "task_id" in fields:  # answers and drafts of Label Studio
                    connection.executemany(f'DELETE FROM "{table}" WHERE task_id = ?', tasks)
            if self.act:
                connection.commit()
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _is_row(self, cells: Iterable[Any]) -> bool:
        texts = [cell for cell in cells if isinstance(cell, str)]
        named = not self.held.ids.isdisjoint(key for text in texts for key in KEY.findall(text))
        return named or any(map(self.held.holds, texts))

    def _remove(self, path: Path) -> None:
        if not self.act:
            return
        if path.is_dir():
            for ref in (self.home / "refs").rglob("*"):
                named = parse(ref.read_text("utf-8", "replace")) if ref.is_file() else None
                if named and named.get("fingerprint") == path.name and "previous" in named:
                    ref.unlink()
            shutil.rmtree(path)
        else:
            path.unlink()


def _replace(
    folder: Path, manifest: Manifest, changed: dict[str, bytes], frames: dict[str, pl.DataFrame]
) -> None:
    """Replace files of a data set; killed in between, the next forgetting does it again."""
    files = {entry.name: entry for entry in manifest.files}
    for name, data in changed.items():
        path = _beside(folder / name)
        if name in frames:
            frames[name].write_parquet(path, row_group_size=ROW_GROUP)
        else:
            path.write_bytes(data)
        entry = FileEntry.of(folder, path)
        files[name] = entry.model_copy(update={"name": name})
    facts, content = manifest.facts, manifest.content
    if facts.schema_name:
        rows, ledger = frames[PART].height, frames[DROPPED]
        kept = rows if facts.rows_kept == facts.rows else facts.rows_kept
        reasons = ledger["reason"].value_counts(sort=True)
        counts = {"rows": rows, "rows_kept": kept, "rows_in": kept + ledger.height}
        lost = {"rows_dropped": ledger.height, "reasons": dict(reasons.iter_rows())}
        facts = facts.model_copy(update=counts | lost)
        content = content_digest(frames[PART])
    # The manifest first: with a file that it does not describe, the data set is not read.
    new = {"files": tuple(files.values()), "facts": facts, "content": content}
    written = manifest.model_copy(update=new).model_dump_json(indent=1)
    write_atomically(folder / MANIFEST, written.encode())
    for name in changed:
        _beside(folder / name).replace(folder / name)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
