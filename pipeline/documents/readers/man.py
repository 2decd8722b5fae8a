"""Pages of the manual, in the macros of man or of mdoc."""

import re

from pipeline.documents.left_out import leave_out
from pipeline.documents.readers.pandoc import read_text
from pipeline.documents.readers.reading import ReadFailure, Reading

EXTENSIONS = ".1 .2 .3 .4 .5 .6 .7 .8 .9 .man .mdoc .1p .3p .3pm"
BEGINS = re.compile(rb"^[.'][ \t]*(?:TH|Dd|so)[ \t]", re.MULTILINE)
"""Title of a page, or the name of the page that stands for it."""
_MDOC = re.compile(rb"^\.[ \t]*Dd[ \t]", re.MULTILINE)
_SPACED = re.compile(rb"^([.'])[ \t]+(?=[A-Za-z])", re.MULTILINE)
"""A space before the name of a macro: pandoc 3.9 fails at it in mdoc."""
_BARE_REFERENCE = re.compile(rb"^\.Xr[ \t]+(\S+(?:[ \t]+[.,:;)])*)[ \t]*$", re.MULTILINE)
"""A reference to a page without its section, at which pandoc 3.9 fails too."""
_DEFINITION = re.compile(rb"^[.'][ \t]*de1?[ \t].*?(?:^\.\.[ \t\r]*(?:\n|\Z)|\Z)", re.M | re.S)
"""Of a macro, which pandoc expands unless it has conditions in it."""
_AT_FAULT = re.compile(rb"\s*\Z|'|\.(?!S[hs])")  # a blank line, or a macro but of a heading
_PROLOGUE = re.compile(rb"^\.(Dd|Dt|Os)\b.*\n?", re.MULTILINE)
"""What a page in mdoc begins with: pandoc 3.9 fails when one is missing, in another order, or when
the system has a name."""
_PLACE = re.compile(r"\(line (\d+), column")
MOST_SKIPPED = 30
"""Macros of a page in mdoc at which pandoc may end with an error. Of 90 pages of Debian's
translations it ends at 37, with these but one are read; most have one to five."""
_VERBATIM = re.compile(rb"^\.[ \t]*V([be])\b.*$", re.MULTILINE)
"""Macros of Perl's pages around code, which pandoc sets as one paragraph."""
_ELSEWHERE = re.compile(rb"\A\s*[.'][ \t]*so[ \t]+(\S+)\s*\Z")


def read(data: bytes) -> Reading:
    """Read a page of the manual; raises as :func:`.pandoc.read_text` does."""
    if other := _ELSEWHERE.match(data):
        name = other[1].decode("utf-8", "replace")
        raise ReadFailure("empty_file", f"its text is in {name}; add that file")
    data = _VERBATIM.sub(lambda found: b".EX" if found[1] == b"b" else b".EE", data)
    data = _SPACED.sub(rb"\1", data)
    if _MDOC.search(data):
        return _mdoc(_BARE_REFERENCE.sub(rb"\1", data))
    try:
        return read_text(data, "man")
    except ReadFailure:
        text = _DEFINITION.sub(b"", data)
        if text == data:
            raise
        return read_text(text, "man")


def _mdoc(data: bytes) -> Reading:
    """Read a page in mdoc; a macro that pandoc cannot read leaves its arguments as text."""
    begins = {found[1]: found[0].rstrip() for found in _PROLOGUE.finditer(data)}
    head = [begins.get(b"Dd", b".Dd"), begins.get(b"Dt", b".Dt"), b".Os"]
    lines = [*head, *_PROLOGUE.sub(b"", data).split(b"\n")]
    skipped: dict[int, str] = {}
    while True:
        try:
            reading = read_text(b"\n".join(lines), "mdoc", "man")
        except ReadFailure as error:
            place = _PLACE.search(error.failure.message)
            at = min(int(place[1]), len(lines)) - 1 if place else 0
            # The error may show behind the line of the macro.
            while at in skipped or not _AT_FAULT.match(lines[at]):
                at -= 1
            if at < len(head) or len(skipped) == MOST_SKIPPED:
                raise
            macro, _, rest = lines[at].partition(b" ")
            skipped[at] = macro.decode("utf-8", "replace") or "blank line"
            lines[at] = rest.lstrip(b".' ") or b'.\\"'
        else:
            leave_out("skipped", len(skipped), ", ".join(dict.fromkeys(skipped.values())))
            return reading
