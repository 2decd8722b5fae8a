"""HTML: decoded, with all its tags; cleaning takes the boilerplate out."""

import re
from html import unescape

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Reading, whole
from pipeline.text.exponents import written_out

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
# Bounded patterns, since html.parser takes quadratic time for hostile markup.
_TITLE = re.compile(r"<title\b[^<>]{0,200}>(.{0,1000}?)</title", re.IGNORECASE | re.DOTALL)
_H1 = re.compile(r"<h1\b[^<>]{0,500}>(.{0,1000}?)</h1", re.IGNORECASE | re.DOTALL)
TITLE_WITHIN = 50_000  # characters in which a title is looked for


def read(data: bytes) -> Reading:
    """Read an HTML page, named by its title or the h1 it begins with; raises as :mod:`.decode`."""
    # The HTML standard looks for the declaration in the first 1024 bytes.
    declared = _CHARSET.search(data[:1024])
    text = decode(data, declared[1].decode("ascii") if declared else None)
    title, h1 = (_inside(pattern, text[:TITLE_WITHIN]) for pattern in (_TITLE, _H1))
    # "Pump care | Help centre" names the site on every page.
    return whole(h1 if not title or (h1 and title.startswith(h1)) else title, text)


def _inside(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    if not found:
        return ""
    return " ".join(unescape(re.sub(r"<[^<>]{0,500}>", "", written_out(found[1]))).split())
