"""Zip and gzip files from strangers: names, sizes and ratios are looked at before a byte is read.

Of an archive each member is read as a file of its own, in memory alone.
"""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from gzip import GzipFile
from pathlib import PurePosixPath
from typing import IO, TypeVar

from pipeline.documents.readers.reading import Failure, ReadFailure, Reading, Record, failing_as

Named = TypeVar("Named", Record, Failure)
ReadMember = Callable[[str, bytes], Reading]  # reads a member by its name and bytes
MOST_MEMBERS = 10_000  # members of an archive; a zip of 1 MB can name hundreds of thousands
MOST_UNPACKED = 512 * 2**20  # bytes of all members; a zip of 1 MB can unpack to 1 GB
HIGHEST_RATIO = 200  # bytes of a packed one, from 1 MB on; text has 10 to 20, deflate 1,032 at most


@contextmanager
def opened(data: bytes, reason: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip file whose sizes are within the limits; the reason is for one that is damaged.

    ReadFailure: ``empty_file``, ``too_many_members``, ``zip_bomb``, ``too_large``, or the reason.
    """
    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    with failing_as(reason):
        archive = zipfile.ZipFile(io.BytesIO(data))
    with archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise ReadFailure(
                "too_many_members", f"{len(members)} members", len(members), MOST_MEMBERS
            )
        _limit(sum(member.file_size for member in members), len(data), MOST_UNPACKED)
        yield archive


def _limit(unpacked: int, packed: int, limit: int) -> None:
    ratio, found = unpacked / max(1, packed), f"at least {unpacked} bytes unpacked"
    if unpacked > 2**20 and ratio > HIGHEST_RATIO:
        raise ReadFailure("zip_bomb", found, ratio, HIGHEST_RATIO)
    if unpacked > limit:
        raise ReadFailure("too_large", found, unpacked, limit)


def content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """Return a member's bytes; ReadFailure: ``too_large`` (by count), or of :func:`reading`."""
    with reading(archive, member) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ReadFailure("too_large", f"more than {limit} bytes unpacked", len(data), limit)
    return data


@contextmanager
def reading(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """Open a member; ReadFailure: ``encrypted_member``, ``unreadable_member`` (all else)."""
    if member.flag_bits & 1:
        raise ReadFailure("encrypted_member", "it needs a password; unpack it and add the file")
    with failing_as("unreadable_member"), archive.open(member) as stream:
        yield stream


def kind_of(data: bytes, kinds: Mapping[str, str]) -> str:
    """Return the format of a zip file by a name in it, else ``""``."""
    with suppress(ReadFailure), opened(data, "unreadable_archive") as archive:
        names = set(archive.namelist())
        return next((kind for name, kind in kinds.items() if name in names), "")
    return ""


def is_unsafe(name: str) -> bool:
    """Tell whether a member's name leads out of the folder it would be unpacked to."""
    path = PurePosixPath(name.replace("\\", "/"))
    # Of "." nothing is left: it is the folder itself.
    return path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1])[:2]


def read_zip(data: bytes, source: str, limit: int, read: ReadMember) -> Reading:
    """Read all members of a zip file, of which a bad one fails alone; raises as :func:`opened`."""
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
                reading = Reading([], [error.failure])
            records += [_inside(name, record) for record in reading.records]
            failures += [_inside(name, failure) for failure in reading.failures]
    if not records and not failures:
        raise ReadFailure("empty_file", "no member found", 0, 1)
    return Reading(records, failures)


def read_gzip(data: bytes, source: str, limit: int, read: ReadMember) -> Reading:
    """Read the file inside a gzip file, named as the gzip file without ``.gz``.

    ReadFailure: ``unreadable_archive``, ``zip_bomb``, ``too_large``, or of its own reader.
    """
    with failing_as("unreadable_archive"), GzipFile(fileobj=io.BytesIO(data)) as stream:
        unpacked = stream.read(limit + 1)
    _limit(len(unpacked), len(data), limit)
    return read(PurePosixPath(source).stem, unpacked)


def _inside(name: str, found: Named) -> Named:
    """Name a record by its member, and its own name behind it."""
    return found._replace(record=f"{name}#{found.record}" if found.record else name)
