"""Pages of the manual, in the macros of man or of mdoc."""

import re

from pipeline.documents.readers.pandoc import read_text
from pipeline.documents.readers.reading import ReadFailure, Reading

BEGINS = re.compile(rb"^[.'][ \t]*(?:TH|Dd|so)[ \t]", re.MULTILINE)
"""Title of a page, or the name of the page that stands for it."""

_MDOC = re.compile(rb"^\.[ \t]*Dd[ \t]", re.MULTILINE)
_SPACED = re.compile(rb"^([.'])[ \t]+(?=[A-Za-z])", re.MULTILINE)
"""A space before the name of a macro: pandoc 3.9 fails at it in mdoc."""
_SYSTEM = re.compile(rb"^(\.[ \t]*Os\b).*$", re.MULTILINE)
"""The system that a page is of, for its foot: pandoc 3.9 fails when it is named."""
_VERBATIM = re.compile(rb"^\.[ \t]*V([be])\b.*$", re.MULTILINE)
"""Macros of Perl's pages around code, which pandoc sets as one paragraph."""

_ELSEWHERE = re.compile(rb"\A\s*[.'][ \t]*so[ \t]+(\S+)\s*\Z")


def read(data: bytes) -> Reading:
    """Read a page of the manual.

    Raises:
        ReadFailure: ``empty_file``, ``unreadable_man``, or see
            :func:`pipeline.documents.readers.decode.decode`.
    """
    other = _ELSEWHERE.match(data)
    if other:
        name = other[1].decode("utf-8", "replace")
        raise ReadFailure("empty_file", f"its text is in {name}; add that file")
    data = _VERBATIM.sub(lambda found: b".EX" if found[1] == b"b" else b".EE", data)
    data = _SYSTEM.sub(rb"\1", _SPACED.sub(rb"\1", data))
    return read_text(data, "mdoc" if _MDOC.search(data) else "man", "man")
