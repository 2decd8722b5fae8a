"""The general set and the comparison of two models on it."""

import json

import pytest

from pipeline.core.errors import InputError
from pipeline.core.outcome import table
from pipeline.core.record import as_json
from pipeline.evaluate.retention.forgetting import compare, read_general_set
from pipeline.settings import EvaluateSettings
from schemas.evaluation import GeneralScores
from tests.conftest import ROOT

SETTINGS = EvaluateSettings(bootstrap_draws=500)


def scores(rise=0.0, right=(1.0, 1.0, 0.0)):
    texts = [
        {
            "id": f"t{number}",
            "kind": "text",
            "tokens": 50 + 10 * number,
            "loss": 3 + number / 10 + rise,
            "correct": None,
        }
        for number in range(8)
    ]
    questions = [
        {"id": f"q{number}", "kind": "question", "tokens": 9, "loss": 1.0, "correct": correct}
        for number, correct in enumerate(right)
    ]
    return table(GeneralScores, texts + questions)


def test_the_rise_is_challenger_minus_base_and_the_interval_is_paired_by_text():
    found = compare(scores(), scores(rise=0.25, right=(1.0, 0.0, 0.0)), SETTINGS)
    assert (found.texts, found.questions) == (8, 3)
    # Texts differ by 0.7 nats, the rise is the same in each: the paired interval is a point.
    rise = found.rise
    assert (rise.value, rise.low, rise.high) == pytest.approx((0.25, 0.25, 0.25))
    assert found.loss_base.high - found.loss_base.low > 0.1
    assert found.accuracy_base.value == pytest.approx(2 / 3)
    assert found.accuracy_change.value == pytest.approx(-1 / 3)
    plain = as_json(found)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_the_mean_loss_weighs_texts_by_their_tokens():
    tokens = [50 + 10 * number for number in range(8)]
    expected = sum(n * (3 + i / 10) for i, n in enumerate(tokens)) / sum(tokens)
    assert compare(scores(), scores(), SETTINGS).loss_base.value == pytest.approx(expected)


def test_the_order_of_the_rows_does_not_matter():
    base, challenger = scores(), scores(rise=0.1)
    shuffled = challenger.sample(fraction=1, shuffle=True, seed=3)
    assert compare(base, shuffled, SETTINGS) == compare(base, challenger, SETTINGS)


def test_without_questions_only_the_loss_is_compared():
    found = compare(scores(right=()), scores(right=()), SETTINGS)
    assert found.questions == 0 and found.accuracy_change is None


def test_models_measured_on_other_items_are_refused():
    with pytest.raises(InputError, match="not the same"):
        compare(scores(), scores(right=(1.0,)), SETTINGS)
    with pytest.raises(InputError, match="no texts"):
        compare(scores()[8:], scores()[8:], SETTINGS)


def test_the_general_set_of_the_repository_is_complete_and_its_answers_are_spread():
    general = read_general_set(ROOT / "data/general")
    assert len(general.texts) == 40 and len(general.questions) == 40
    # A model that always takes the first choice must not look knowing.
    first = sum(item.answer == 0 for item in general.questions)
    assert first <= 16


@pytest.mark.parametrize(
    ("texts", "questions", "message"),
    [
        ("", "", "no texts found"),
        ('{"id": "a", "text": 5}', "", "row 1: field 'text' is 5; expected str"),
        ('{"id": "a", "text": "x y"}\n{"id": "a", "text": "z"}', "", "id 'a' found twice"),
        (
            '{"id": "a", "text": "x y"}',
            '{"id": "q", "question": "Why?", "choices": ["b", "c"], "answer": 2}',
            "q: 2 choices and answer 2 found",
        ),
        (
            '{"id": "a", "text": "x y"}',
            '{"id": "q", "question": "Why?", "choices": ["b", "c"], "answer": true}',
            "field 'answer' is True; expected int",
        ),
    ],
)
def test_a_general_set_with_a_fault_is_refused_by_line(tmp_path, texts, questions, message):
    (tmp_path / "texts.jsonl").write_text(texts, "utf-8")
    (tmp_path / "questions.jsonl").write_text(questions, "utf-8")
    with pytest.raises(InputError, match=message):
        read_general_set(tmp_path)
