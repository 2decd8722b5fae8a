"""Ids of persons (national, tax, social security and health numbers), by python-stdnum.

A checksum of one digit lets one of ten part numbers pass, and some ids have none. So a label has to
stand before the number ("SSN", "Steuer-ID"), unless chance does not make its form (``strong``).
"""

import importlib
import re
import tomllib
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pipeline.documents.clean.privacy.spans import LETTER, Found, apart, before, some_of

_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
_RUN = re.compile(r"\d(?:[ \xa0./-]{0,2}[A-Za-z]?\d){5,}")
"""What each id holds: six digits with at most a letter between two of them."""
_REACH = 10
"""Characters that an id may extend beyond such a run: six letters of a codice fiscale."""
_BEFORE = 60
"""Characters before a number in which its label stands."""
_BREAK = re.compile(r"[.!?]\s+(?=[A-Z\u00c0-\u00de\u0410-\u042f])|[\u3002\uff01\uff1f]|\n\s*\n")
_WORDS = re.compile(r"[^\W\d_]+")
_OTHER = {
    *("serial", "part", "parts", "order", "invoice", "item", "sku", "batch", "model"),
    *("product", "article", "version", "isbn", "ean", "gtin", "imei", "tracking", "ticket"),
    *("case", "bestellnummer", "artikelnummer", "seriennummer", "rechnungsnummer"),
    *("commande", "facture", "référence", "pedido", "factura", "ordine", "fattura"),
}
"""Words that say that the number behind them is something else; a label before them is off."""


class _IdKind(NamedTuple):
    """One id of one country; ``ids.toml`` says what each of it is."""

    country: str
    shapes: list[str]
    labels: list[str]
    module: str = ""
    strong: str = ""


_KINDS = [_IdKind(**kind) for kind in _TABLE["kinds"]]


class _Forms(NamedTuple):
    strong: list[tuple[re.Pattern[str], _IdKind]]
    """Those that need no label."""
    labelled: dict[str, list[tuple[re.Pattern[str], _IdKind]]]
    """By label: what a number behind it may be."""
    compact: list[str]
    """Labels in scripts without spaces."""


def countries_of(wanted: Collection[str]) -> tuple[str, ...]:
    """Return the countries (ISO 3166) of a setting; ValueError: no ids of one are known."""
    known = dict.fromkeys(kind.country for kind in _KINDS)
    return some_of(known, wanted, "id_countries: no ids are known of")


def find_ids(text: str, countries: tuple[str, ...]) -> Iterator[Found]:
    """Find ids of persons, of countries by their ISO 3166 codes."""
    forms = _forms(countries)
    end = 0
    for run in _RUN.finditer(text) if countries else ():
        low, high = max(end, run.start() - _REACH), run.end() + _REACH
        found: list[Found] = []
        context = _BREAK.split(before(text, run.start(), _BEFORE))[-1]
        for form, kind in (*forms.strong, *_labelled(forms, context)):
            for match in form.finditer(text, low, high):
                found += _checked(kind, match)
        for item in apart(found):
            yield item
            end = item.end


def _labelled(forms: _Forms, context: str) -> Iterator[tuple[re.Pattern[str], _IdKind]]:
    words = _WORDS.findall(context.casefold().replace(".", ""))
    labels = [label for label in forms.compact if label in context]
    for place, word in enumerate(words):
        if word in _OTHER:
            labels.clear()
        phrases = (" ".join(words[place : place + size]) for size in (1, 2, 3))
        labels += [phrase for phrase in phrases if phrase in forms.labelled]
    for label in dict.fromkeys(labels):
        yield from forms.labelled[label]


def _checked(kind: _IdKind, match: re.Match[str]) -> Iterator[Found]:
    compact = re.sub(r"[ \xa0./-]", "", match[0]).upper()
    if len(set(re.sub(r"\D", "", compact))) < 2:
        return
    if kind.module:  # without one the form is all there is to check
        module = importlib.import_module(f"stdnum.{kind.module}")
        if not (module.is_valid(compact) or module.is_valid(match[0])):  # some need the separator
            return
    yield Found(*match.span(), f"{kind.country} {compact}")


@lru_cache(maxsize=8)
def _forms(countries: tuple[str, ...]) -> _Forms:
    kinds = [kind for kind in _KINDS if kind.country in countries]
    labelled: dict[str, list[tuple[re.Pattern[str], _IdKind]]] = {}
    for kind in kinds:
        form = re.compile("|".join(_pattern(shape, exact=False) for shape in kind.shapes))
        for label in (*kind.labels, *_TABLE["generic"]):
            labelled.setdefault(label, []).append((form, kind))
    strong = [
        (re.compile(_pattern(kind.strong, exact=True)), kind) for kind in kinds if kind.strong
    ]
    compact = [label for label in labelled if not re.search(rf"[{LETTER}\u0900-\u0d7f]", label)]
    return _Forms(strong, labelled, compact)


def _pattern(shape: str, *, exact: bool) -> str:
    """Return a shape's pattern; not exact: letters may be small, separators other or missing."""
    letters = "A-Z" if exact else "A-Za-z"
    signs = {"9": "[0-9]", "A": f"[{letters}]", "*": f"[0-9{letters}]"}
    if not exact:
        signs |= dict.fromkeys(" ./-", r"[ \xa0./-]?")
    body = "".join(signs.get(sign, re.escape(sign)) for sign in shape)
    return rf"(?<![{LETTER}0-9_])(?<![0-9][.,-]){body}(?![{LETTER}0-9_]|[.,-][0-9])"
