import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pairs.answer_text import CONTROL_TOKEN, tidy

STEPS = """To set the pump:

1. Open the valve.
   - Wait for 5 s.
2. Run the command:

```sh
set pump 6


  --slow   # two spaces
```

| Zone | Bar |
| ---- | --- |
| 1    | 6   |"""


def test_steps_lists_code_and_tables_keep_their_lines_and_indentation():
    assert tidy(STEPS) == STEPS.replace("1    |", "1 |").replace("6   |", "6 |")
    assert tidy("```python\nif hot:\n    open()\n```") == "```python\nif hot:\n    open()\n```"
    assert tidy("  1. Open it.\n     - slowly\n  2. Wait.") == "1. Open it.\n   - slowly\n2. Wait."


def test_outside_code_trailing_spaces_and_blank_lines_are_tidied():
    assert tidy(" \n The valve opens.  \n\n\n\nIt closes.\r\n") == "The valve opens.\n\nIt closes."
    assert tidy("One.\u2028Two.\x0bThree.") == "One.\nTwo.\nThree."


@pytest.mark.parametrize(
    "token",
    [
        "<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|END_OF_TURN_TOKEN|>", "<|im:end|>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>", "<end_of_turn>", "<turn|>", "</s>", "<eos>",
        "[/INST]", "[|endofturn|]", "<seed:eos>", "[EOS]", "<pad><pad>", "<0x0A>",
        "<|im_end|>\n<|im_start|>assistant\n", "<end_of_turn>\n<start_of_turn>user",
    ],
)  # fmt: skip
def test_control_tokens_of_any_family_go_at_the_ends_and_stay_in_the_middle(token):
    assert tidy(f"The valve opens.{token}") == "The valve opens."
    assert tidy(f"The valve opens. {token}\n") == "The valve opens."
    assert tidy(f"{token}\nThe valve opens.") == "The valve opens."
    assert CONTROL_TOKEN.search(tidy(f"The valve {token} opens."))


@pytest.mark.parametrize(
    "text",
    ["Press <Enter> or <F1>.", "Use `a < b` and `b > c`.", "Set [Reset] to 1.", "x <| f |> y",
     "Run `tool <file|folder>`.", "The <b>valve</b> opens.", "See [1].", "<https://a.example/s>"],
)  # fmt: skip
def test_other_brackets_are_no_control_tokens(text):
    assert CONTROL_TOKEN.search(text) is None
    assert tidy(text) == text


@pytest.mark.parametrize("thought", ["<think></think>", "<think>\n\n</think>\n\n", "</think>\n"])
def test_empty_thoughts_are_taken_off(thought):
    assert tidy(f"{thought}The valve opens.") == "The valve opens."


@pytest.mark.parametrize("label", ["", "text", "Markdown", "md"])
def test_a_fence_around_a_whole_answer_comes_off(label):
    assert tidy(f"```{label}\nThe valve\n\n- opens\n```\n") == "The valve\n\n- opens"
    assert tidy(f"~~~{label}\nIt opens.\n~~~<|im_end|>") == "It opens."
    assert tidy(f"```{label}\nIt opens.") == "It opens."
    inner = "Run:\n```sh\nset pump 6\n```\nWait."
    assert tidy(f"```{label}\n{inner}\n```") == inner
    assert tidy("It opens.\n```") == "It opens."


@pytest.mark.parametrize(
    "text",
    [
        "```python\nset(6)\n```",
        "```\nset 6\n```\nThen:\n```\nset 7\n```",
        'Run:\n```json\n{"answer": "yes"}\n```',
        '```json\n{"pump": "on"}\n```',
        '{"pump": 6}',
    ],
)
def test_code_stays_code(text):
    assert tidy(text) == text


def test_json_around_one_answer_comes_off():
    assert tidy('```json\n{"answer": "It\\nopens."}\n```') == "It\nopens."
    assert tidy('{"Answer": "It opens."}') == "It opens."


@pytest.mark.parametrize(
    "preface",
    ["Here is the answer based on the text:\n\n", "**Answer:** ", "Answer: ", "Final answer:\n",
     "Sure! Here are the steps:\n", "Here's the answer:\n```\n"],
)  # fmt: skip
def test_a_preface_is_taken_off_and_a_lead_in_of_the_answer_stays(preface):
    assert tidy(f"{preface}1. Open it.\n   - slowly\n2. Wait.") == (
        "1. Open it.\n   - slowly\n2. Wait."
    )
    for text in ("To open it:\n\n1. Turn it.", "The answer: 6 bar.", "Here is the valve: on top."):
        assert tidy(text) == text


def test_control_characters_are_taken_off_inside_code_too():
    assert tidy("The \x00valve \x1b[31mopens\x1b[0m.\ufeff") == "The valve opens."
    assert tidy("```sh\nset\x00 6\x7f\n```") == "```sh\nset 6\n```"


@given(st.text(alphabet=st.sampled_from('ab.\n `~|-1<>s/\t\x00\x1b{}"'), max_size=60))
def test_any_reply_is_tidied_without_an_error_and_holds_no_control_character(reply):
    assert not set(tidy(reply)) - set('ab.\n `~|-1<>s/\t{}"[m')
