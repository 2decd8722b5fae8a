"""Thoughts in a reply, as servers without a parser for them leave them."""

import pytest

from pipeline.pairs.teachers.thinking import said

ANSWER = "The valve opens at 6 bar."


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>\nLet me see.\n</think>\n\n{ANSWER}",
        f"<thinking>Let me see.</thinking>{ANSWER}",
        f"Let me see.\n</think>\n\n{ANSWER}",
        f"Let me see. </think> {ANSWER}",
        f"<think>One.</think>\n<think>Two.</think>\n{ANSWER}",
        f"<think>One.</think>\n</think>\n{ANSWER}",
        f"<think>It says `</think>` ends thoughts.\n</think>\n{ANSWER}",
        f"<seed:think>Let me see.</seed:think>{ANSWER}",
        f"[THINK]Let me see.[/THINK]{ANSWER}",
        f"◁think▷Let me see.◁/think▷{ANSWER}",
        f"<|channel>thought\nLet me see.\n<channel|>{ANSWER}",
        f"<|im_start|>assistant\n<think>\nLet me see.\n</think>\n{ANSWER}",
        f"<think>Let me see.</think>\n<answer>\n{ANSWER}\n</answer>",
        f"<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
        f"<|begin_of_thought|>Hm.<|end_of_thought|>{ANSWER}",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>"
        f"{ANSWER}<|return|>",
        f"analysisLet me see.assistantfinal{ANSWER}",
    ],
)
def test_what_stands_before_the_answer_is_taken_out(reply):
    assert said(reply) == (ANSWER, True)


@pytest.mark.parametrize(
    "reply",
    [
        "<think>\nLet me see",
        "[THINK]Let me",
        "<|channel|>analysis<|message|>The text",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant",
        "analysisWe need to answer",
    ],
)
def test_thoughts_that_never_end_hold_no_answer(reply):
    assert said(reply) == ("", True)


def test_an_empty_block_goes_and_is_no_thought():
    assert said(f"<think>\n\n</think>\n\n{ANSWER}") == (ANSWER, False)
    assert said(f"<|channel|>final<|message|>{ANSWER}") == (ANSWER, False)


@pytest.mark.parametrize(
    "reply",
    [
        ANSWER,
        "  a continuation keeps its space",
        "The tag `<think>` opens thoughts and `</think>` closes them.",
        "`<think>` opens thoughts; `</think>` closes them.",
        "Put the thoughts between <think> and </think>.",
        "Split there:\n```python\nanswer = text.split('</think>')[-1]\n```",
        "[Thinking](think.md) describes it.",
        "analysisResult = 3",
        "<answer>42</answer> is what the parser wants.",
        "",
    ],
)
def test_an_answer_that_speaks_of_such_tags_stays_as_it_is(reply):
    assert said(reply) == (reply, False)


def test_tags_that_the_question_speaks_of_count_only_where_they_end_a_line():
    asked = "What do <think> and </think> do?"
    for reply in ("<think> and </think> enclose thoughts.", "The tag </think> ends them."):
        assert said(reply, asked).text == reply
        assert said(f"<think>\nThe tags.\n</think>\n\n{reply}", asked).text == reply
        assert said(f"The tags.\n</think>\n\n{reply}", asked).text == reply
