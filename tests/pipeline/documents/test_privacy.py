import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.clean.privacy.redact import Redacted
from pipeline.documents.clean.privacy.redact import redact as redact_by
from pipeline.settings import CleanSettings
from tests.pipeline.documents.privacy_cases import cases

ALL = ("EMAIL", "PHONE", "IBAN", "CARD", "ID", "IP", "KEY")
MIN_PRECISION = MIN_RECALL = 0.97
"""Of the values of :mod:`tests.pipeline.documents.privacy_cases`, each counted once a sentence."""


def redact(text: str, kinds=ALL, region: str = "", allow=()) -> Redacted:
    settings = CleanSettings(redact=kinds, phone_region=region, redact_allow=allow)
    return redact_by(text, settings)


def test_the_cases_are_many_and_of_all_kinds():
    marked = Counter(kind for _, values in cases() for kind, _ in values)
    assert set(marked) == set(ALL) and min(marked.values()) >= 7
    assert len(cases()) >= 240
    assert sum(not values for _, values in cases()) >= 120, "hard negatives"
    assert sum(not text.isascii() for text, _ in cases()) >= 30, "not of English alone"


@pytest.mark.parametrize("kind", ALL)
def test_precision_and_recall_of_each_kind(kind: str):
    right, wrong, missed = 0, [], []
    for text, values in cases():
        found = {text[s.start : s.end] for s in redact(text).spans if s.kind == kind}
        wanted = {value for each, value in values if each == kind}
        right += len(found & wanted)
        wrong += sorted(found - wanted)
        missed += sorted(wanted - found)
    assert right / (right + len(missed)) >= MIN_RECALL, missed
    assert right / (right + len(wrong)) >= MIN_PRECISION, wrong


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
    redacted, spans, _ = redact(text)
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
    assert redact(text).text == label.format("<KEY_1>")


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
    assert redact(text) == (text, [], 0)


def test_national_numbers_count_when_their_country_is_set():
    assert redact("call 020 7946 0958", region="GB").text == "call <PHONE_1>"


def test_one_value_has_one_placeholder_however_it_is_spelt():
    text = "A@b.example, c@d.example, a@B.example; +44 20 7946 0958 = +442079460958"
    assert redact(text).text == "<EMAIL_1>, <EMAIL_2>, <EMAIL_1>; <PHONE_1> = <PHONE_1>"


def test_a_placeholder_of_the_text_is_not_given_again():
    assert redact("<EMAIL_1> and a@b.example").text == "<EMAIL_1> and <EMAIL_2>"


def test_an_iban_ends_where_its_country_says():
    assert redact("IBAN GB82 WEST 1234 5698 7654 32 or by card").text == (
        "IBAN <IBAN_1> or by card"
    )


def test_a_card_is_a_card_and_an_iban_an_iban_before_they_are_phone_numbers():
    text = "+4111 1111 1111 1111 GB82WEST12345698765432"
    assert "IBAN" in {span.kind for span in redact(text, region="GB").spans}
    assert redact("4111111111111111", region="GB").text == "<CARD_1>"


def test_a_phone_number_beside_a_card_is_found_too():
    text = "+44 20 7946 0958   4111 1111 1111 1111"
    assert redact(text).text == "<PHONE_1>   <CARD_1>"


def test_only_the_chosen_kinds_are_replaced():
    assert redact("a@b.example +44 20 7946 0958", ("PHONE",)).text == "a@b.example <PHONE_1>"


def test_an_id_needs_its_label_its_country_and_its_checksum():
    assert redact("NHS number 943 476 5919").text == "NHS number <ID_1>"
    assert redact("it was 943 476 5919").spans == []
    assert redact("NHS number 943 476 5918").spans == []
    french = CleanSettings(id_countries=("FR",))
    assert redact_by("NHS number 943 476 5919", french).spans == []
    assert redact("The NHS number is missing. Article 943 476 5919 is not.").spans == []


def test_two_spellings_of_an_id_are_one_value():
    text = "DNI 54362315-K, DNI 54362315K, SSN 536-90-4399"
    assert redact(text).text == "DNI <ID_1>, DNI <ID_1>, SSN <ID_2>"


def test_four_numbers_are_an_address_or_a_version_by_what_stands_beside_them():
    for text in ("server 12.9.3.4", "http://12.9.3.4/x", "12.9.3.4:443", "port on 12.9.3.104"):
        assert [span.kind for span in redact(text).spans] == ["IP"], text
    for text in ("12.9.3.4", "server version 12.9.3.104", "tool-12.9.3.104", "12.9.3.104-rc1"):
        assert redact(text).spans == [], text


def test_what_is_allowed_stays_and_is_counted():
    text = "help@Fernwick.example, ana@x.example, +44 20 7946 0958, 185.220.101.47, 5.9.12.103"
    allow = ("*@fernwick.example", "+442079460958", "185.220.*")
    redacted, spans, allowed = redact(text, allow=allow)
    assert redacted == "help@Fernwick.example, <EMAIL_1>, +44 20 7946 0958, 185.220.101.47, <IP_1>"
    assert (len(spans), allowed) == (2, 3)


def test_an_allowed_value_is_not_taken_for_another_kind():
    text = "postgres://bob:s3cr3tPw99x@db.fernwick.example"
    assert redact(text, allow=("s3cr3t*",)) == (text, [], 1)


VALUES = (
    "a@b.example",
    "C@d.example",
    "+44 20 7946 0958",
    "4111 1111 1111 1111",
    "GB82 WEST 1234 5698 7654 32",
    "fwk_live_9f3c1ab27d5e480c6b12",
    "131052-308T",
    "SSN: 536-90-4399",
    "http://185.220.101.47/",
    "2a00:1450:4001:82b::200e",
    "password: hX7!kd92Lm_3",
    "amqp://x:Zx81spectrum@queue",
)
PIECES = st.sampled_from(
    [
        *VALUES,
        *("\n", "é", "words", "4.2.1.0", "<EMAIL_3>", "<KEY_1>", "<", ">", "|", "1", "a", "@"),
        *(":", "token", "密码", "SSN", "-", ".", "+"),
    ]
)


@given(st.lists(PIECES), st.sampled_from(["", " ", ", "]))
def test_spans_rebuild_the_text_and_a_second_pass_finds_nothing(pieces: list[str], between: str):
    text = between.join(pieces)
    redacted, spans, allowed = redact(text)
    rebuilt, at = "", 0
    for span in spans:
        assert span.start >= at
        rebuilt += text[at : span.start] + span.placeholder
        at = span.end
    assert rebuilt + text[at:] == redacted
    assert allowed == 0
    assert redact(redacted) == (redacted, [], 0)
    assert not re.search(r"\b[aC]@\w\.example\b", redacted)
    values: dict[str, set[str]] = {}
    for span in spans:
        value = re.sub(r"[^a-z0-9@+]", "", text[span.start : span.end].lower())
        values.setdefault(span.placeholder, set()).add(value)
    assert all(len(spellings) == 1 for spellings in values.values())
    assert len({tuple(spellings) for spellings in values.values()}) == len(values)


@given(st.lists(st.sampled_from(VALUES), min_size=1, max_size=6))
def test_no_value_is_left(values: list[str]):
    redacted = redact(" ; ".join(values)).text
    for value in values:
        number = re.sub(r"^(?:SSN|password): |^\w+://(?:x:)?", "", value)
        assert number.partition("@queue")[0].rstrip("/") not in redacted


@given(st.text(alphabet="0123456789.:-/ +@abcdefABCDEF<>_|=\n", max_size=200))
def test_noise_is_redacted_once(text: str):
    redacted = redact(text).text
    assert redact(redacted) == (redacted, [], 0)
