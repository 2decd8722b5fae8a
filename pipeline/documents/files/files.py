"""What lies in the input folder, and what lay there before.

The index is a JSON file of the home folder. It remembers size, modification time and sha256 of
each file seen, so an unchanged file is not opened again, and a file that has left the folder
(an inbox emptied between two runs) still leads to its cached text. Of a file in an object store
the listing says what version it is, so it is not opened to be known.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from pipeline.core.cache import write_atomically
from pipeline.core.errors import InputError, StoreError
from pipeline.core.progress import track
from pipeline.core.remote import is_address
from pipeline.documents.files.folder import look, matcher, open_regular, source_of, unreadable, walk
from pipeline.documents.files.remote import RemotePath, list_objects
from pipeline.documents.readers.reading import Failure

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import IngestSettings

MEGABYTE = 10**6
_PAGES = (".html", ".htm", ".xhtml")
_SITE_SCRIPT = re.compile(r".*\.m?js|search[-_]?(?:index|data)?\.json", re.IGNORECASE)
"""Names of what makes a web site work: code that nobody asks about, and a second copy of all its
text to search in."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the corpus, on disk, in an object store or remembered."""

    source: str  # POSIX path below its root; bytes of a name that are not UTF-8 are ``\xNN``
    path: Path | RemotePath | None  # None when the file has left its folder
    sha256: str
    """Of its content; empty when it could not be read, or is too large to be. Of an object in a
    store: of its address, size and version."""
    size: int  # bytes
    problem: Failure | None = None
    """Why it is not to be opened: ``outside_folder``, ``broken_link``, ``not_a_file``,
    ``unreadable_file``, ``unreadable_folder`` or ``site_script``."""
    mtime_ns: int | None = None  # as the index remembers it; None: the next scan looks again

    @property
    def version(self) -> list[str]:
        """Source and content, or what is known instead of it: another one is another corpus."""
        reason = self.problem.reason if self.problem else "unread"
        return [self.source, self.sha256 or f"{reason} {self.size}"]


class _Entry(NamedTuple):
    size: int
    mtime_ns: int
    sha256: str


_Index = dict[str, dict[str, _Entry]]  # absolute root, or its address -> relative path -> entry


def scan(root: Path | str, settings: "IngestSettings", index: Path) -> list[SourceFile]:
    """List the files of a folder or store, and those that the index remembers, by source.

    Globs match the path below the root: ``*`` stays inside one folder, ``**`` crosses folders,
    exclude wins. Symbolic links to folders are not entered; a link to a file counts when its
    target lies below the root. Whatever else is not a regular file that may be read is listed
    with its problem and never opened: a pipe would block, a device may have no end. A file of any
    root that the index knows is gone when its path is no longer there (or cannot be seen).

    Raises:
        InputError: The folder is missing or closed, its store does not answer, or no file matches.
        StoreError: The index is not what this module writes.
    """
    matches = matcher(settings)
    known = _load(index)
    limit = int(settings.max_file_megabytes * MEGABYTE)
    if isinstance(root, str):
        base = root.rstrip("/")
        files = [
            SourceFile(one.source, one, one.identity, one.size, mtime_ns=0)
            if one.size <= limit
            else SourceFile(one.source, one, "", one.size)
            for one in list_objects(base)
            if matches(one.source)
        ]
    else:
        if not root.is_dir():
            found = "a file" if root.exists() else "no such folder"
            raise InputError(
                f"input folder {root}: {found} found; expected a folder of documents; "
                "set paths.input to it"
            )
        folder = root.resolve()
        base = str(folder)
        files = list(_files(folder, settings, matches, limit, known.get(base, {})))
    remembered = _remember(files, known, base, settings, matches)
    if remembered != known:
        tree = {"version": 1, "files": remembered}
        data = json.dumps(tree, ensure_ascii=False, sort_keys=True, indent=0)
        write_atomically(index, data.encode())
    if not files:
        raise InputError(
            f"input folder {root}: 0 files found that match include "
            f"{list(settings.include)} and not exclude {list(settings.exclude)}; "
            "expected at least one; put documents there or change ingest.include"
        )
    files = _mark_site_scripts(files)
    return sorted(files, key=lambda file: (file.source, file.sha256, str(file.path)))


def _files(
    folder: Path,
    settings: "IngestSettings",
    matches: Callable[[str], bool],
    limit: int,
    known: Mapping[str, _Entry],
) -> Iterator[SourceFile]:
    """Yield the files of a folder that match, and the folders in it that are closed."""
    for path, closed in track(list(walk(folder, settings)), "files"):
        source = source_of(path, folder)
        found = closed or (look(path, folder) if matches(source) else None)
        if isinstance(found, Failure):
            yield SourceFile(source, path, "", 0, found)
        elif found is not None:
            yield _examine(path, source, found, limit, known.get(source))


def _mark_site_scripts(files: list[SourceFile]) -> list[SourceFile]:
    """Return files, those with a problem that are the scripts of the web pages above them."""
    sites = {
        PurePosixPath(file.source).parent for file in files if file.source.lower().endswith(_PAGES)
    }
    script = Failure(
        "site_script",
        "a script of the web pages in a folder above it; expected a document; to have its code "
        "read, put it into a folder without pages",
    )
    return [
        replace(file, problem=script)
        if file.problem is None
        and _SITE_SCRIPT.fullmatch(PurePosixPath(file.source).name)
        and not sites.isdisjoint(PurePosixPath(file.source).parents)
        else file
        for file in files
    ]


def _examine(
    path: Path, source: str, found: os.stat_result, limit: int, before: _Entry | None
) -> SourceFile:
    """Return a file, hashed only when its size or time differ from those before."""
    if before is not None and (before.size, before.mtime_ns) == (found.st_size, found.st_mtime_ns):
        return SourceFile(source, path, before.sha256, before.size, None, before.mtime_ns)
    if found.st_size > limit:
        return SourceFile(source, path, "", found.st_size)
    try:
        with open_regular(path) as stream:
            opened = os.fstat(stream.fileno())
            sha256 = hashlib.sha256(stream.read(min(limit, opened.st_size + 1))).hexdigest()
            closed = os.fstat(stream.fileno())
    except OSError as error:
        return SourceFile(source, path, "", found.st_size, unreadable(error))
    # A file that is being written is not remembered.
    steady = (opened.st_size, opened.st_mtime_ns) == (closed.st_size, closed.st_mtime_ns)
    time = closed.st_mtime_ns if steady else None
    return SourceFile(source, path, sha256, closed.st_size, None, time)


def _remember(
    files: list[SourceFile],
    known: _Index,
    base: str,
    settings: "IngestSettings",
    matches: Callable[[str], bool],
) -> _Index:
    """Add the files that are gone, or forget them; return the new index."""
    here = {
        file.source: _Entry(file.size, file.mtime_ns, file.sha256)
        for file in files
        if file.mtime_ns is not None
    }
    remembered, sources = {base: here}, {file.source for file in files}
    for root, entries in known.items():
        kept, own = remembered.setdefault(root, {}), root == base
        for source, entry in entries.items():
            if own and source in sources:
                continue
            # What of a store matches was listed: the rest of it has gone.
            gone = matches(source) if own and is_address(root) else _is_gone(root, source)
            if not gone:
                if not own or not matches(source):
                    kept[source] = entry  # of another input folder, or excluded for now
            elif settings.missing_files == "keep":
                kept[source] = entry
                if matches(source):
                    files.append(SourceFile(source, None, entry.sha256, entry.size))
    return {root: entries for root, entries in remembered.items() if entries}


def _is_gone(root: str, source: str) -> bool:
    if is_address(root):
        return False  # of another store, which is not asked
    try:
        (Path(root) / source).stat()
    except (OSError, RuntimeError):
        return True
    return False


def _load(index: Path) -> _Index:
    try:
        tree = json.loads(index.read_text("utf-8"))
        return {
            root: {source: _Entry(*entry) for source, entry in entries.items()}
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
