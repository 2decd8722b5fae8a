"""Reading one file, in the process that does the work, be it on another machine."""

import hashlib
from typing import TYPE_CHECKING

from pipeline.core.cache import Entry
from pipeline.core.remote import words
from pipeline.documents.files.files import MEGABYTE, SourceFile
from pipeline.documents.files.folder import open_regular, unreadable
from pipeline.documents.files.remote import Changed, RemotePath, read_object
from pipeline.documents.readers.decode import encodable
from pipeline.documents.readers.formats import extension, format_of, read
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import IngestSettings

OWN_REASONS = {"unreadable_file", "changed_file"}  # failures of a file on its way to the reader


def read_item(
    item: tuple[SourceFile, Entry], settings: "IngestSettings", refused: frozenset[str], near: bool
) -> Reading:
    """Read one file in a worker; one ``near`` the cache puts there what the file gave."""
    found = without(read_file(item[0], settings), refused)
    if near:
        keep(found, item[1])
    return found


def text_digest(text: str) -> str:
    """Return the sha256 of a document's text as its reader gave it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def refusal(record: str) -> Failure:
    """Return what a document that was forgotten is from then on."""
    return Failure("forgotten", "`tuneloop forget` took it out", record=record)


def without(found: Reading, refused: frozenset[str]) -> Reading:
    """Return a reading whose documents with a refused text are failures: ``forgotten``."""
    if not refused:
        return found
    records, failures = [], list(found.failures)
    for record in found.records:
        if text_digest(record.text) in refused:
            failures.append(refusal(record.record))
        else:
            records.append(record)
    return found._replace(records=records, failures=failures)


def keep(found: Reading, entry: Entry) -> None:
    """Put what a file gave into the cache, unless it was lost on its way to the reader."""
    if not is_lost(found):
        value = {"format": found.kind, "records": found.records, "failures": found.failures}
        entry.put(value, durable=False)  # lost in a power cut, it is read again


def read_file(file: SourceFile, settings: "IngestSettings") -> Reading:
    """Open and read one file; ``changed_file`` when its content is not the one that was seen."""
    data = _content(file, int(settings.max_file_megabytes * MEGABYTE))
    if isinstance(data, Failure):
        return Reading([], [data])
    try:
        kind = format_of(extension(file.source), data)
        reading = read(kind, data, settings, file.source)
    except ReadFailure as error:
        return Reading([], [error.failure])
    return _storable(reading)._replace(kind=kind)


def _content(file: SourceFile, limit: int) -> bytes | Failure:
    """Return the bytes of a file as it was seen: another content would poison the cache."""
    changed = Failure("changed_file", "changed while it was read; run again")
    most = min(file.size, limit) + 1
    if isinstance(file.path, RemotePath):
        try:
            data = read_object(file.path, most)
        except Changed:
            return changed
        except Exception as error:  # each driver has its own, of no common kind
            said = f"{type(error).__name__}: {words(error)}"
            return Failure("unreadable_file", f"{said}; look at the store, and run again")
        return data if len(data) == file.size else changed
    assert file.path is not None
    try:
        with open_regular(file.path) as stream:
            data = stream.read(most)
    except OSError as error:
        return unreadable(error)
    return data if hashlib.sha256(data).hexdigest() == file.sha256 else changed


def _storable(reading: Reading) -> Reading:
    records = [
        record._replace(
            title=encodable(record.title),
            text=encodable(record.text),
            left_out=tuple(
                each._replace(detail=encodable(each.detail)) for each in record.left_out
            ),
        )
        for record in reading.records
    ]
    failures = [
        failure._replace(message=encodable(failure.message)) for failure in reading.failures
    ]
    return Reading(records, failures)


def is_lost(found: Reading) -> bool:
    """Tell whether a file did not reach its reader; another one of its content may be read."""
    return any(failure.reason in OWN_REASONS for failure in found.failures)
