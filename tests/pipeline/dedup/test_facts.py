"""What a text names, and when two texts name the same."""

import pytest

from pipeline.dedup.specifics import facts, same_facts, same_wording
from tests.pipeline.dedup.passages import RELATED, SAME, SIBLINGS


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Open it at 2.5 bar, 10:30 or 1,250.", {"2.5", "10:30", "1,250"}),
        ("Alarm A17 of the P-20, release 4.2.1.", {"a17", "p-20", "4.2.1"}),
        ("It works at -5 °C and at 5-10 too.", {"5", "-5", "5-10", "c"}),
        ("Set retry_limit and maxSize for MQTT.", {"retry_limit", "maxsize", "mqtt"}),
        ("Call it with --force or -x, a well-known pair.", {"--force", "-x"}),
        ("Say `ls  -l` first.", {"ls -l", "-l"}),
        ("Do:\n\n```sh\nmake  all\n```\n\nand wait.", {"make all"}),
        ("The Fernwick is small. Mount it.\n\nThen press Save.", {"fernwick", "save"}),
        ("# Heading\n\n- Item\n- Other (See there)\n\n| Cell | Next |", set()),
        ("1. Open it.\n2. Close it.", set()),
        ("Wrapped by the\nFernwick line.", {"fernwick"}),
        ("", set()),
    ],
)
def test_numbers_identifiers_code_and_names_are_facts(text, named):
    assert facts(text).named == named


@pytest.mark.parametrize("pair", SAME, ids=lambda pair: pair.about)
def test_the_same_in_other_words_names_the_same_and_is_another_wording(pair):
    one, other = facts(pair.one), facts(pair.other)
    assert same_facts(one, other) and same_facts(other, one)
    assert not same_wording(one, other)


@pytest.mark.parametrize("pair", SIBLINGS, ids=lambda pair: pair.about)
def test_pages_of_one_template_are_one_wording(pair):
    assert same_wording(facts(pair.one), facts(pair.other))


@pytest.mark.parametrize("pair", RELATED, ids=lambda pair: pair.about)
def test_pages_about_neighbouring_things_are_not(pair):
    assert not same_wording(facts(pair.one), facts(pair.other))


@pytest.mark.parametrize(
    ("before", "after"),
    [("P-20", "P-35"), ("95", "85"), ("A22", "A21"), ("0.3 mm", "0.5 mm"), ("2.5 bar", "bar")],
)
def test_a_fact_that_differs_is_seen_in_other_words(before, after):
    pair = SAME[-1]
    assert before in pair.other
    changed = pair.other.replace(before, after)
    assert not same_facts(facts(pair.one), facts(changed))
    assert not same_facts(facts(changed), facts(pair.one))


def test_a_name_may_stand_in_lower_case_or_at_the_start():
    one = facts("Press the button Save to keep it.")
    assert same_facts(one, facts("Save keeps it when the button is pressed."))
    assert same_facts(one, facts("To keep it, press the save button."))
    assert not same_facts(one, facts("To keep it, press the button."))


@pytest.mark.parametrize(
    "text",
    [
        "```\n" * 50_000,
        "\n" * 10**6,
        "a" + "_" * 10**6,
        "a\n" + " " * 10**6,
        "- " * 10**6,
        "`a" * 10**6,
    ],
)
def test_no_text_takes_more_than_one_pass(text):
    """A quadratic reading of these would take hours."""
    assert facts(text).words is not None


def test_long_texts_are_compared_by_their_wording():
    one = facts(" ".join(f"word{number % 977}" for number in range(100_000)))
    other = facts(" ".join(f"word{number * 7 % 977}" for number in range(100_000)))
    assert same_wording(one, one) and not same_wording(one, other)
