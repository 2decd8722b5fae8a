"""Reading files by a runner: a crash, a hang or a flood of memory costs one file.

The worker opens the file; the process that collects gets its text alone.
"""

import functools
import hashlib
import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core.cache import Cache, Entry, digest
from pipeline.core.code import code_digests
from pipeline.core.progress import advance
from pipeline.core.remote import words
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.workers import Failed
from pipeline.documents.files.files import MEGABYTE, SourceFile
from pipeline.documents.files.folder import open_regular, problem, unreadable
from pipeline.documents.files.remote import Changed, RemotePath, read_object
from pipeline.documents.left_out import Omission
from pipeline.documents.readers.formats import (
    EXTENSIONS,
    READERS,
    extension,
    format_of,
    read,
)
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading, Record

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import IngestSettings

OWN_REASONS = {"unreadable_file", "changed_file", "not_a_file"}
"""Failures of a file on its way to the reader; another file of that content may be read."""

LIMIT_REASONS = {
    "timeout": ("reader_timeout", "raise ingest.seconds_per_file or exclude the file"),
    "memory": ("out_of_memory", "raise ingest.max_memory_megabytes or exclude the file"),
    "crash": ("reader_crashed", "repair the file or exclude it"),
    "error": ("reader_crashed", "repair the file or exclude it"),
}
"""Why a worker gave nothing -> reason and advice. Not cached: another run tries again."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class FileReading(NamedTuple):
    """What one file gave."""

    kind: str
    """Format, empty when the file failed as a whole."""
    reading: Reading
    opened: bool = False
    """Whether it was opened for it, now."""


def read_files(
    files: Sequence[SourceFile], settings: "IngestSettings", cache: Cache, runner: Runner = LOCAL
) -> list[FileReading]:
    """Read files, or take what they gave before; equal contents are read once.

    Returns:
        One reading a file, in the order of the files.
    """
    found: dict[int, FileReading] = {}
    entries = [cache.entry(_key(file, settings)) for file in files]
    for position, file in enumerate(files):
        known = _without_opening(file, settings, entries[position])
        if known is not None:
            found[position] = known
        advance(len(found), len(files), "files")
    missing = [position for position in range(len(files)) if position not in found]
    while missing:
        # One file of each content; the others only when it was lost before it was read.
        groups = {entries[position].path: position for position in reversed(missing)}
        firsts = sorted(groups.values())
        # Far from this disk nothing can be put into the cache: it is done here.
        answers = runner.guarded(
            partial(read_and_keep if runner.near else read_item, settings=settings.plain()),
            [(files[position], entries[position]) for position in firsts],
            seconds=settings.seconds_per_file,
            megabytes=settings.max_memory_megabytes,
        )
        for position, answer in zip(firsts, answers, strict=True):
            if isinstance(answer, Failed):
                found[position] = FileReading("", _limited(answer), True)
            else:
                found[position] = answer.value
                if not runner.near:
                    _keep(answer.value, entries[position])
            advance(len(found), len(files), "files")
        for position in missing:
            first = found[groups[entries[position].path]]
            if position not in found and not _reasons(first) & OWN_REASONS:
                found[position] = first._replace(opened=False)
        missing = [position for position in missing if position not in found]
    return [found[position] for position in range(len(files))]


def _without_opening(
    file: SourceFile, settings: "IngestSettings", entry: Entry
) -> FileReading | None:
    if file.problem is not None:
        return _failed(file.problem)
    limit = settings.max_file_megabytes * MEGABYTE
    if file.size > limit:
        return _failed(_too_large(file.size, limit))
    value = entry.get() if file.sha256 else None
    if value is not None:
        return FileReading(
            value["format"],
            Reading(
                [_record(*record) for record in value["records"]],
                [Failure(*failure) for failure in value["failures"]],
            ),
        )
    if file.path is None:
        return _failed(
            problem(
                "vanished_file",
                "it has left the folder and its text is not in the cache; put it back",
            )
        )
    return None


def _record(*stored: Any) -> Record:
    """Return a record of the cache, where a tuple is a list."""
    record = Record(*stored)
    return record._replace(left_out=tuple(Omission(*each) for each in record.left_out))


def read_and_keep(item: tuple[SourceFile, Entry], settings: "IngestSettings") -> FileReading:
    """Read one file and put what it gave into the cache; runs in a worker."""
    found = read_item(item, settings)
    _keep(found, item[1])
    return found


def read_item(item: tuple[SourceFile, Entry], settings: "IngestSettings") -> FileReading:
    """Read one file; runs in a worker, be it on another machine."""
    return read_file(item[0], settings)


def _keep(found: FileReading, entry: Entry) -> None:
    if not _reasons(found) & OWN_REASONS:
        entry.put(_value(found), durable=False)  # lost in a power cut, it is read again


def read_file(file: SourceFile, settings: "IngestSettings") -> FileReading:
    """Open, check and read one file; runs in a worker.

    Returns:
        What it gave. Failures of its own: ``unreadable_file``, and ``changed_file`` when its
        content is not the one that was seen.
    """
    data = _content(file, int(settings.max_file_megabytes * MEGABYTE))
    if isinstance(data, Failure):
        return _failed(data, opened=True)
    try:
        kind = format_of(extension(file.source), data)
        reading = read(kind, data, settings, file.source)
    except ReadFailure as error:
        return _failed(error.failure, opened=True)
    return FileReading(kind, _storable(reading), True)


def _content(file: SourceFile, limit: int) -> bytes | Failure:
    """Return the bytes of a file as it was seen: another content would poison the cache."""
    changed = problem("changed_file", "changed while it was read; run again")
    most = min(file.size, limit) + 1
    if isinstance(file.path, RemotePath):
        try:
            data = read_object(file.path, most)
        except Changed:
            return changed
        except Exception as error:  # each driver has its own, of no common kind
            said = f"{type(error).__name__}: {words(error)}"
            return problem("unreadable_file", f"{said}; look at the store, and run again")
        return data if len(data) == file.size else changed
    assert file.path is not None
    try:
        with open_regular(file.path) as stream:
            data = stream.read(most)
    except OSError as error:
        return unreadable(error)
    return data if hashlib.sha256(data).hexdigest() == file.sha256 else changed


def _storable(reading: Reading) -> Reading:
    """Replace halves of surrogate pairs: a table holds UTF-8, which has none."""
    return Reading(
        [
            record._replace(
                title=_whole(record.title),
                text=_whole(record.text),
                left_out=tuple(
                    each._replace(detail=_whole(each.detail)) for each in record.left_out
                ),
            )
            for record in reading.records
        ],
        [failure._replace(message=_whole(failure.message)) for failure in reading.failures],
    )


def _whole(text: str) -> str:
    try:
        text.encode()  # far sooner than a look at each character
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


@functools.cache
def _readers() -> str:
    """Return the digest of the readers' code: what another one read, or could not, is read anew."""
    return digest(code_digests((__name__,)))[:16]


def _key(file: SourceFile, settings: "IngestSettings") -> dict[str, Any]:
    """Content and all that decides how it is read; not the source, which a file may change."""
    suffix = extension(file.source)
    key: dict[str, Any] = {"readers": _readers(), "sha256": file.sha256, "extension": suffix}
    reader = READERS.get(EXTENSIONS.get(suffix, ""))
    if reader and reader.archive:
        # A gzip file says by its name what is in it.
        key |= {
            "name": extension(file.source.removesuffix(suffix)),
            "limit": settings.max_file_megabytes,
        }
    if reader and (reader.fields or reader.archive):
        key |= {"text_field": settings.text_field, "title_fields": list(settings.title_fields)}
    return key


def _value(read_now: FileReading) -> dict[str, Any]:
    records, failures = read_now.reading
    return {"format": read_now.kind, "records": records, "failures": failures}


def _reasons(found: FileReading) -> set[str]:
    return {failure.reason for failure in found.reading.failures}


def _limited(failed: Failed) -> Reading:
    reason, advice = LIMIT_REASONS[failed.reason]
    message = f"{failed.message}; expected it to be read within the limits; {advice}"
    return Reading([], [Failure("", reason, message, failed.value, failed.threshold)])


def _too_large(size: int, limit: float) -> Failure:
    message = f"{size} bytes found; raise ingest.max_file_megabytes or split the file"
    return Failure("", "too_large", message, size, limit)


def _failed(failure: Failure, *, opened: bool = False) -> FileReading:
    return FileReading("", Reading([], [failure]), opened)
