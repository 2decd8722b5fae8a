"""What a reader returns, and how it says that it cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pipeline.documents.left_out import Omission
from pipeline.text.fences import block_of


class Record(NamedTuple):
    """One document of a file."""

    record: str  # ``""`` for the whole of its file; a JSONL record has its line number
    title: str  # empty when the file names none; the file's stem is taken then
    text: str
    span_start: int  # character range in the decoded file
    span_end: int
    kind: str = ""  # its format; a reader leaves it empty where it is that of the file
    left_out: tuple[Omission, ...] = ()  # what the reader left out of it on purpose


class Failure(NamedTuple):
    """A file or one record of it that gives no document."""

    reason: str
    message: str
    value: float | None = None
    threshold: float | None = None
    record: str = ""


class Reading(NamedTuple):
    """All that a file gave: each record is either a document or a failure."""

    records: list[Record]
    failures: list[Failure]
    opened: bool = False  # whether the file was opened for it, now


class ReadFailure(Exception):
    """The file as a whole gives no document; caught where files are read, never beyond."""

    def __init__(
        self, reason: str, message: str, value: float | None = None, threshold: float | None = None
    ) -> None:
        super().__init__(message)
        self.failure = Failure(reason, message, value, threshold)


@contextmanager
def failing_as(reason: str, advice: str = "") -> Iterator[None]:
    """Raise as a :class:`ReadFailure` whatever a library raises at a damaged file."""
    try:
        yield
    except (ReadFailure, MemoryError):
        raise
    except Exception as error:  # KeyError, zlib.error, XMLSyntaxError, AttributeError, ...
        raise ReadFailure(reason, f"{type(error).__name__}: {error}{advice}") from error


def whole(title: str, text: str) -> Reading:
    """Return the reading of a file that is one document; blank is a ReadFailure ``empty_file``."""
    if not text.strip():
        raise ReadFailure("empty_file", "no text found", float(len(text)), 1)
    return Reading([Record("", " ".join(title.split()), text, 0, len(text))], [])


def fenced(text: str, language: str) -> Reading:
    """Return code as a document that is one fence; blank is a ReadFailure ``empty_file``."""
    return whole("", block_of(text.strip("\n"), language) if text.strip() else text)
