"""The ledger of what is left out of a document on purpose: readers and cleaning write into it.

:func:`leave_out` notes something in the innermost :func:`ledger` that is open, of the document at
hand; where none is open, nobody asks, and nothing is noted.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

UNITS = {
    "navigation": "words",
    "hidden": "words",
    "page_edges": "words",
    "contents": "words",
    "comments": "words",
    "metadata": "words",
    "pictures": "pictures",
    "scripts": "scripts",
    "forms": "controls",
    "embedded": "objects",
    "attachments": "attachments",
    "sheets": "sheets",
    "rows": "rows",
    "needs_ocr": "pages",
    "skipped": "commands",
    "warnings": "warnings",
}
"""Kind of what is left out -> what its amount counts. ``navigation`` is all of a web page that is
beside its text; ``page_edges`` are running heads, feet and numbers of pages; ``contents`` a printed
table of contents; ``metadata`` the front matter; ``embedded`` films, sounds, frames, diagrams;
``needs_ocr`` pages that are pictures; ``skipped`` and ``warnings`` what pandoc says that it could
not read."""
LONGEST_DETAIL = 300  # characters; the amount still says how many there were


class Omission(NamedTuple):
    """What of one kind was left out; which, where a person can do something about it."""

    kind: str
    amount: int
    detail: str = ""


_Ledger = dict[str, tuple[int, str]]
_open: ContextVar[_Ledger | None] = ContextVar("left_out", default=None)


@contextmanager
def ledger() -> Iterator[_Ledger]:
    """Open the ledger of one document; see :func:`entries` for what it holds afterwards."""
    noted: _Ledger = {}
    token = _open.set(noted)
    try:
        yield noted
    finally:
        _open.reset(token)


def leave_out(kind: str, amount: int, detail: str = "") -> None:
    """Note that so much of a kind is left out of the document at hand; 0 is nothing."""
    noted = _open.get()
    if noted is not None and amount:
        before, details = noted.get(kind, (0, ""))
        joined = "; ".join(filter(None, (details, detail)))
        noted[kind] = before + amount, joined[:LONGEST_DETAIL]


def entries(noted: Mapping[str, tuple[int, str]]) -> tuple[Omission, ...]:
    """Return what a ledger holds, in the order of :data:`UNITS`."""
    return tuple(Omission(kind, *noted[kind]) for kind in UNITS if kind in noted)


def rows_left_out(
    document: Mapping[str, Any], left_out: Iterable[Omission]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of :class:`schemas.documents.LeftOut` about one document."""
    for omission in left_out:
        yield {"doc_id": document["doc_id"], "source": document["source"], **omission._asdict()}


def words(text: str) -> int:
    """Return the number of words of a text."""
    return len(text.split())
