"""What lies in the input folder, and what lay there before.

The index is a JSON file of the home folder. It remembers size, modification time and sha256 of
each file seen, so an unchanged file is not opened again, and a file that has left the folder
(an inbox emptied between two runs) still leads to its cached text.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.cache import write_atomically
from pipeline.errors import InputError, StoreError
from pipeline.progress import track
from pipeline.settings import IngestSettings


@dataclass(frozen=True)
class SourceFile:
    """A file of the corpus, on disk or remembered."""

    source: str
    """POSIX path below its root; bytes of a name that are not UTF-8 are written ``\\xNN``."""
    path: Path | None
    """None when the file has left its folder."""
    sha256: str
    """Of its content; empty when it could not be read."""
    size: int
    """Bytes."""
    present: bool


class _Entry(NamedTuple):
    size: int
    mtime_ns: int
    sha256: str


_Index = dict[str, dict[str, _Entry]]
"""Absolute root -> relative path -> entry."""


def scan(root: Path, settings: IngestSettings, index: Path) -> list[SourceFile]:
    """List the files of a folder, and those that the index remembers.

    Globs match the path below the root: ``*`` stays inside one folder, ``**`` crosses folders,
    exclude wins. Symbolic links to folders are not entered; a link to a file counts when its
    target lies below the root. Whatever is not a regular file is skipped.

    Args:
        root: The input folder.
        settings: Globs, and what becomes of files that are gone. A file of any root that the
            index knows counts as gone when its path is no longer there (or cannot be seen).
        index: JSON file that is read and replaced atomically.

    Returns:
        Files sorted by source, then content.

    Raises:
        InputError: The folder is missing or holds no matching file, and none is remembered.
        StoreError: The index is not what this module writes.
    """
    base = root.absolute()
    if not base.is_dir():
        found = "a file" if base.exists() else "no such folder"
        raise InputError(
            f"input folder {root}: {found} found; expected a folder of documents; "
            "set paths.input to it"
        )
    base = base.resolve()
    matches = _matcher(settings)
    known = _load(index)
    before = known.get(str(base), {})
    files: list[SourceFile] = []
    seen: dict[str, _Entry] = {}
    for path in track(list(_walk(base, settings)), "files"):
        source = _source(path, base)
        if not matches(source):
            continue
        file, entry = _examine(path, source, before.get(source))
        if file is not None:
            files.append(file)
        if entry is not None:
            seen[source] = entry
    files, remembered = _remember(files, seen, known, str(base), settings, matches)
    if remembered != known:
        _save(index, remembered)
    if not files:
        raise InputError(
            f"input folder {root}: 0 files found that match include "
            f"{list(settings.include)} and not exclude {list(settings.exclude)}; "
            "expected at least one; put documents there or change ingest.include"
        )
    return sorted(files, key=lambda file: (file.source, file.sha256, str(file.path)))


def _walk(base: Path, settings: IngestSettings) -> Iterator[Path]:
    # A folder whose whole content is excluded (".git/**") is not entered.
    pruned = [_glob(glob) for glob in settings.exclude if glob.endswith("/**")]
    # os.walk, since Path.walk is new in Python 3.12.
    for folder, folders, names in os.walk(base, followlinks=False):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not any(glob.fullmatch(_source(here / name / "x", base)) for glob in pruned)
        )
        for name in sorted(names):
            yield here / name


def _examine(
    path: Path, source: str, before: _Entry | None
) -> tuple[SourceFile | None, _Entry | None]:
    """Return the file and what to remember of it; hash it only when size or time differ."""
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(
            _root_of(path, source)
        ):
            return None, None
        status = path.stat()
    except (OSError, RuntimeError):  # a dangling or circular link (RuntimeError until 3.12)
        return None, None
    if not stat.S_ISREG(status.st_mode):
        return None, None
    if before is not None and (before.size, before.mtime_ns) == (
        status.st_size,
        status.st_mtime_ns,
    ):
        return SourceFile(source, path, before.sha256, before.size, True), before
    try:
        with path.open("rb") as stream:
            opened = os.fstat(stream.fileno())
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            closed = os.fstat(stream.fileno())
    except OSError:
        return SourceFile(source, path, "", status.st_size, True), None
    entry = _Entry(closed.st_size, closed.st_mtime_ns, sha256)
    file = SourceFile(source, path, sha256, entry.size, True)
    # A file that is being written is not remembered: the next scan must look again.
    steady = (opened.st_size, opened.st_mtime_ns) == (closed.st_size, closed.st_mtime_ns)
    return file, entry if steady else None


def _root_of(path: Path, source: str) -> Path:
    return path.parents[source.count("/")]


def _remember(
    files: list[SourceFile],
    seen: dict[str, _Entry],
    known: _Index,
    base: str,
    settings: IngestSettings,
    matches: "_Matcher",
) -> tuple[list[SourceFile], _Index]:
    """Add the files that are gone, or forget them; return the files and the new index."""
    files = list(files)
    here = {file.source for file in files}
    remembered: _Index = {base: seen}
    for root, entries in known.items():
        kept = remembered.setdefault(root, {})
        for source, entry in entries.items():
            if root == base and source in here:
                continue
            if not _is_gone(Path(root) / source):
                if root != base or not matches(source):
                    kept[source] = entry  # of another input folder, or excluded for now
                continue
            if settings.missing_files == "keep":
                kept[source] = entry
                if matches(source):
                    files.append(SourceFile(source, None, entry.sha256, entry.size, False))
    return files, {root: entries for root, entries in remembered.items() if entries}


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except (OSError, RuntimeError):
        return True
    return False


class _Matcher:
    """Whether a path below the root is included and not excluded."""

    def __init__(self, settings: IngestSettings) -> None:
        self.include = [_glob(glob) for glob in settings.include]
        self.exclude = [_glob(glob) for glob in settings.exclude]

    def __call__(self, source: str) -> bool:
        return any(glob.fullmatch(source) for glob in self.include) and not any(
            glob.fullmatch(source) for glob in self.exclude
        )


def _matcher(settings: IngestSettings) -> _Matcher:
    return _Matcher(settings)


def _glob(pattern: str) -> re.Pattern[str]:
    """Translate a glob as ``pathlib.PurePath.full_match`` does (new in Python 3.13)."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = ""
    for part in parts:
        if part in known:
            regex += known[part]
        elif part.startswith("[") and part.endswith("]"):
            body = part[1:-1].replace("\\", r"\\")
            regex += f"[^{body[1:]}]" if body.startswith("!") else f"[{body}]"
        else:
            regex += re.escape(part)
    return re.compile(regex, re.DOTALL)


def _source(path: Path, base: Path) -> str:
    name = path.relative_to(base).as_posix()
    # Tables hold UTF-8 only; a name in another encoding arrives with lone surrogates.
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _load(index: Path) -> _Index:
    try:
        tree = json.loads(index.read_text("utf-8"))
        return {
            root: {
                source: _Entry(int(size), int(time), str(sha256))
                for source, (size, time, sha256) in entries.items()
            }
            for root, entries in tree["files"].items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(
            f"index of files {index}: cannot be read ({error.strerror}); expected "
            "a file that you may read; mend its permissions"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"index of files {index}: damaged ({error}); expected the JSON that a "
            "scan writes; delete it to have the input folder hashed again (files "
            "that have left the folder are then forgotten)"
        ) from error


def _save(index: Path, known: _Index) -> None:
    data = json.dumps({"version": 1, "files": known}, ensure_ascii=False, sort_keys=True, indent=0)
    write_atomically(index, data.encode())
