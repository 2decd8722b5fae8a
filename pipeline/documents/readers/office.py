"""Office files (Microsoft's and OpenDocument): what a reader must know before it opens one."""

import html
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.documents.left_out import leave_out, words
from pipeline.documents.readers.reading import ReadFailure, failing_as
from pipeline.documents.readers.zipped import MOST_UNPACKED, content, opened, reading

_ENTITIES = (b"<!DOCTYPE", b"<!ENTITY")
_PAGES = (".htm", ".html", ".xhtml", ".svg")  # may have a document type: no reader parses them
_BLOCK = 2**20
_HEAD = 64  # bytes that tell XML from pictures; more than a mark that is looked for has
_MANIFEST = "META-INF/manifest.xml"  # where OpenDocument says which parts need a password
_COMMENTS = re.compile(
    r"xl/(?:threadedComments/|comments)[^.]*\.xml|word/comments\.xml|ppt/comments/[^.]*\.xml"
)
_COMMENT = re.compile(rb"<(?:\w+:)?(?:t|text)(?:\s[^>]*)?>([^<]+)<")
"""Text of a comment of Microsoft's programs; names of its authors are in other elements."""
_OPEN = "content.xml"
_ANNOTATION = re.compile(rb"<office:annotation\b.*?</office:annotation>", re.DOTALL)
_ABOUT = re.compile(rb"<(dc:\w+|meta:[\w-]+)\b.*?</\1>|<[^>]*>", re.DOTALL)
"""Author and date of a comment of OpenDocument, and all tags."""


@contextmanager
def opened_office(data: bytes, name: str) -> Iterator[zipfile.ZipFile]:
    """Open an Office file, and note how many words its comments have.

    ReadFailure: ``encrypted_office``, ``xml_entities``, ``unreadable_`` with the name for whatever
    is raised while it is open, or of :func:`.zipped.opened`.
    """
    with opened(data, f"unreadable_{name}") as archive:
        if b"encryption-data" in part_of(archive, _MANIFEST):
            raise ReadFailure(
                "encrypted_office", "it needs a password; save it without one and add that file"
            )
        for member in archive.infolist():
            if not member.filename.lower().endswith(_PAGES) and _declares(archive, member):
                raise ReadFailure(
                    "xml_entities",
                    f"{member.filename} declares a document type; expected plain XML, as Office "
                    "writes it; save the document anew",
                )
        texts = (html.unescape(text.decode(errors="replace")) for text in _comments(archive))
        leave_out("comments", sum(map(words, texts)))
        advice = (
            f"; expected a whole .{name} file; open it in the program it is of and save it anew"
        )
        with failing_as(f"unreadable_{name}", advice):
            yield archive


def part_of(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a part of a file, empty where it has none of that name."""
    try:
        member = archive.getinfo(name)
    except KeyError:
        return b""
    return content(archive, member, MOST_UNPACKED)


def _declares(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Tell whether a part is XML with a document type, in any place and in UTF-8 or UTF-16."""
    with reading(archive, member) as stream:
        seen = stream.read(_HEAD).replace(b"\0", b"")
        if not seen.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<"):
            return False  # a picture, a font
        while not any(mark in seen for mark in _ENTITIES):
            if not (block := stream.read(_BLOCK)):
                return False
            seen = seen[-_HEAD:] + block.replace(b"\0", b"")
    return True


def _comments(archive: zipfile.ZipFile) -> Iterator[bytes]:
    parts = [member for member in archive.infolist() if _COMMENTS.fullmatch(member.filename)]
    # Beside a thread Excel writes what programs show that know no threads.
    threads = [member for member in parts if "/threadedComments/" in member.filename]
    for member in threads or parts:
        yield from _COMMENT.findall(content(archive, member, MOST_UNPACKED))
    for annotation in _ANNOTATION.findall(part_of(archive, _OPEN)):
        yield _ABOUT.sub(b" ", annotation)
