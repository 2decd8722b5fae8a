"""Zip files from strangers: names, sizes and ratios are looked at before a byte is believed."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from pipeline.ingest.readers.reading import ReadFailure

MOST_MEMBERS = 10_000
"""Members of an archive; a zip of 1 MB can name hundreds of thousands."""

MOST_UNPACKED = 512 * 2**20
"""Bytes that all members may unpack to. A zip of 1 MB can unpack to 1 GB."""

HIGHEST_RATIO = 200
"""Bytes that one packed byte may become, from 1 MB on: text is packed to a tenth or a twentieth,
deflate can reach 1,032."""

_ENTITIES = (b"<!DOCTYPE", b"<!ENTITY")


@contextmanager
def opened(data: bytes, reason: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip file whose sizes are within the limits.

    Args:
        data: The whole file.
        reason: Of the failure when it is no zip file.

    Raises:
        ReadFailure: ``empty_file``, the reason given, ``too_many_members``, ``zip_bomb`` or
            ``too_large``.
    """
    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ReadFailure(reason, f"not a whole zip file ({error})") from error
    with archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise ReadFailure(
                "too_many_members", f"{len(members)} members", len(members), MOST_MEMBERS
            )
        unpacked = sum(member.file_size for member in members)
        ratio = unpacked / len(data)
        if unpacked > 2**20 and ratio > HIGHEST_RATIO:
            raise ReadFailure("zip_bomb", f"{unpacked} bytes unpacked", ratio, HIGHEST_RATIO)
        if unpacked > MOST_UNPACKED:
            raise ReadFailure("too_large", f"{unpacked} bytes unpacked", unpacked, MOST_UNPACKED)
        yield archive


def content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """Return a member's bytes; what its header says of its size is not believed.

    Raises:
        ReadFailure: ``encrypted_member``, ``too_large`` or ``unreadable_member``.
    """
    if member.flag_bits & 1:
        raise ReadFailure("encrypted_member", "it needs a password; unpack it and add the file")
    try:
        with archive.open(member) as stream:
            data = stream.read(limit + 1)
    except MemoryError:
        raise
    # Damaged archives raise zlib.error, EOFError, BadZipFile, NotImplementedError and more.
    except Exception as error:
        raise ReadFailure("unreadable_member", f"{type(error).__name__}: {error}") from error
    if len(data) > limit:
        raise ReadFailure("too_large", f"more than {limit} bytes unpacked", len(data), limit)
    return data


def is_unsafe(name: str) -> bool:
    """Tell whether a member's name leads out of the folder it would be unpacked to."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in path.parts[0][:2]


def refuse_entities(archive: zipfile.ZipFile) -> None:
    """Refuse an Office file whose XML declares entities, which Office never does.

    Raises:
        ReadFailure: ``xml_entities``, or what :func:`content` raises.
    """
    for member in archive.infolist():
        if member.filename.endswith((".xml", ".rels")):
            head = content(archive, member, MOST_UNPACKED)[:4096]
            if any(mark in head for mark in _ENTITIES):
                raise ReadFailure(
                    "xml_entities",
                    f"{member.filename} declares a document type; expected plain XML, as Office "
                    "writes it; save the document anew",
                )
