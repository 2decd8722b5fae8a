from xml.etree import ElementTree

import pytest
from label_studio_sdk.label_interface.interface import LabelInterface

from annotation.decisions import ITEM_FIELDS, to_decision
from annotation.items import LABEL_CONFIG, instructions, passage, to_task
from schemas.pairs import FLAGS, VERDICTS

ITEM = dict.fromkeys(ITEM_FIELDS, "text") | {"pair_id": "0" * 16}


def form():
    return ElementTree.parse(LABEL_CONFIG).getroot()


def choices(name):
    (control,) = [found for found in form().iter("Choices") if found.get("name") == name]
    return [choice.get("value") for choice in control.iter("Choice")]


def test_the_form_offers_the_verdicts_and_the_flags():
    assert choices("verdict") == [verdict for verdict in VERDICTS if verdict != "skip"]
    assert choices("flags") == FLAGS


def test_the_form_is_one_that_label_studio_can_show():
    LabelInterface(LABEL_CONFIG.read_text("utf-8")).validate()


def test_no_two_hotkeys_are_the_same_and_nothing_is_chosen_before():
    keys = [choice.get("hotkey") for choice in form().iter("Choice")]
    assert keys == ["a", "e", "r", *"1234567"]
    assert not any(choice.get("selected") for choice in form().iter("Choice"))


def test_a_task_fills_the_form_and_holds_nothing_that_biases():
    data = to_task(ITEM, "batch")["data"]
    named = {str(tag.get("value"))[1:] for tag in form().iter() if str(tag.get("value"))[0] == "$"}
    assert data.keys() == named | {"pair_id", "batch"}


def test_the_passage_is_escaped_and_its_evidence_marked():
    shown = passage("A <b> here.\nThe pump\nholds 6 bar & more.", "The pump holds 6 bar & more.")
    assert "A &lt;b&gt; here.\n<mark" in shown
    assert ">The pump\nholds 6 bar &amp; more.</mark>" in shown
    assert "<mark" not in passage("The pump", "another sentence")
    assert passage("", "") == ""


def test_the_instructions_are_the_guidelines():
    assert "<strong>accept</strong>" in instructions()
    for number, flag in enumerate(FLAGS, start=1):  # the keys of the form
        assert f"<strong>{number}</strong> <code>{flag}</code>" in instructions()


@pytest.mark.parametrize("text", ["Better", ["Better"]])
def test_a_text_may_be_a_string_or_a_list(text):
    result = [
        {"from_name": "verdict", "value": {"choices": ["edit"]}},
        {"from_name": "edited_response", "value": {"text": text}},
    ]
    decision = to_decision({"result": result}, "0" * 16, "ann")
    assert (decision.verdict, decision.edited_response, decision.flags) == ("edit", "Better", ())


@pytest.mark.parametrize("result", [None, [], "text", [1], [{"value": 1}], [{"value": {}}]])
def test_an_annotation_of_any_shape_is_read(result):
    assert not to_decision({"result": result}, "0" * 16, "ann").is_begun


def test_a_skipped_task_is_a_skip_whatever_was_chosen():
    result = [{"from_name": "verdict", "value": {"choices": ["accept"]}}]
    decision = to_decision({"result": result, "was_cancelled": True}, "0" * 16, "ann")
    assert decision.verdict == "skip"
