"""Chat completions and errors as servers write them."""

import json

import pytest

from pipeline.pairs.teachers.completion import Completion, ServerError, read, words


def completion(content, finish="stop", usage=None, **message):
    choice = {"message": {"content": content} | message, "finish_reason": finish}
    return {"choices": [choice], "usage": usage}


def test_a_natural_end_under_any_name_is_a_whole_text():
    for finish in ("stop", "STOP", "end_turn", "stop_sequence", "eos", "", None):
        assert read(completion("Yes.", finish), "").finish_reasons == ("stop",)


def test_any_other_finish_reason_is_handed_on():
    found = {
        finish: read(completion("Ye", finish), "").finish_reasons[0]
        for finish in ("length", "MAX_TOKENS", "content_filter", "model_length", "error", "abort")
    }
    assert found == {
        "length": "length", "MAX_TOKENS": "length", "content_filter": "content_filter",
        "model_length": "model_length", "error": "error", "abort": "abort",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (completion([{"type": "text", "text": "Yes."}]), "Yes."),
        (
            completion(
                [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                    {"type": "text", "text": "Yes"},
                    {"type": "text", "text": "."},
                ]
            ),
            "Yes.",
        ),
        ({"choices": [{"text": "Yes.", "finish_reason": "stop"}]}, "Yes."),
        (json.loads(json.dumps(completion("Yes.")).replace("Yes.", "Y\\u0000es.\\ud83d")), "Yes."),
        (completion(None), ""),
    ],
)
def test_content_is_read_in_each_of_its_forms(answer, text):
    assert read(answer, "").texts == (text,)


@pytest.mark.parametrize(
    ("answer", "reason", "thinks"),
    [
        (completion("", "length", reasoning_content="Hm"), "thought", True),
        (completion(None, "stop", reasoning="Hm"), "thought", True),
        (completion("", "length"), "thought", True),
        (completion("<think>Hm", "stop"), "thought", True),
        (completion("<think>Hm</think>The val", "length"), "thought", True),
        (completion("The val", "length"), "length", False),
        (
            completion("The val", "length", {"completion_tokens_details": {"reasoning_tokens": 9}}),
            "thought", True,
        ),
        (completion("Yes.", "stop", reasoning_content="Hm"), "stop", True),
        (completion("", "stop"), "stop", False),
        (completion("", "tool_calls"), "tool_calls", False),
        (completion(None, "stop", refusal="I can't."), "refusal", False),
    ],
)  # fmt: skip
def test_a_room_that_went_into_thoughts_is_told_from_a_cut_answer(answer, reason, thinks):
    found = read(answer, "")
    assert (found.finish_reasons, found.thinks) == ((reason,), thinks)


def test_a_text_ends_at_a_stop_string_that_the_server_did_not_look_at():
    found = read(
        completion("<think>\n\nHm.\n\n</think>\n\nOne.\n\nTwo.\n\nThr", "length"), "", ("\n\n",)
    )
    assert (found.texts, found.finish_reasons) == (("One.",), ("stop",))


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 7, "completion_tokens": "12"}, (7, 12)),
        ({"prompt_tokens": "n/a", "completion_tokens": None}, (0, 0)),
        ([], (0, 0)),
        (None, (0, 0)),
    ],
)
def test_malformed_usage_costs_no_text(usage, counts):
    assert read(completion("Yes.", usage=usage), "") == Completion(
        ("Yes.",), *counts, ("stop",), thinks=False
    )


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ({"error": {"message": "Slow down", "code": 429}}, 429, "Slow down"),
        ({"error": {"message": "Slow down", "code": "busy"}}, 400, "Slow down"),
        ({"error": "Unexpected endpoint"}, 400, "Unexpected endpoint"),
        ({"object": "error", "message": "Too long", "code": 400}, 400, "Too long"),
        (
            {"choices": [{"message": {"content": "H"}, "error": {"code": 502, "message": "Gone"}}]},
            502, "Gone",
        ),
    ],
)  # fmt: skip
def test_an_error_with_the_status_of_a_success_is_one(answer, status, said):
    with pytest.raises(ServerError) as caught:
        read(answer, "")
    assert (caught.value.status, str(caught.value)) == (status, said)


@pytest.mark.parametrize("answer", [{}, [], {"choices": []}, {"choices": [7]}, "text", None])
def test_anything_else_is_no_completion(answer):
    with pytest.raises(ValueError):
        read(answer, "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"detail": [{"loc": ["body", "seed"], "msg": "Not\npermitted"}]},
            "body.seed: Not permitted",
        ),
        ({"detail": "Not Found"}, "Not Found"),
        ([{"error": {"message": "Unknown name"}}], "Unknown name"),
        (
            {"error": {"message": "Provider error", "metadata": {"raw": "No such model"}}},
            "Provider error: No such model",
        ),
        ("<html><h1>404</h1>\n page not found</html>", "404 page not found"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_servers_words_are_found_and_put_on_one_line(answer, said):
    assert words(answer) == said
