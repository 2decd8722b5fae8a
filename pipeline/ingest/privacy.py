"""Personal data and secrets: found by checksum and form, replaced by typed placeholders.

A card must pass Luhn's check and have a known prefix, an IBAN its checksum and its country's
structure, a phone number the numbering plan of its country: version numbers, serial numbers and
dates stay. Names of people need a model and stay as well.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """One redaction."""

    start: int
    """Character range in the text before redaction."""
    end: int
    kind: str
    """EMAIL, PHONE, IBAN, CARD or KEY."""
    placeholder: str
    """``<EMAIL_1>``; one value has one placeholder in the whole text."""


class _Found(NamedTuple):
    start: int
    end: int
    value: str
    """Normalised, so that two spellings of one number are one value."""


_ORDER = ("KEY", "IBAN", "CARD", "EMAIL", "PHONE")
"""Kinds that would also match a part of another come later and lose."""

_EMAIL = re.compile(
    r"(?<![\w.%+-])[A-Za-z0-9](?:[\w.%+'-]{0,62}[\w%+-])?"  # RFC 5321: 64 characters
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w@-]|\.\w)"
)

_FILE_ENDINGS = ("png", "jpg", "jpeg", "gif", "svg", "webp", "js", "css")
"""``logo@2x.png`` is a file, not an address."""

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ \xa0-]?[A-Za-z0-9]){11,40}")

_CARD = re.compile(r"(?<![\w.,+-])\d(?:[ \xa0-]?\d){12,18}(?![\w-]|[.,]\d)")
_CARD_PREFIX = re.compile(  # issuer prefix and length, ISO/IEC 7812 registry
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_CARD_GROUPS = re.compile(
    r"\d{13,19}|\d{4}(?:([ \xa0-])\d{4}){2}\1\d{1,4}(?:\1\d{3})?"
    r"|\d{4}([ \xa0-])\d{6}\2\d{4,5}"
)
_SERIAL = re.compile(r"(?:serial|s/n|imei|part)\W{0,3}(?:number|no\.?)?\W{0,4}$", re.IGNORECASE)

_KEYS = [
    re.compile(pattern)
    for pattern in (
        # PEM; the end may be missing.
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----)[\s\S]){0,8192}"
        r"(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----)?",
        r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",  # JSON web token
        r"\b[a-z]{2,10}_(?:live|test|prod|sandbox)_[A-Za-z0-9]{12,}\b",  # Stripe and its imitators
        r"\bsk[-_][A-Za-z0-9][\w-]{18,}[A-Za-z0-9]\b",
        r"\bgh[pousr]_[A-Za-z0-9]{20,}\b|\bgithub_pat_\w{22,}\b",
        r"\bglpat-[\w-]{20,}|\bhf_[A-Za-z0-9]{20,}\b|\bnpm_[A-Za-z0-9]{30,}\b",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"\bAIza[\w-]{35}",
        r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    )
]
_LABELLED = re.compile(
    r"(?:api[ _-]?key|access[ _-]?key|secret(?:[ _-]?key)?|client[ _-]?secret|token|passwd"
    r"|password|bearer)[\"'`*]{0,3}(?:\s{0,3}(?:[:=]|is\b)\s{0,3}|\s)[\"'`*]{0,3}"
    r"([A-Za-z0-9][\w.~+/=!@#$%^&-]{9,511})",
    re.IGNORECASE,
)

MIN_ENTROPY = 3.0
"""Bits a character of a labelled value; detect-secrets (Yelp) takes 3.0 for hexadecimal."""


def redact(text: str, kinds: Sequence[str], region: str = "") -> tuple[str, list[Span]]:
    """Replace personal data and secrets by placeholders.

    Args:
        text: Any text; placeholders that it already holds stay and their numbers are not reused.
        kinds: Of EMAIL, PHONE, IBAN, CARD and KEY, those to replace.
        region: Country (ISO 3166) whose national phone numbers count; empty: numbers with +.

    Returns:
        The text, and what was replaced, in order of appearance.
    """
    chosen: list[tuple[_Found, str]] = []
    rest = text
    for kind in _ORDER:
        if kind not in kinds:
            continue
        new = _find(kind, rest, region)
        chosen += [(found, kind) for found in new]
        # What is found is covered, so that nothing found later begins or ends inside it: a
        # phone number and the card behind it would be taken for one, invalid, number.
        rest = _cover(rest, new)
    if not chosen:
        return text, []
    chosen.sort()
    used = {(kind, int(number)) for kind, number in re.findall(r"<([A-Z]+)_(\d{1,9})>", text)}
    names: dict[tuple[str, str], str] = {}
    last: Counter[str] = Counter()
    pieces: list[str] = []
    spans: list[Span] = []
    at = 0
    for found, kind in chosen:
        if (kind, found.value) not in names:
            last[kind] += 1
            while (kind, last[kind]) in used:
                last[kind] += 1
            names[kind, found.value] = f"<{kind}_{last[kind]}>"
        placeholder = names[kind, found.value]
        pieces += [text[at : found.start], placeholder]
        spans.append(Span(found.start, found.end, kind, placeholder))
        at = found.end
    return "".join(pieces) + text[at:], spans


def _cover(text: str, found: Sequence[_Found]) -> str:
    pieces = []
    at = 0
    for start, end, _ in found:
        pieces += [text[at:start], "|" * (end - start)]
        at = end
    return "".join(pieces) + text[at:]


def _find(kind: str, text: str, region: str) -> list[_Found]:
    if kind == "PHONE":
        return list(_phones(text, region))
    finders = {"KEY": _keys, "IBAN": _ibans, "CARD": _cards, "EMAIL": _emails}
    return list(finders[kind](text))


def _emails(text: str) -> Iterator[_Found]:
    for match in _EMAIL.finditer(text):
        # git@host:path is the address of a repository.
        clone = match[0].startswith("git@") and text[match.end() : match.end() + 1] == ":"
        if not clone and not match[0].lower().endswith(_FILE_ENDINGS):
            yield _Found(match.start(), match.end(), match[0].lower())


def _ibans(text: str) -> Iterator[_Found]:
    from stdnum import iban

    at = 0
    while match := _IBAN.search(text, at):
        at = match.start() + 4
        # The pattern runs into what follows ("... 7654 32 or by card"): try the longest first.
        ends = [match.start() + place.end() for place in re.finditer(r"[A-Za-z0-9]\b", match[0])]
        for end in reversed(ends):
            compact = re.sub(r"[ \xa0-]", "", text[match.start() : end]).upper()
            if 15 <= len(compact) <= 34 and iban.is_valid(compact):
                yield _Found(match.start(), end, compact)
                at = end
                break


def _cards(text: str) -> Iterator[_Found]:
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if (
            _CARD_GROUPS.fullmatch(match[0])
            and _CARD_PREFIX.fullmatch(digits)
            and luhn.is_valid(digits)
            and len(set(digits)) > 1
            and not _SERIAL.search(text[max(0, match.start() - 30) : match.start()])
        ):
            yield _Found(match.start(), match.end(), digits)


def _phones(text: str, region: str) -> Iterator[_Found]:
    import phonenumbers

    if not region and "+" not in text and "\uff0b" not in text:
        return
    matcher = phonenumbers.PhoneNumberMatcher(
        text, region or None, leniency=phonenumbers.Leniency.VALID, max_tries=len(text)
    )
    for match in matcher:
        number = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
        yield _Found(match.start, match.end, number)


def _keys(text: str) -> Iterator[_Found]:
    found: list[_Found] = []
    for pattern in _KEYS:
        found += [_Found(match.start(), match.end(), match[0]) for match in pattern.finditer(text)]
    for match in _LABELLED.finditer(text):
        value = match[1].rstrip(".!,")
        digits = sum(char.isdigit() for char in value)
        mixed = 0 < digits < len(value) and re.search(r"[A-Za-z]", value)
        # "token:FromEmail/ToEmail1/ToEmail2" is a path; base64 has 16 % digits.
        path = "/" in value and digits < 0.1 * len(value)
        if mixed and not path and _entropy(value) >= MIN_ENTROPY:
            found.append(_Found(match.start(1), match.start(1) + len(value), value))
    end = 0
    for item in sorted(found, key=lambda item: (item.start, -item.end)):
        if item.start >= end:  # the first and longest of overlapping finds
            yield item
            end = item.end


def _entropy(value: str) -> float:
    """Return Shannon's entropy in bits a character."""
    return -sum(
        count / len(value) * math.log2(count / len(value)) for count in Counter(value).values()
    )
