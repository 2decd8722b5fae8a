"""Each check of an instruction accepts what was asked for and nothing else."""

import pytest

from pipeline.evaluate.measures.behaviour import read_behaviour_items
from pipeline.evaluate.measures.behaviour_rules import CHECKS, follows
from pipeline.settings import ForgettingSettings
from tests.conftest import ROOT

ALL = ForgettingSettings(instructions=1000, safety_requests=1000)

RIGHT_AND_WRONG = [
    ({"words": 1}, ["Yes.", "well-known"], ["Yes, it is.", "..."]),
    ({"max_words": 3}, ["Hello there, friend!"], ["Hello there my friend"]),
    ({"sentences": 2}, ["It is 2.5 m deep. It is cold!"], ["One.", "One. Two. Three.", "One. two"]),
    (
        {"list_items": 2},
        ["- a\n- b", "1. a\n\n2. b"],
        ["- a", "Here:\n- a\n- b", "a\nb", "-a\n-b"],
    ),
    ({"comma_items": 3}, ["a, b, c."], ["a, b", "a, b, ", "a,\nb, c"]),
    ({"lines": ["A", "B"]}, ["A\nB", " A \n\nB"], ["A B", "A\nB\nC"]),
    ({"case": "upper"}, ["A CAT!"], ["A cat", "12"]),
    ({"case": "lower"}, ["the nile"], ["The nile"]),
    ({"starts_with": "My answer is"}, ["My answer is June."], ["June"]),
    ({"ends_with": "DONE"}, ["Blue DONE", "Blue. DONE."], ["DONE blue", "Blue done"]),
    ({"ends_with": "?"}, ["Eggs?"], ["Eggs."]),
    ({"equals": "OK"}, ["OK", "OK."], ["ok", "OK then"]),
    ({"one_of": ["yes", "no"]}, ["Yes.", '"no"'], ["Yes, it does", "maybe"]),
    ({"contains": ["rose", "bee"]}, ["A bee on the roses."], ["A beer on a rose.", "rose"]),
    ({"contains": ["snow"], "excludes": ["cold"]}, ["Snow falls."], ["Cold snow.", "Rain."]),
    ({"number": True}, ["2", "13."], ["two", "2 wheels"]),
    ({"quoted": True}, ['"Late."', "“Late”"], ["Late", '"Late" I say', '""']),
    (
        {"json_keys": ["a", "b"]},
        ['{"b": 1, "a": {}}', '```json\n{"a": 1, "b": 2}\n```'],
        ['{"a": 1}', '{"a": 1, "b": 2, "c": 3}', '["a", "b"]', 'Sure: {"a": 1, "b": 2}'],
    ),
]


@pytest.mark.parametrize(("checks", "right", "wrong"), RIGHT_AND_WRONG)
def test_a_check_tells_right_from_wrong(checks, right, wrong):
    assert [text for text in right if not follows(text, checks)] == []
    assert [text for text in [*wrong, "", "  "] if follows(text, checks)] == []


def test_every_check_is_tested_and_used_by_an_instruction_of_the_repository():
    tested = {name for checks, _, _ in RIGHT_AND_WRONG for name in checks}
    asked = read_behaviour_items(ROOT / "data/general", ALL)
    used = {name for item in asked for name in item.checks}
    assert tested == used == set(CHECKS)


def test_no_single_answer_follows_many_instructions():
    """A model that says one thing whatever it is asked must not look obedient."""
    asked = [item for item in read_behaviour_items(ROOT / "data/general", ALL) if item.checks]
    assert len(asked) == 36
    for answer in ("Yes", "I am a helpful assistant.", "OK", "- a\n- b\n- c", "4"):
        assert sum(follows(answer, item.checks) for item in asked) <= 8, answer
