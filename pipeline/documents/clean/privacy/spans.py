"""What the finders of personal data give, and what becomes of it."""

import re
from typing import NamedTuple


class Found(NamedTuple):
    """A value in a text."""

    start: int
    end: int
    value: str
    """Normalised, so that two spellings of one number are one value."""


class Span(NamedTuple):
    """One redaction."""

    start: int
    """Character range in the text before redaction."""
    end: int
    kind: str
    """One of :data:`.redact.FINDERS`."""
    placeholder: str
    """``<EMAIL_1>``; one value has one placeholder in the whole text."""


LETTER = "A-Za-z\u00c0-\u052f"
"""For a character class: Latin, Greek and Cyrillic. Chinese, Japanese and Thai stand around a
number or an address without a space, so ``\\w`` would take them for a part of it."""

_PLACEHOLDER_END = re.compile(r"(?:_\d{1,9}|\|)>")
"""Of a placeholder, or of a find that is covered while others are looked for."""


def before(text: str, at: int, size: int) -> str:
    """Return what stands before a place and may say what follows: so many characters at most.

    Nothing before a placeholder counts: were its length or its name to matter, a second pass
    would find more than the first.
    """
    return _PLACEHOLDER_END.split(text[max(0, at - size) : at])[-1]
