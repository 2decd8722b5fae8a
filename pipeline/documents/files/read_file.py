"""Reading one file, in the process that does the work, be it on another machine."""

import hashlib
from typing import TYPE_CHECKING, Any

from pipeline.core.cache import Entry
from pipeline.documents.files.files import MEGABYTE, SourceFile
from pipeline.documents.files.folder import open_regular, unreadable
from pipeline.documents.files.remote import RemotePath, read_object
from pipeline.documents.readers.decode import encodable
from pipeline.documents.readers.formats import extension, format_of, read
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import IngestSettings

OWN_REASONS = {"unreadable_file", "changed_file"}  # failures of a file on its way to the reader


def read_item(
    item: tuple[SourceFile, Entry], settings: "IngestSettings", refused: frozenset[str], near: bool
) -> Reading | None:
    """Read one file in a worker; None: it is ``near`` the cache, and put there what it gave."""
    found = without(read_file(item[0], settings), refused)
    if not near or is_lost(found):
        return found
    item[1].put(found._asdict(), durable=False)  # lost in a power cut, it is read again
    return None


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


def read_file(file: SourceFile, settings: "IngestSettings") -> Reading:
    """Open and read one file; ``changed_file`` when its content is not the one that was seen."""
    try:
        data = _content(file, int(settings.max_file_megabytes * MEGABYTE))
        kind = format_of(extension(file.source), data)
        reading = read(kind, data, settings, file.source)
    except ReadFailure as error:
        reading = Reading([], [error.failure])
    stored: Reading = _storable(reading)
    return stored


def _content(file: SourceFile, limit: int) -> bytes:
    """Return the bytes of a file as it was seen: another content would poison the cache."""
    most = min(file.size, limit) + 1
    if isinstance(file.path, RemotePath):
        data = read_object(file.path, most)
        same = data is not None and len(data) == file.size
    else:
        assert file.path is not None
        try:
            with open_regular(file.path) as stream:
                data = stream.read(most)
        except OSError as error:
            raise ReadFailure(*unreadable(error)[:2]) from error
        same = hashlib.sha256(data).hexdigest() == file.sha256
    if data is None or not same:
        raise ReadFailure("changed_file", "changed while it was read; run again")
    return data


def _storable(found: Any) -> Any:
    """Return a reading, or a part of it, with all texts encodable."""
    if isinstance(found, str):
        return encodable(found)
    if not isinstance(found, list | tuple):
        return found
    parts = map(_storable, found)
    return found._make(parts) if hasattr(found, "_make") else type(found)(parts)


def is_lost(found: Reading) -> bool:
    """Tell whether a file did not reach its reader; another one of its content may be read."""
    return any(failure.reason in OWN_REASONS for failure in found.failures)
