"""Zip files from strangers: names, sizes and ratios are looked at before a byte is believed."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO

from pipeline.documents.readers.reading import ReadFailure

MOST_MEMBERS = 10_000
"""Members of an archive; a zip of 1 MB can name hundreds of thousands."""

MOST_UNPACKED = 512 * 2**20
"""Bytes that all members may unpack to. A zip of 1 MB can unpack to 1 GB."""

HIGHEST_RATIO = 200
"""Bytes that one packed byte may become, from 1 MB on: text is packed to a tenth or a twentieth,
deflate can reach 1,032."""

_ENTITIES = (b"<!DOCTYPE", b"<!ENTITY")
_PAGES = (".htm", ".html", ".xhtml", ".svg")
"""Parts that may have a document type; no Office reader parses them."""

_MANIFEST = "META-INF/manifest.xml"
"""Where OpenDocument says which parts need a password."""

_BLOCK = 2**20
_HEAD = 64
"""Bytes that tell XML from pictures; more than a mark that is looked for has."""


@contextmanager
def opened(data: bytes, reason: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip file whose sizes are within the limits.

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
    with reading(archive, member) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ReadFailure("too_large", f"more than {limit} bytes unpacked", len(data), limit)
    return data


@contextmanager
def reading(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """Open a member; whatever goes wrong while it is read is a failure.

    Raises:
        ReadFailure: ``encrypted_member`` or ``unreadable_member``.
    """
    if member.flag_bits & 1:
        raise ReadFailure("encrypted_member", "it needs a password; unpack it and add the file")
    try:
        with archive.open(member) as stream:
            yield stream
    except MemoryError:
        raise
    # Damaged archives raise zlib.error, EOFError, BadZipFile, NotImplementedError and more.
    except Exception as error:
        raise ReadFailure("unreadable_member", f"{type(error).__name__}: {error}") from error


def kind_of(data: bytes, kinds: Mapping[str, str]) -> str:
    """Return the format of a zip file by a name in it, else ``""``."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return ""
    return next((kind for name, kind in kinds.items() if name in names), "")


def is_unsafe(name: str) -> bool:
    """Tell whether a member's name leads out of the folder it would be unpacked to."""
    path = PurePosixPath(name.replace("\\", "/"))
    # Of "." nothing is left: it is the folder itself.
    return path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1])[:2]


def refuse_password(archive: zipfile.ZipFile) -> None:
    """Refuse an OpenDocument file that needs a password.

    Raises:
        ReadFailure: ``encrypted_office``, or what :func:`content` raises.
    """
    if _MANIFEST in archive.namelist() and b"encryption-data" in content(
        archive, archive.getinfo(_MANIFEST), MOST_UNPACKED
    ):
        raise ReadFailure(
            "encrypted_office", "it needs a password; save it without one and add that file"
        )


def refuse_entities(archive: zipfile.ZipFile) -> None:
    """Refuse an Office file whose XML declares entities, which Office never does.

    Raises:
        ReadFailure: ``xml_entities``, or what :func:`content` raises.
    """
    for member in archive.infolist():
        if not member.filename.lower().endswith(_PAGES) and _declares(archive, member):
            raise ReadFailure(
                "xml_entities",
                f"{member.filename} declares a document type; expected plain XML, as Office "
                "writes it; save the document anew",
            )


def _declares(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Tell whether a part is XML with a document type, in any place and in UTF-8 or UTF-16."""
    with reading(archive, member) as stream:
        before = stream.read(_HEAD).replace(b"\0", b"")
        if not before.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<"):
            return False  # a picture, a font
        while block := stream.read(_BLOCK):
            before = before[-_HEAD:] + block.replace(b"\0", b"")
            if any(mark in before for mark in _ENTITIES):
                return True
    return any(mark in before for mark in _ENTITIES)
