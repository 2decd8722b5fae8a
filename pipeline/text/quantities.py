"""Quantities of a text: numbers with a unit, money, dates and times of day, in one form each.

Names are of the Unicode CLDR, by Babel, in the language of the text and in English. "Two weeks" and
"14 days" are one quantity, "5 s" and "5 ms" are two.
"""

import contextlib
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.text.function_words import function_words
from pipeline.text.words import UNSPACED

_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
MONEY: dict[str, str] = _TABLE["money"]

LENGTHS: tuple[Literal["long", "short"], ...] = ("long", "short")
COUNTS = (1, 1.5, 2, 5)
"""Numbers that take all plural forms of most languages."""
DIGITS = r"\d{1,18}(?:[.,'\u2019\u00a0\u202f]\d{1,18}){0,8}"
THOUSANDS = re.compile(r"(?<=\d)(?<!(?<!\d)0)[.,'\u2019\u00a0\u202f](?=\d{3}(?!\d))")
SIGN_FIRST = re.compile(rf"([$€£¥₹]) ?({DIGITS})")
YEAR_FIRST = re.compile(
    r"(?<!\d)(?P<y>\d{4})(?:[-/.]|[年년] ?)(?P<m>\d{1,2})(?:[-/.]|[月월] ?)"
    r"(?P<d>\d{1,2})[日일]?(?!\d)"
)
CLOCK = re.compile(
    r"(?<![\w:.,])(?P<hour>[01]?\d|2[0-4])(?:[:.](?P<minute>[0-5]\d))?"
    r"(?:(?(minute) ?| )(?P<half>[ap])\.? ?m\b\.?| ?uhr\b|(?(minute)(?<=:..)(?![:.]\d|\w)|(?!)))"
)
"""A time of day in level text: 22:30, 10.30 p.m., 22 Uhr."""
DAY_FIRST = re.compile(r"(?<!\d)(?P<d>\d{1,2})\. ?(?P<m>\d{1,2})\. ?(?P<y>\d{4})(?!\d)")


class Quantity(NamedTuple):
    """A number with its unit, an amount of money, a date or time of day; and where it stands."""

    start: int
    end: int
    kind: str
    """What is measured; of money the currency."""
    value: Fraction
    """In the unit of its kind; of a date year, month and day as one number; minutes of a day."""
    number: str
    """In digits, as it is written; empty for a date and a time of day."""


@lru_cache(4096)
def quantities(text: str, language: str) -> tuple[Quantity, ...]:
    """Return the quantities of a text in their order; language as in ISO 639-1."""
    level, known = _level(text), _units(language)
    found = [*_dates(level, language), *_times(level)]
    for match in SIGN_FIRST.finditer(text):
        number = _plain(match[2])
        found.append(Quantity(*match.span(), MONEY[match[1]], Fraction(number), number))
    taken = {place for each in found for place in range(each.start, each.end)}
    words = function_words(language).numbers
    for match in _measures(language).finditer(level):
        unit = match["unit"] or match["sign"]
        written = text[slice(*match.span("unit"))]
        # A symbol counts as it is written: mW is no MW. "5m" may be metres, minutes or millions.
        size = known.symbols.get(written) or known.names.get(unit)
        unsure = written == "m" and not match["gap"]
        if size is None or unsure or match.start() in taken:
            continue
        if match["ending"] and unit not in known.inflected:
            continue
        number = words.get(match["number"]) or _plain(match["number"])
        found.append(Quantity(*match.span(), *_in_one_unit(Fraction(number), *size), number))
    return tuple(sorted(found))


def restated(text: str, known: str, language: str) -> str:
    """Return a text with its quantities in the words of another text that has the same ones."""
    same = {(each.kind, each.value): each for each in reversed(quantities(known, language))}
    for each in reversed(quantities(text, language)):
        other = same.get((each.kind, each.value))
        if other is not None:
            text = text[: each.start] + known[other.start : other.end] + text[each.end :]
    return text


def misstated(text: str, known: str, language: str) -> list[str]:
    """Return the quantities of a text that another text has otherwise: "5 s" where that has "5 ms".

    Not where the number stands there without a unit, as in a table: it may be of that unit.
    """
    stated, rest = quantities(known, language), list(known)
    for each in stated:
        rest[each.start : each.end] = " " * (each.end - each.start)
    values = {(each.kind, each.value) for each in stated}
    seen = {each.kind for each in stated} | {each.number for each in stated} - {""}
    bare = {_plain(number) for number in re.findall(DIGITS, "".join(rest))}
    return [
        text[each.start : each.end]
        for each in quantities(text, language)
        if (each.kind, each.value) not in values
        and each.number not in bare
        and seen & {each.kind, each.number}
    ]


def _in_one_unit(value: Fraction, kind: str, factor: Fraction) -> tuple[str, Fraction]:
    """Return the kind and the value in its unit; of memory 1024 MB are 1 GB, too."""
    if kind == "fahrenheit":
        return "temperature", (value - 32) * 5 / 9
    while kind == "bytes" and value and value % 1024 == 0:
        value, factor = value / 1024, factor * 1000
    return kind, value * factor


def _plain(digits: str) -> str:
    """Return a number without separators of thousands, with a point before its decimals."""
    first, *others = re.split(r"[^\d]", THOUSANDS.sub("", digits))
    return f"{first}.{''.join(others)}" if others else first


def _level(text: str) -> str:
    """Return a text in lower case and without accents, each sign in its place."""
    return text.lower() if text.isascii() else "".join(map(_level_sign, text))


@cache
def _level_sign(sign: str) -> str:
    first, *marks = list(unicodedata.normalize("NFD", sign))
    accented = all(map(unicodedata.combining, marks))  # not the letters of a Hangul syllable
    low = (first if accented else sign).lower()
    return low if len(low) == 1 else sign


class _Units(NamedTuple):
    """Kind and factor of each unit."""

    symbols: dict[str, tuple[str, Fraction]]
    names: dict[str, tuple[str, Fraction]]
    inflected: set[str]
    """Names that may have an ending: German has "Tagen" beside "Tage"."""


@cache
def _units(language: str) -> _Units:
    known = _Units({}, {}, set())
    for sign, currency in MONEY.items():
        (known.names if sign.islower() else known.symbols)[sign] = currency, Fraction(1)
    # "5 in the" are no inches.
    silent = set(filter(str.isascii, function_words(language).stop)) | function_words("en").stop
    for name, symbol, kind, factor in _TABLE["units"]:
        category, _, base = name.partition("-")
        for prefix, (power, signs) in _TABLE["prefixes"].items():
            size = kind, Fraction(factor) * Fraction(10) ** power
            if symbol[:1] == "~" or (symbol and not prefix):
                known.symbols.update({sign.strip() + symbol.lstrip("~"): size for sign in signs})
            for locale, length in product((language, "en"), LENGTHS):
                names = set(_forms(f"{category}-{prefix}{base}", length, locale)) - silent
                known.names.update({each: size for each in names - known.names.keys()})
                if locale != "en" and length == "long":
                    known.inflected.update(each for each in names if len(each) > 2)
    del known.symbols["dB"]  # a level, no tenth of a byte
    return known


def _forms(unit: str, length: Literal["long", "short"], locale: str) -> Iterator[str]:
    """Yield the forms that a unit has behind a number; none for one that is not known."""
    from babel.core import UnknownLocaleError
    from babel.units import UnknownUnitError, format_unit

    for count in COUNTS:
        try:
            form = format_unit(count, unit, length=length, locale=locale)
        except (UnknownUnitError, UnknownLocaleError):
            return
        if unit not in form:
            yield _level(re.sub(r"[\d.,\u066b]", "", form)).strip(" \u00a0\u202f\u0970")


@cache
def _measures(language: str) -> re.Pattern[str]:
    """Return the pattern of a number with a unit behind it, for level text."""
    known = _units(language)
    units = {*known.names, *map(_level, known.symbols)} - {""}
    spaced = {unit for unit in units if not UNSPACED.search(unit)}

    def any_of(words: Iterable[str]) -> str:
        return "|".join(map(re.escape, sorted(words, key=len, reverse=True))) or "(?!)"

    words = any_of(function_words(language).numbers)
    return re.compile(
        rf"(?:(?<![\w.,-])|(?<=[^\W\d_a-z]))(?P<number>{DIGITS}|(?<!\w)(?:{words}))"
        rf"(?P<gap>[ \u00a0\u202f-]?)(?:(?P<unit>{any_of(spaced)})(?P<ending>[^\W\d_]{{0,2}})"
        rf"(?![^\W\d_]|[/²³^]\w)|(?P<sign>{any_of(units - spaced)}))"
    )


def _dates(level: str, language: str) -> Iterator[Quantity]:
    months, patterns = _named_dates(language)
    for pattern in (YEAR_FIRST, DAY_FIRST, *patterns):
        for match in pattern.finditer(level):
            year, day = int(match["y"]), int(match["d"])
            month = months.get(match["m"]) or int(match["m"])
            if 1 <= month <= 12 and 1 <= day <= 31:
                value = Fraction(10_000 * year + 100 * month + day)
                yield Quantity(*match.span(), "date", value, "")


def _times(level: str) -> Iterator[Quantity]:
    for match in CLOCK.finditer(level):
        hour, minute = int(match["hour"]), int(match["minute"] or 0)
        if match["half"] and hour <= 12:
            hour = hour % 12 + 12 * (match["half"] == "p")
        yield Quantity(*match.span(), "clock", Fraction(60 * hour + minute), "")


@cache
def _named_dates(language: str) -> tuple[dict[str, int], tuple[re.Pattern[str], ...]]:
    """Return the months by their names, and patterns of dates with them."""
    from babel.core import UnknownLocaleError
    from babel.dates import get_month_names

    months: dict[str, int] = {}
    for locale in (language, "en"):
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                with contextlib.suppress(UnknownLocaleError):
                    names = get_month_names(width, context, locale)
                    months |= {_level(name).strip("."): month for month, name in names.items()}
    months = {name: month for name, month in months.items() if name.isalpha()}
    name = f"(?P<m>{'|'.join(sorted(months, key=len, reverse=True))})"
    of, count = "(?:of|de|do|del|di)", r"(?P<d>\d{1,2})(?:st|nd|rd|th|er|º|°|ª|\.)?"
    return months, (
        re.compile(rf"(?<!\d){count} (?:{of} )?{name}\.?,?(?: {of})? (?P<y>\d{{4}})(?!\d)"),
        re.compile(rf"(?<!\w){name}\.? {count},? (?P<y>\d{{4}})(?!\d)"),
    )
