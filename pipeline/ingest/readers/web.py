"""HTML: decoded, with all its tags; cleaning takes the boilerplate out."""

import re
from html.parser import HTMLParser

from pipeline.ingest.readers.decode import decode
from pipeline.ingest.readers.reading import Reading, whole

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)

TITLE_WITHIN = 50_000
"""Characters in which a title is looked for: html.parser is slow on hostile markup."""


def read(data: bytes) -> Reading:
    """Read an HTML page; its title is the title element, or the h1 that it begins with.

    Raises:
        ReadFailure: See :func:`pipeline.ingest.readers.decode.decode`.
    """
    # The HTML standard looks for the declaration in the first 1024 bytes.
    declared = _CHARSET.search(data[:1024])
    text = decode(data, declared[1].decode("ascii") if declared else None)
    parser = _Titles()
    parser.feed(text[:TITLE_WITHIN])
    parser.close()
    title, h1 = parser.found.get("title", ""), parser.found.get("h1", "")
    # "Pump care | Help centre" names the site on every page.
    return whole(h1 if not title or (h1 and title.startswith(h1)) else title, text)


class _Titles(HTMLParser):
    """Collects the text of the first title and the first h1."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, str] = {}
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a title or h1 that was not seen yet."""
        if tag in ("title", "h1") and tag not in self.found:
            self._inside = tag
            self.found[tag] = ""

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        if tag == self._inside:
            self.found[tag] = " ".join(self.found[tag].split())
            self._inside = ""

    def handle_data(self, data: str) -> None:
        """Take the text inside it."""
        if self._inside:
            self.found[self._inside] += data
