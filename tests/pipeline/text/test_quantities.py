# ruff: noqa: RUF001 - Cyrillic letters look like Latin ones
"""Quantities: one form for what is the same, in any language, and another for what is not."""

from fractions import Fraction

import pytest

from pipeline.text.quantities import misstated, quantities, restated

FORTNIGHT = ("time", 14 * 86_400)
HALF_HOUR = ("time", 1800)
SPRING = ("date", 20_240_305)

SAME = [
    ("en", "14 days", FORTNIGHT),
    ("en", "two weeks", FORTNIGHT),
    ("en", "a 14-day trial", FORTNIGHT),
    ("de", "nach 14 Tagen", FORTNIGHT),
    ("de", "zwei Wochen lang", FORTNIGHT),
    ("fr", "dans 14 jours", FORTNIGHT),
    ("es", "dos semanas", FORTNIGHT),
    ("pt", "14 dias", FORTNIGHT),
    ("it", "due settimane", FORTNIGHT),
    ("nl", "14 dagen", FORTNIGHT),
    ("pl", "14 dni", FORTNIGHT),
    ("ru", "14 дней", FORTNIGHT),
    ("hi", "14 दिन", FORTNIGHT),
    ("ja", "14日以内", FORTNIGHT),
    ("zh", "14天内", FORTNIGHT),
    ("ko", "14일", FORTNIGHT),
    ("ar", "30 دقيقة", HALF_HOUR),
    ("pl", "30 minut", HALF_HOUR),
    ("ja", "30分", HALF_HOUR),
    ("en", "0.5 hours", HALF_HOUR),
    ("de", "0,5 Std.", HALF_HOUR),
    ("en", "24 months", ("months", 24)),
    ("en", "2 years", ("months", 24)),
    ("en", "1024 MB", ("bytes", 10**9)),
    ("fr", "1 Go", ("bytes", 10**9)),
    ("ru", "1 ГБ", ("bytes", 10**9)),
    ("en", "5 mW", ("power", Fraction(5, 1000))),
    ("en", "5 MW", ("power", 5_000_000)),
    ("ru", "25000 г", ("mass", 25_000)),
    ("de", "1.500 kg", ("mass", 1_500_000)),
    ("en", "2,000 m", ("length", 2000)),
    ("en", "50 °F", ("temperature", 10)),
    ("en", "15 %", ("share", 15)),
    ("en", "15 percent", ("share", 15)),
    ("en", "$20", ("USD", 20)),
    ("en", "20 dollars", ("USD", 20)),
    ("de", "20,50 Euro", ("EUR", Fraction("20.5"))),
    ("en", "10:30 p.m.", ("clock", 1350)),
    ("en", "22:30", ("clock", 1350)),
    ("en", "7 am", ("clock", 420)),
    ("de", "22.30 Uhr", ("clock", 1350)),
    ("en", "5 March 2024", SPRING),
    ("en", "March 5th, 2024", SPRING),
    ("en", "2024-03-05", SPRING),
    ("de", "am 5. März 2024", SPRING),
    ("de", "05.03.2024", SPRING),
    ("es", "5 de marzo de 2024", SPRING),
    ("pl", "5 marca 2024", SPRING),
    ("ru", "5 марта 2024 г.", SPRING),
    ("zh", "2024年3月5日", SPRING),
    ("ko", "2024년 3월 5일", SPRING),
]


@pytest.mark.parametrize(("language", "text", "expected"), SAME)
def test_a_quantity_is_what_it_measures(language, text, expected):
    (found,) = quantities(text, language)
    assert (found.kind, found.value) == expected


@pytest.mark.parametrize(
    "text",
    [
        "5 in the box", "version 2.4", "10.5.2", "interval: 5m", "50 km/h", "20 m²", "FW-200",
        "45 dB", "on page 12", "12:30:15", "3.14", "2024-13-45", "31 minus 5", "",
    ],
)  # fmt: skip
def test_what_is_no_quantity_is_none(text):
    assert quantities(text, "en") == ()


def test_a_tower_of_digits_is_none():
    assert quantities("9" * 10_000 + " kg", "en") == ()


def test_an_answer_is_said_in_the_words_of_what_is_known():
    known = "Tokens expire after two weeks. The release was on 5 March 2024, of 1 GB."
    text = "On 2024-03-05; 14 days, 1024 MB and 3 days."
    assert restated(text, known, "en") == "On 5 March 2024; two weeks, 1 GB and 3 days."


@pytest.mark.parametrize(
    ("text", "known", "wrong"),
    [
        ("It is 5 s.", "It is 5 ms.", ["5 s"]),
        ("It is 5 ms or 0.005 s.", "It is 5 ms.", []),
        ("It costs $20.", "It costs €20.", ["$20"]),
        ("12 bar", "12 psi", ["12 bar"]),
        ("On 6 March 2024.", "On 5 March 2024.", ["6 March 2024"]),
        ("5 seconds", "Timeout (seconds): 5; delay: 3 seconds", []),
        ("After 30 days.", "There are 40 people.", []),
        ("5 Sekunden", "5 Minuten", ["5 Sekunden"]),
    ],
)
def test_the_same_number_of_something_else_is_another_quantity(text, known, wrong):
    assert misstated(text, known, "de" if "Minuten" in known else "en") == wrong
