"""Comments that reviewers put into Office files: they are no text of the document, and counted."""

import html
import re
import zipfile
from collections.abc import Iterator

from pipeline.documents.left_out import leave_out, words
from pipeline.documents.readers.zipped import MOST_UNPACKED, content

_PART = re.compile(
    r"xl/(?:threadedComments/|comments)[^.]*\.xml|word/comments\.xml|ppt/comments/[^.]*\.xml"
)
_SAID = re.compile(rb"<(?:\w+:)?(?:t|text)(?:\s[^>]*)?>([^<]+)<")
"""Text of a comment of Microsoft's programs; names of its authors are in other elements."""

_OPEN = "content.xml"
_ANNOTATION = re.compile(rb"<office:annotation\b.*?</office:annotation>", re.DOTALL)
_ABOUT = re.compile(rb"<(dc:\w+|meta:[\w-]+)\b.*?</\1>|<[^>]*>", re.DOTALL)
"""Author and date of a comment of OpenDocument, and all tags."""


def leave_out_comments(archive: zipfile.ZipFile) -> None:
    """Note how many words the comments of an Office file have.

    Raises:
        ReadFailure: As of :func:`pipeline.documents.readers.zipped.content`.
    """
    texts = (html.unescape(said.decode(errors="replace")) for said in _said(archive))
    leave_out("comments", sum(map(words, texts)))


def _said(archive: zipfile.ZipFile) -> Iterator[bytes]:
    parts = [member for member in archive.infolist() if _PART.fullmatch(member.filename)]
    # Beside a thread Excel writes what programs show that know no threads.
    threads = [member for member in parts if "/threadedComments/" in member.filename]
    for member in threads or parts:
        yield from _SAID.findall(content(archive, member, MOST_UNPACKED))
    if _OPEN in archive.namelist():
        text = content(archive, archive.getinfo(_OPEN), MOST_UNPACKED)
        for found in _ANNOTATION.findall(text):
            yield _ABOUT.sub(b" ", found)
