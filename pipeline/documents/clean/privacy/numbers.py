"""Numbers of cards, accounts and phones: each has a checksum or a numbering plan."""

import re
from collections.abc import Iterator

from pipeline.documents.clean.privacy.spans import LETTER, Found, before

_IBAN = re.compile(
    rf"\d(?<=[A-Za-z]{{2}}\d)(?<![{LETTER}0-9][A-Za-z]{{2}}\d)\d(?:[ \xa0-]?[A-Za-z0-9]){{11,40}}"
)
"""From the first check digit on: a search for a digit is quicker than one for a letter."""
_CARD = re.compile(
    rf"\d(?<![{LETTER}0-9_.,+-]\d)(?:[ \xa0-]?\d){{12,18}}(?![{LETTER}0-9_-]|[.,]\d)"
)
_CARD_PREFIX = re.compile(  # issuer prefix and length, ISO/IEC 7812 registry
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_CARD_GROUPS = re.compile(
    r"\d{13,19}|\d{4}(?:([ \xa0-])\d{4}){2}\1\d{1,4}(?:\1\d{3})?"
    r"|\d{4}([ \xa0-])\d{6}\2\d{4,5}"
)
_SERIAL = re.compile(
    r"(?:serial|s/n|imei|isbn|ean|gtin|part|order|invoice|tracking|ticket|item|sku|batch)"
    r"\W{0,3}(?:number|num|no\.?|code|id)?(?:\s(?:is|was))?\W{0,4}$",
    re.IGNORECASE,
)
"""A number that says what it is. One in ten of any numbers passes Luhn's check."""
_PHONE = re.compile(r"[+\uff0b][ \xa0(]{0,2}\d(?:[ \xa0().\-/\u2010-\u2013]{0,3}\d){6,19}")
_NATIONAL = re.compile(r"\d(?:[ \xa0().\-/\u2010-\u2013]{0,3}\d){5,19}")
_MARGIN = 16
"""Characters around a candidate that phonenumbers looks at to tell a number from a part of one."""


def find_ibans(text: str) -> Iterator[Found]:
    """Find IBANs: checksum (ISO 13616) and structure of the country, by python-stdnum."""
    from stdnum import iban

    at = 0
    while match := _IBAN.search(text, at):
        start = match.start() - 2
        at = match.start() + 1
        # The pattern runs into what follows ("... 7654 32 or by card"): try the longest first.
        ends = [match.start() + each.end() for each in re.finditer(r"[A-Za-z0-9]\b", match[0])]
        for end in reversed(ends):
            compact = re.sub(r"[ \xa0-]", "", text[start:end]).upper()
            if 15 <= len(compact) <= 34 and iban.is_valid(compact):
                yield Found(start, end, compact)
                at = end
                break


def find_cards(text: str) -> Iterator[Found]:
    """Find numbers of payment cards: issuer prefix, groups as printed, Luhn's check."""
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if (
            _CARD_GROUPS.fullmatch(match[0])
            and _CARD_PREFIX.fullmatch(digits)
            and luhn.is_valid(digits)
            and len(set(digits)) > 1
            and not _SERIAL.search(before(text, match.start(), 30))
        ):
            yield Found(*match.span(), digits)


def find_phones(text: str, region: str) -> Iterator[Found]:
    """Find phone numbers that are valid in the plan of their country, without + in the region's."""
    done = 0
    for candidate in (_NATIONAL if region else _PHONE).finditer(text):
        start, end = candidate.span()
        if start < done:
            continue
        import phonenumbers as phones  # takes long to load, and few texts need it

        low = max(0, start - _MARGIN)
        near = text[low : end + _MARGIN]
        for match in phones.PhoneNumberMatcher(near, region or None, phones.Leniency.VALID):
            # The margins may cut a number in two: what begins in them is another candidate's.
            if start - 2 <= low + match.start and low + match.end <= end + 8:
                done = low + match.end
                number = phones.format_number(match.number, phones.PhoneNumberFormat.E164)
                yield Found(low + match.start, done, number)
