"""Personal data and secrets: found by checksum, form and context, replaced by typed placeholders.

A card must pass Luhn's check and have a known prefix, an IBAN its checksum and its country's
structure, a national id the rules of its country and a label beside it, a phone number the
numbering plan, an address of the internet must be a public one: version numbers, serial numbers
and dates stay. Names of people need a model and stay as well.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import translate
from typing import TYPE_CHECKING, NamedTuple

from pipeline.documents.clean.privacy.ids import countries_of, find_ids
from pipeline.documents.clean.privacy.internet import find_emails, find_ips
from pipeline.documents.clean.privacy.keys import find_keys
from pipeline.documents.clean.privacy.numbers import find_cards, find_ibans, find_phones
from pipeline.documents.clean.privacy.spans import Found, Span, some_of

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import CleanSettings

FINDERS: dict[str, Callable[[str, "CleanSettings"], Iterable[Found]]] = {
    "KEY": lambda text, settings: find_keys(text),
    "IBAN": lambda text, settings: find_ibans(text),
    "CARD": lambda text, settings: find_cards(text),
    "ID": lambda text, settings: find_ids(text, countries_of(settings.id_countries)),
    "IP": lambda text, settings: find_ips(text),
    "EMAIL": lambda text, settings: find_emails(text),
    "PHONE": lambda text, settings: find_phones(text, settings.phone_region),
}
"""Kind -> finder. Kinds that would also match a part of another come later and lose."""
_NUMBER = re.compile(r"\d[ \xa0./-]{0,2}[A-Za-z]?\d(?:[ \xa0./-]{0,2}[A-Za-z]?\d){4,}")
_NUMBERS = ("IBAN", "CARD", "ID", "PHONE")
"""Kinds that hold six digits in a row, with separators; most texts have none and are done."""
MAX_ROUNDS = 16
"""A text that finds anything is looked at twice. More rounds are for values glued to each other
without a space; the bound keeps a file that is made of such a chain from taking quadratic time."""


def kinds_of(wanted: Collection[str]) -> tuple[str, ...]:
    """Return the kinds of the setting ``clean.redact``; ValueError: nothing finds one of them."""
    return some_of(FINDERS, wanted, "redact: nothing finds")


class Redacted(NamedTuple):
    """A text without personal data."""

    text: str
    spans: list[Span]
    allowed: int = 0
    """Values that were found and stay, since the allow-list names them."""


def redact(text: str, settings: "CleanSettings") -> Redacted:
    """Replace the data that the settings name by placeholders, numbered on from those it has."""
    kinds = kinds_of(settings.redact)
    chosen: list[tuple[Found, str]] = []
    rest = text
    # What is found is covered, by brackets as a placeholder has them, so that nothing found later
    # begins or ends inside it: a phone number and the card behind it would be taken for one,
    # invalid, number. And once more: what stood beside it may have been hidden by it.
    for _ in range(MAX_ROUNDS):
        before = len(chosen)
        numbers = _NUMBER.search(rest) is not None
        for kind, find in FINDERS.items():
            if kind in kinds and (numbers or kind not in _NUMBERS):
                new = sorted(find(rest, settings))
                chosen += [(found, kind) for found in new]
                covered = ((start, end, f"<{'|' * (end - start - 2)}>") for start, end, _ in new)
                rest = _put(rest, covered)
        if len(chosen) == before:
            break
    globs = "|".join(translate(glob.strip()) for glob in settings.redact_allow) or "(?!)"
    allowed = re.compile(globs, re.IGNORECASE)
    names = sorted(
        (found, kind)
        for found, kind in chosen
        if not (allowed.match(text[found.start : found.end]) or allowed.match(found.value))
    )
    return Redacted(*_replace(text, names), len(chosen) - len(names))


def _replace(text: str, chosen: Sequence[tuple[Found, str]]) -> tuple[str, list[Span]]:
    used = {(kind, int(number)) for kind, number in re.findall(r"<([A-Z]+)_(\d{1,9})>", text)}
    names: dict[tuple[str, str], str] = {}
    last: Counter[str] = Counter()
    spans: list[Span] = []
    for found, kind in chosen:
        if (kind, found.value) not in names:
            last[kind] += 1
            while (kind, last[kind]) in used:
                last[kind] += 1
            names[kind, found.value] = f"<{kind}_{last[kind]}>"
        spans.append(Span(found.start, found.end, kind, names[kind, found.value]))
    return _put(text, ((span.start, span.end, span.placeholder) for span in spans)), spans


def _put(text: str, changes: Iterable[tuple[int, int, str]]) -> str:
    """Return a text with other words in some ranges, given in order."""
    pieces: list[str] = []
    at = 0
    for start, end, shown in changes:
        pieces += [text[at:start], shown]
        at = end
    return "".join(pieces) + text[at:]
