"""What the finders of personal data give, and what they have in common."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple


class Found(NamedTuple):
    """A value in a text, normalised: two spellings of one number are one value."""

    start: int
    end: int
    value: str


class Span(NamedTuple):
    """One redaction: its range in the text before, its kind, and ``<EMAIL_1>`` or the like."""

    start: int
    end: int
    kind: str
    placeholder: str


LETTER = "A-Za-z\u00c0-\u052f"
"""For a character class: Latin, Greek and Cyrillic. Chinese, Japanese and Thai stand around a
number or an address without a space, so ``\\w`` would take them for a part of it."""
_PLACEHOLDER_END = re.compile(r"(?:_\d{1,9}|\|)>")
"""Of a placeholder, or of a find that is covered while others are looked for."""


def before(text: str, at: int, size: int) -> str:
    """Return what stands before a place and may say what follows: so many characters at most."""
    # Nothing before a placeholder counts: were its length or its name to matter, a second pass
    # would find more than the first.
    return _PLACEHOLDER_END.split(text[max(0, at - size) : at])[-1]


def apart(found: Iterable[Found]) -> Iterator[Found]:
    """Yield finds in order; of overlapping ones the first and longest."""
    end = 0
    for item in sorted(found, key=lambda item: (item.start, -item.end)):
        if item.start >= end:
            yield item
            end = item.end


def some_of(known: Collection[str], wanted: Collection[str], none_known: str) -> tuple[str, ...]:
    """Return the names that a setting means; a ValueError says that one is not known."""
    unknown = sorted(set(wanted) - {*known, "all"})
    if unknown:
        raise ValueError(
            f"{none_known} {', '.join(unknown)}; expected all, or some of {', '.join(known)}"
        )
    return tuple(known if "all" in wanted else wanted)
