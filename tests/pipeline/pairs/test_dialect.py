"""Error bodies as servers write them, and what is left out of a request because of each."""

import pytest

from pipeline.pairs.teachers.dialect import refused_fields, suited

BODY = {
    "model": "m", "max_tokens": 20, "temperature": 0.7, "top_p": 0.9, "seed": 1, "n": 3,
    "stop": ["\n"],
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}],
}  # fmt: skip


def openai(message, param=None, code=None):
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def pydantic(*place):
    return {"detail": [{"type": "extra_forbidden", "loc": [*place], "msg": "Not permitted"}]}


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (
            openai(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.", "max_tokens", "unsupported_parameter",
            ), {"max_tokens"},
        ),
        (
            openai(
                "Unsupported value: 'temperature' does not support 0.7 with this model. Only the "
                "default (1) value is supported.", "temperature", "unsupported_value",
            ), {"temperature"},
        ),
        (openai("invalid temperature: only 1 is allowed for this model"), {"temperature"}),
        (openai("`temperature` is deprecated for this model."), {"temperature"}),
        (openai("`temperature` and `top_p` cannot both be specified for this model."), {"top_p"}),
        (pydantic("body", "seed"), {"seed"}),
        ({"object": "error", "message": pydantic("body", "seed")}, {"seed"}),
        ([{"error": {"message": 'Unknown name "seed": Cannot find field.'}}], {"seed"}),
        (openai("property 'n' is unsupported"), {"n"}),
        ("Argument not supported on this model: stop", {"stop"}),
        (openai("Unsupported parameters: seed, top_p"), {"seed", "top_p"}),
        ({"object": "error", "message": "System role not supported", "code": 400}, {"system"}),
        (
            openai(
                "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
                "messages[0].role", "unsupported_value",
            ), {"system"},
        ),
        (openai("Conversation roles must alternate user/assistant/user/assistant/..."), {"system"}),
        (openai("Developer instruction is not enabled for models/gemma-3-27b-it"), {"system"}),
        (openai("Unsupported parameter: 'logprobs' is not supported.", "logprobs"), set()),
        (openai("This model's maximum context length is 512 tokens; 700 were requested"), set()),
        (
            openai(
                "'max_tokens' or 'max_completion_tokens' is too large: 2176. This model's maximum "
                "context length is 512 tokens.", "max_tokens",
            ), set(),
        ),
        (openai("The model `m` does not exist", code="model_not_found"), set()),
        ("<html>Bad request</html>", set()),
        (None, set()),
    ],
)  # fmt: skip
def test_what_an_error_complains_of_is_named(answer, fields):
    assert refused_fields(answer, BODY) == fields


def test_a_field_that_was_not_sent_is_never_named():
    answer = openai("Unsupported parameter: 'seed'", "seed")
    assert refused_fields(answer, {"messages": BODY["messages"][1:], "top_p": 1}) == set()
    assert refused_fields(openai("System role not supported"), {"messages": []}) == set()


def test_refused_fields_are_left_out_and_the_room_is_renamed():
    sent = suited(BODY, {"max_tokens", "temperature", "n"})
    assert sent.keys() == {"model", "max_completion_tokens", "top_p", "seed", "stop", "messages"}
    assert sent["max_completion_tokens"] == 20
    neither = suited(BODY, {"max_tokens", "max_completion_tokens"})
    assert not neither.keys() & {"max_tokens", "max_completion_tokens"}
    assert suited(BODY, set()) == BODY


def test_what_the_system_says_is_put_before_the_first_question():
    sent = suited(BODY, {"system"})
    assert sent["messages"] == [{"role": "user", "content": "Be brief.\n\nHi?"}]
    assert BODY["messages"][1]["content"] == "Hi?"
