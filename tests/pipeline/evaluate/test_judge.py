"""Judges behind a real HTTP server: a good one, one that likes length, one that likes A."""

import json
import re

import pytest

from pipeline.core.cache import Cache
from pipeline.core.errors import TeacherError
from pipeline.evaluate.measures.calibration import calibrate, preferences
from pipeline.evaluate.measures.llm_judge import Answer, Comparison, judge, win_rate
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.settings import TeacherSettings
from tests.pipeline.pairs.endpoint_server import chat, error, serving

OPTIONS = {"seed": 1, "draws": 400, "confidence": 0.95}


def answers_of(body):
    text = body["messages"][-1]["content"]
    found = re.search(
        r"Answer A:\n(.*?)\n\n(?:Question B:.*?)?Answer B:\n(.*?)\n\nWhich", text, re.S
    )
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
    if "You compare two answers." not in body["messages"][0]["content"]:
        return chat("What am I to do?")
    thoughts = "<think>\nAnswer A is short. " * 9
    if body["max_tokens"] < 100:
        return chat(thoughts, finish="length")
    verdict = json.loads(good(number, body).body)["choices"][0]["message"]["content"]
    return chat(f"{thoughts}\n</think>\n\n{verdict}")


def comparisons(words=lambda n: (8, 8), right=lambda n: (True, False), count=20):
    """Comparisons whose answers have given lengths, right or wrong."""

    def answer(number, length, correct):
        mark = "right" if correct else "wrong"
        return Answer(f"Question {number}?", " ".join([mark, *["word"] * (length - 1)]))

    return [
        Comparison(
            f"c{n}",
            answer(n, words(n)[0], right(n)[0]),
            answer(n, words(n)[1], right(n)[1]),
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
    assert shown == {(item.first.text, item.second.text), (item.second.text, item.first.text)}


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


def decisions(count=40):
    edited = [
        (Answer(f"Q{n}?", f"right {n}"), Answer(f"Q{n}?", f"wrong {n} with more words"))
        for n in range(count // 2)
    ]
    accepted = [Answer(f"A{n}?", f"right a {n}") for n in range(count // 2)]
    rejected = [Answer(f"R{n}?", f"wrong r {n} and longer") for n in range(count // 2)]
    return preferences(edited, accepted, rejected, 1000)


@pytest.mark.parametrize(
    ("script", "calibrated", "kappa"),
    [(good, True, 1.0), (likes_length, False, -1.0), (likes_the_first, False, 0.0)],
)
def test_only_a_judge_that_agrees_with_people_counts(script, calibrated, kappa, tmp_path):
    made = decisions()
    judgements = ask(script, [item for item, _ in made], tmp_path)
    found = calibrate([winner for _, winner in made], judgements, least=30, min_kappa=0.6)
    assert found.decisions == 40 and found.calibrated == calibrated
    assert found.kappa == pytest.approx(kappa, abs=0.15)
    assert ("shown, does not gate" in found.text) != calibrated


def test_a_few_decisions_calibrate_nothing(tmp_path):
    made = decisions(10)
    judgements = ask(good, [item for item, _ in made], tmp_path)
    found = calibrate([winner for _, winner in made], judgements, least=30, min_kappa=0.6)
    assert not found.calibrated and found.text.startswith("not calibrated: 10 decisions of people")


def test_which_answer_is_first_is_balanced_and_does_not_depend_on_the_order():
    made = decisions(100)
    firsts = sum(winner == "first" for _, winner in made)
    assert 35 <= firsts <= 65
    edited = [(Answer("Q?", f"new {n}"), Answer("Q?", f"old {n}")) for n in range(9)]
    assert preferences(edited, [], [], 5) == preferences(edited[::-1], [], [], 5)
