"""Zip and gzip files: each member is read as a file of its own, in memory alone."""

import io
import zlib
from collections.abc import Callable
from gzip import BadGzipFile, GzipFile
from pathlib import PurePosixPath
from typing import TypeVar

from pipeline.documents.readers.reading import Failure, ReadFailure, Reading, Record
from pipeline.documents.readers.zipped import HIGHEST_RATIO, content, is_unsafe, opened

Named = TypeVar("Named", Record, Failure)

ReadMember = Callable[[str, bytes], Reading]
"""Reads a member by its name and bytes; its records know their format."""


def read_zip(data: bytes, source: str, limit: int, read: ReadMember) -> Reading:
    """Read all members of a zip file; a member that cannot be read fails alone.

    Raises:
        ReadFailure: ``unreadable_archive``, ``empty_file``, or see
            :func:`pipeline.documents.readers.zipped.opened`.
    """
    records: list[Record] = []
    failures: list[Failure] = []
    with opened(data, "unreadable_archive") as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            name = member.filename
            try:
                if is_unsafe(name):
                    raise ReadFailure("unsafe_path", "its name leads out of the archive")
                reading = read(name, content(archive, member, limit))
            except ReadFailure as error:
                failures.append(_inside(name, error.failure))
                continue
            records += [_inside(name, record) for record in reading.records]
            failures += [_inside(name, failure) for failure in reading.failures]
    if not records and not failures:
        raise ReadFailure("empty_file", "no member found", 0, 1)
    return Reading(records, failures)


def read_gzip(data: bytes, source: str, limit: int, read: ReadMember) -> Reading:
    """Read the file inside a gzip file, named as the gzip file without ``.gz``.

    Raises:
        ReadFailure: ``unreadable_archive``, ``zip_bomb``, ``too_large``, or what its reader
            raises.
    """
    try:
        with GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(limit + 1)
    except (BadGzipFile, EOFError, zlib.error, OSError) as error:
        raise ReadFailure("unreadable_archive", f"not a whole gzip file ({error})") from error
    ratio = len(unpacked) / len(data)
    if len(unpacked) > 2**20 and ratio > HIGHEST_RATIO:
        raise ReadFailure("zip_bomb", f"{len(unpacked)} bytes and more", ratio, HIGHEST_RATIO)
    if len(unpacked) > limit:
        raise ReadFailure("too_large", f"more than {limit} bytes unpacked", len(unpacked), limit)
    return read(PurePosixPath(source).stem, unpacked)


def _inside(name: str, found: Named) -> Named:
    """Name a record by its member, and its own name behind it."""
    return found._replace(record=f"{name}#{found.record}" if found.record else name)
