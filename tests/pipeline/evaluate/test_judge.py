"""Judges behind a real HTTP server: a good one, one that likes length, one that likes A."""

import json
import re

import pytest

from pipeline.core.cache import Cache
from pipeline.core.errors import TeacherError
from pipeline.evaluate.measures.llm_judge import Asked, Comparison, Graded, grade, judge, win_rate
from pipeline.pairs.agreement import calibrate
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.settings import TeacherSettings
from tests.pipeline.pairs.endpoint_server import chat, error, serving

OPTIONS = {"seed": 1, "draws": 400, "confidence": 0.95}


def answers_of(body):
    text = body["messages"][-1]["content"]
    found = re.search(r"Answer A:\n(.*?)\n\nAnswer B:\n(.*?)\n\nWhich", text, re.S)
    return found.group(1), found.group(2)


def good(number, body):
    """Knows what is right: the answer with the word ``right`` in it."""
    a, b = ("right" in text for text in answers_of(body))
    return chat("TIE" if a == b else "A" if a else "B")


def likes_length(number, body):
    a, b = (len(text.split()) for text in answers_of(body))
    return chat("TIE" if a == b else "Answer A." if a > b else "Answer B.")


def likes_the_first(number, body):
    return chat("A")


def mumbles(number, body):
    """Knows what is right in half of the cases, and else says nothing that can be read."""
    return good(number, body) if "Question 0?" in str(body) else chat("Both have merit.")


def thinks(number, body):
    """A good judge that needs 100 tokens before its word, and takes no system role."""
    if body["messages"][0]["role"] == "system":
        return error(400, "System role not supported")
    if "You compare two answers" not in body["messages"][0]["content"]:
        return chat("What am I to do?")
    thoughts = "<think>\nAnswer A is short. " * 9
    if body["max_tokens"] < 100:
        return chat(thoughts, finish="length")
    verdict = json.loads(good(number, body).body)["choices"][0]["message"]["content"]
    return chat(f"{thoughts}\n</think>\n\n{verdict}")


def comparisons(words=lambda n: (8, 8), right=lambda n: (True, False), count=20):
    """Comparisons whose answers have given lengths, right or wrong."""

    def answer(length, correct):
        return " ".join(["right" if correct else "wrong", *["word"] * (length - 1)])

    return [
        Comparison(
            Asked(f"Question {n}?", "The reference.", "The passage."),
            answer(words(n)[0], right(n)[0]),
            answer(words(n)[1], right(n)[1]),
            cluster=f"d{n // 2}",
        )
        for n in range(count)
    ]


def ask(script, items, folder):
    with serving(script) as server:
        settings = TeacherSettings(kind="openai", model="judge", base_url=server.url)
        asked = CachingTeacher(EndpointTeacher(settings, None), Cache(folder))
        first = judge(items, asked, 8)
        sent = len(server.bodies)
        assert judge(items, asked, 8) == first
        assert len(server.bodies) == sent  # nothing is asked twice
    return first


def test_a_good_judge_is_consistent_and_finds_the_better_side(tmp_path):
    found = win_rate(ask(good, comparisons(), tmp_path), **OPTIONS)
    assert (found.comparisons, found.wins, found.ties, found.unreadable) == (20, 20, 0, 0)
    assert found.consistency == 1.0 and found.for_shown_first == 0.5
    assert found.plain == 1.0 and found.controlled.low > 0.9


def test_each_comparison_is_asked_in_both_orders(tmp_path):
    (item,) = comparisons(count=1)
    with serving(good) as server:
        settings = TeacherSettings(kind="openai", model="judge", base_url=server.url)
        judge([item], EndpointTeacher(settings, None), 8)
        shown = {answers_of(body) for body in server.bodies}
        assert all(body["temperature"] == 0 for body in server.bodies)
    assert shown == {(item.first, item.second), (item.second, item.first)}


def test_a_judge_that_likes_the_first_position_gives_ties_and_shows_its_bias(tmp_path):
    found = win_rate(ask(likes_the_first, comparisons(), tmp_path), **OPTIONS)
    assert found.ties == 20 and found.plain == 0.5
    assert found.consistency == 0.0 and found.for_shown_first == 1.0
    assert found.controlled.value == pytest.approx(0.5, abs=1e-6)


def test_replies_that_cannot_be_read_are_counted_as_ties_and_not_kept(tmp_path):
    with serving(mumbles) as server:
        settings = TeacherSettings(kind="openai", model="judge", base_url=server.url)
        asked = CachingTeacher(EndpointTeacher(settings, None), Cache(tmp_path))
        found = win_rate(judge(comparisons(count=4), asked, 8), **OPTIONS)
        assert (found.unreadable, found.ties, found.consistency) == (3, 3, 0.25)
        assert len(server.bodies) == 8
        judge(comparisons(count=4), asked, 8)
        assert len(server.bodies) == 8 + 6


def test_a_judge_of_whom_nothing_can_be_read_is_one_line(tmp_path):
    with (
        serving(lambda number, body: chat("Both have\nmerit.")) as server,
        pytest.raises(TeacherError, match=r"^judge judge@.*none of 8 replies.*'Both have merit\.'"),
    ):
        settings = TeacherSettings(kind="openai", model="judge", base_url=server.url)
        judge(comparisons(count=4), EndpointTeacher(settings, None), 8)


def test_a_judge_that_thinks_and_takes_no_system_role_is_read_all_the_same(tmp_path):
    found = win_rate(ask(thinks, comparisons(), tmp_path), **OPTIONS)
    assert (found.wins, found.unreadable, found.consistency) == (20, 0, 1.0)


def test_length_control_takes_away_what_a_judge_gives_for_length_alone(tmp_path):
    """The challenger is mostly longer, and the judge looks at nothing else."""
    differences = [-3, -2, -1, *range(1, 13)]
    items = comparisons(words=lambda n: (10 + differences[n % 15], 10), count=45)
    found = win_rate(ask(likes_length, items, tmp_path), **OPTIONS)
    assert found.plain == 0.8
    assert found.controlled.value == pytest.approx(0.5, abs=0.1)
    assert found.controlled.low < 0.5 < found.controlled.high


def test_length_control_leaves_a_gain_that_length_does_not_explain(tmp_path):
    """Longer answers, and right whatever their length: the win is not for the words."""
    items = comparisons(
        words=lambda n: (6 + n % 12, 10), right=lambda n: (n % 5 != 0, n % 5 == 0), count=40
    )
    found = win_rate(ask(good, items, tmp_path), **OPTIONS)
    assert found.plain == 0.8
    assert found.controlled.value == pytest.approx(0.8, abs=0.05)
    assert found.controlled.low > 0.5


def grades_well(number, body):
    text = body["messages"][-1]["content"].rpartition("Answer:")[2]
    return chat(
        "CORRECT" if "right" in text else "Grade: unsupported" if "made" in text else "WRONG."
    )


def likes_all(number, body):
    return chat("Correct")


def likes_the_long(number, body):
    answer = body["messages"][-1]["content"].rpartition("Answer:\n")[2]
    return chat("CORRECT" if len(answer.split()) > 4 else "WRONG")


def decisions(count=40):
    asked = [Asked(f"Q{n}?", "", f"Passage {n}.") for n in range(count // 2)]
    return [Graded(item, "It is right", True) for item in asked] + [
        Graded(item, "It is wrong, and with many more words", False) for item in asked
    ]


def graded(script, items):
    with serving(script) as server:
        settings = TeacherSettings(kind="openai", model="judge", base_url=server.url)
        return grade(items, EndpointTeacher(settings, None), 8), server.bodies


def test_an_answer_is_graded_with_passage_and_reference_in_view():
    asked = Asked("What is it?", "It is a pump.", "The pump stands below.")
    found, bodies = graded(
        grades_well, [Graded(asked, text) for text in ("right", "made up", "so wrong")]
    )
    assert found == ["correct", "unsupported", "wrong"]
    seen = [body["messages"][-1]["content"] for body in bodies]
    assert all("Passage:\nThe pump stands below." in text for text in seen)
    assert all("Reference:\nIt is a pump.\n\nAnswer:\n" in text for text in seen)
    found, bodies = graded(grades_well, [Graded(Asked("What?"), "right")])
    assert found == ["correct"] and "Passage" not in bodies[0]["messages"][-1]["content"]


def test_a_reply_that_is_no_grade_is_none_and_none_at_all_is_an_error():
    half = lambda number, body: chat("CORRECT" if "Q1?" in str(body) else "Incorrect, I fear")  # noqa: E731
    items = [Graded(Asked(f"Q{n}?"), "x") for n in range(3)]
    assert graded(half, items)[0] == [None, "correct", None]
    with pytest.raises(TeacherError, match=r"none of 3 replies can be read \(first: 'No idea'\)"):
        graded(lambda number, body: chat("No\nidea"), items)


@pytest.mark.parametrize(
    ("script", "calibrated", "kappa"),
    [(grades_well, True, 1.0), (likes_the_long, False, -1.0), (likes_all, False, 0.0)],
)
def test_only_a_judge_that_agrees_with_people_counts(script, calibrated, kappa):
    made = decisions()
    people, grades = [item.accepted for item in made], graded(script, made)[0]
    judged = [mark == "correct" for mark in grades]
    found = calibrate(people, judged, least=30, min_kappa=0.6)
    assert found.decisions == 40 and found.calibrated == calibrated
    assert found.kappa == pytest.approx(kappa)
    assert ("shown, does not gate" in found.text) != calibrated


def test_a_few_decisions_or_one_sided_ones_calibrate_nothing():
    found = calibrate([True] * 10, [True] * 10, least=30, min_kappa=0.6)
    assert not found.calibrated and found.text.startswith("not calibrated: 10 decisions of people")
    assert calibrate([True] * 40, [True] * 40, least=30, min_kappa=0.6).kappa == 0
