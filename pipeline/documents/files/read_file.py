"""Reading one file, in the process that does the work, be it on another machine."""

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core.cache import Entry
from pipeline.core.remote import words
from pipeline.documents.files.files import MEGABYTE, SourceFile
from pipeline.documents.files.folder import open_regular, problem, unreadable
from pipeline.documents.files.remote import Changed, RemotePath, read_object
from pipeline.documents.readers.formats import extension, format_of, read
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import IngestSettings

OWN_REASONS = {"unreadable_file", "changed_file", "not_a_file"}
"""Failures of a file on its way to the reader; another file of that content may be read."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class FileReading(NamedTuple):
    """What one file gave."""

    kind: str
    """Format, empty when the file failed as a whole."""
    reading: Reading
    opened: bool = False
    """Whether it was opened for it, now."""


def read_and_keep(
    item: tuple[SourceFile, Entry], settings: "IngestSettings", refused: frozenset[str]
) -> FileReading:
    """Read one file and put what it gave into the cache; runs in a worker."""
    found = read_item(item, settings, refused)
    keep(found, item[1])
    return found


def read_item(
    item: tuple[SourceFile, Entry], settings: "IngestSettings", refused: frozenset[str]
) -> FileReading:
    """Read one file; runs in a worker, be it on another machine."""
    return without(read_file(item[0], settings), refused)


def text_digest(text: str) -> str:
    """Return the sha256 of a document's text as its reader gave it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def refusal(record: str) -> Failure:
    """Return what a document that was forgotten is from then on."""
    return Failure(record, "forgotten", "`tuneloop forget` took it out")


def without(found: FileReading, refused: frozenset[str]) -> FileReading:
    """Return a reading whose documents with a refused text are failures: ``forgotten``."""
    if not refused:
        return found
    kept, failures = [], list(found.reading.failures)
    for record in found.reading.records:
        if text_digest(record.text) in refused:
            failures.append(refusal(record.record))
        else:
            kept.append(record)
    return found._replace(reading=Reading(kept, failures))


def keep(found: FileReading, entry: Entry) -> None:
    """Put what a file gave into the cache, unless it was lost on its way to the reader."""
    if not reasons(found) & OWN_REASONS:
        entry.put(_value(found), durable=False)  # lost in a power cut, it is read again


def read_file(file: SourceFile, settings: "IngestSettings") -> FileReading:
    """Open, check and read one file; runs in a worker.

    Returns:
        What it gave. Failures of its own: ``unreadable_file``, and ``changed_file`` when its
        content is not the one that was seen.
    """
    data = _content(file, int(settings.max_file_megabytes * MEGABYTE))
    if isinstance(data, Failure):
        return failed(data, opened=True)
    try:
        kind = format_of(extension(file.source), data)
        reading = read(kind, data, settings, file.source)
    except ReadFailure as error:
        return failed(error.failure, opened=True)
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


def _value(read_now: FileReading) -> dict[str, Any]:
    records, failures = read_now.reading
    return {"format": read_now.kind, "records": records, "failures": failures}


def reasons(found: FileReading) -> set[str]:
    """Return the reasons of all failures of a file."""
    return {failure.reason for failure in found.reading.failures}


def failed(failure: Failure, *, opened: bool = False) -> FileReading:
    """Return the reading of a file that failed as a whole."""
    return FileReading("", Reading([], [failure]), opened)
