import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.privacy import redact

ALL = ("EMAIL", "PHONE", "IBAN", "CARD", "KEY")
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("EMAIL", "m.delacroix@serres.example"),
        ("EMAIL", "o'neil+valves@mail.farm-shop.co.uk"),
        ("PHONE", "+44 20 7946 0958"),
        ("PHONE", "+1 (202) 555-0143"),
        ("PHONE", "+49-30-23125-471"),
        ("IBAN", "GB82 WEST 1234 5698 7654 32"),
        ("IBAN", "DE89370400440532013000"),
        ("CARD", "4111 1111 1111 1111"),
        ("CARD", "5500-0055-5555-5559"),
        ("CARD", "378282246310005"),
        ("KEY", "fwk_live_9f3c1ab27d5e480c6b12e7f0a4d89c35"),
        ("KEY", "sk-proj-Ab12Cd34Ef56Gh78Ij90"),
        ("KEY", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ("KEY", "AKIAIOSFODNN7EXAMPLE"),
        ("KEY", "xoxb-123456789012-abcdefGHIJKL"),
        ("KEY", JWT),
        ("KEY", PEM),
    ],
)
def test_personal_data_and_secrets_are_replaced(kind: str, value: str):
    text = f"Please use {value}, or write to us."
    redacted, spans = redact(text, ALL)
    assert redacted == f"Please use <{kind}_1>, or write to us."
    assert [text[span.start : span.end] for span in spans] == [value]


@pytest.mark.parametrize(
    "label",
    [
        "API key: {}",
        "api_key={}",
        '"password": "{}"',
        "The token is {}",
        "Authorization: Bearer {}",
    ],
)
def test_a_labelled_secret_is_replaced(label: str):
    text = label.format("q8Zr2LmX0pT7vWc4")
    assert redact(text, ALL)[0] == label.format("<KEY_1>")


@pytest.mark.parametrize(
    "text",
    [
        "firmware 4.2.1.0 of 192.168.10.24 and 10.0.0.1",
        "serial number 4111111111111111",  # passes Luhn, but says what it is
        "S/N 4111 1111 1111 1111",
        "counter 4111111111111112 and 1234567890123456",
        "FW200-2024-000123 of 2024-11-03 at 07:00-19:00",
        "+20 mm, +5 V, +12 345 and +1 555",
        "GB82 WEST 1234 5698 7654 33",  # checksum broken
        "the token YOUR_API_KEY_HERE and password: correct-horse-battery",
        "git@github.com:acme/valves.git and logo@2x.png and user@localhost",
        "020 7946 0958 without a country",
        "0b5f3d1c9e8a7766 is a content hash",
        "<EMAIL_1> wrote",
    ],
)
def test_versions_serials_dates_and_the_like_stay(text: str):
    assert redact(text, ALL) == (text, [])


def test_national_numbers_count_when_their_country_is_set():
    assert redact("call 020 7946 0958", ALL, "GB")[0] == "call <PHONE_1>"


def test_one_value_has_one_placeholder_however_it_is_spelt():
    text = "A@b.example, c@d.example, a@B.example; +44 20 7946 0958 = +442079460958"
    assert redact(text, ALL)[0] == "<EMAIL_1>, <EMAIL_2>, <EMAIL_1>; <PHONE_1> = <PHONE_1>"


def test_a_placeholder_of_the_text_is_not_given_again():
    assert redact("<EMAIL_1> and a@b.example", ALL)[0] == "<EMAIL_1> and <EMAIL_2>"


def test_an_iban_ends_where_its_country_says():
    assert redact("IBAN GB82 WEST 1234 5698 7654 32 or by card", ALL)[0] == (
        "IBAN <IBAN_1> or by card"
    )


def test_a_card_is_a_card_and_an_iban_an_iban_before_they_are_phone_numbers():
    text = "+4111 1111 1111 1111 GB82WEST12345698765432"
    assert "IBAN" in {span.kind for span in redact(text, ALL, "GB")[1]}
    assert redact("4111111111111111", ALL, "GB")[0] == "<CARD_1>"


def test_a_phone_number_beside_a_card_is_found_too():
    text = "+44 20 7946 0958   4111 1111 1111 1111"
    assert redact(text, ALL)[0] == "<PHONE_1>   <CARD_1>"


def test_only_the_chosen_kinds_are_replaced():
    assert redact("a@b.example +44 20 7946 0958", ("PHONE",))[0] == "a@b.example <PHONE_1>"


PIECES = st.sampled_from(
    [
        "a@b.example",
        "C@d.example",
        "+44 20 7946 0958",
        "4111 1111 1111 1111",
        " ",
        "\n",
        "é",
        "GB82 WEST 1234 5698 7654 32",
        "fwk_live_9f3c1ab27d5e480c6b12",
        "words",
        "4.2.1.0",
        "<EMAIL_3>",
    ]
)


@given(st.lists(PIECES).map(" ".join))
def test_spans_rebuild_the_text_and_a_second_pass_finds_nothing(text: str):
    redacted, spans = redact(text, ALL)
    rebuilt, at = "", 0
    for span in spans:
        assert span.start >= at
        rebuilt += text[at : span.start] + span.placeholder
        at = span.end
    assert rebuilt + text[at:] == redacted
    assert redact(redacted, ALL) == (redacted, [])
    assert not re.search(r"@\w+\.example", redacted)
