import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pairs.weak_english.questions import check, new_share, parse


@pytest.mark.parametrize(
    ("reply", "question"),
    [
        ("What does alarm A17 mean?", "What does alarm A17 mean?"),
        ("  how long does it take? And what then", "How long does it take?"),
        ('Question: "What does alarm A17 mean?"', "What does alarm A17 mean?"),
        ("1. **What does alarm A17 mean?**", "What does alarm A17 mean?"),
        ("What does alarm A17 mean?\nAnswer: no", "What does alarm A17 mean?"),
        ("(2) What does alarm A17 mean?<end_of_turn>", "What does alarm A17 mean?"),
        ("> - What does\x00 alarm A17 mean?", "What does alarm A17 mean?"),
        ("滤网多久更换一次\uff1f 滤网", "滤网多久更换一次\uff1f"),
        ("フィルターは何で洗いますか。", "フィルターは何で洗いますか。"),
        ("ماذا يعني المصباح الأصفر؟", "ماذا يعني المصباح الأصفر؟"),
        ("¿Cuál es el precio de la cuota de la piscina?",) * 2,
        ("2.5 bar is the limit of which pump?", "2.5 bar is the limit of which pump?"),
    ],
)
def test_one_line_with_a_question_mark_is_a_question(reply, question):
    assert parse(reply).question == question


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "unparsable"),
        ("The alarm A17 means that a sensor is lost.", "unparsable"),
        ("What now?", "question_length"),
        (f"What {'really ' * 40} happens?", "question_length"),
        ("What does the text say about alarm A17?", "mentions_the_text"),
        ("Which is the correct answer about the FW-200?", "mentions_the_text"),
        ("What is the product of the product in the product?", "repeats_itself"),
    ],
)
def test_anything_else_is_rejected_by_name(reply, reason):
    assert parse(reply) == ("", reason, *parse(reply)[2:])


FACT = "The FW-200 closes the CO2 valve when the concentration exceeds 2,000 ppm."


def test_a_question_may_use_the_words_of_fact_and_topic():
    question = "When does the FW-200 close the CO2 valve?"
    assert check(question, FACT, "CO2 sensor").question == question


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("Does the FW-200 close the CO2 valve when the concentration exceeds 2,000 ppm?",
         "answer_in_question"),
        ("When does the FW-200 close the valve in Amazon?", "question_not_grounded"),
        ("When does the FW-200 close 3 CO2 valves?", "question_not_grounded"),
        ("How do planets avoid emissions from power plants?", "question_not_grounded"),
    ],
)  # fmt: skip
def test_a_question_may_not_give_the_answer_away_or_invent(question, reason):
    assert check(question, FACT, "CO2 sensor").reason == reason


def test_what_an_answer_adds_is_counted_in_its_own_words():
    assert new_share("What is it?", FACT) == 1.0
    assert new_share(FACT, FACT) == 0.0


@given(st.text(max_size=200))
def test_any_reply_is_read_without_an_error(reply):
    parsed = parse(reply)
    assert bool(parsed.question) != bool(parsed.reason)
    assert "\n" not in parsed.question
