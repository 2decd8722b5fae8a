"""A larger model behind a real HTTP server is an arm like the others, without likelihoods."""

import polars as pl
import pytest

from pipeline.core.cache import short_id
from pipeline.core.errors import TeacherError
from pipeline.evaluate.answers.prompts import Material, Passage
from pipeline.evaluate.gate.advice import advise
from pipeline.evaluate.stages import larger_answers
from pipeline.evaluate.summary import summarise
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.settings import TeacherSettings
from tests.pipeline.evaluate.conftest import QUESTIONS, examples
from tests.pipeline.evaluate.test_advice import costs_of
from tests.pipeline.evaluate.test_evaluate import SETTINGS, answers
from tests.pipeline.pairs.endpoint_server import chat, error, serving

ASKED = examples(QUESTIONS, "test")
KNOWN = dict(QUESTIONS)


def arm(name, correct):
    rows = answers(name, 2.0, rows=len(QUESTIONS), documents=6, correct=correct)
    return rows.with_columns(pair_id=ASKED.sort("pair_id")["pair_id"])


def ask(script, passages=None):
    with serving(script) as server:
        settings = TeacherSettings(
            kind="openai", model="big", base_url=server.url, max_retries=0, strength="strong"
        )
        material = Material({}, passages)
        teacher = EndpointTeacher(settings, None)
        evaluate = SETTINGS.model_copy(update={"max_new_tokens": 40})
        base = arm("base", 0.2)
        return larger_answers(ASKED, base, teacher, evaluate, material), server.bodies


def knows(number, body):
    question = body["messages"][-1]["content"].rpartition("answer: ")[2]
    return chat(KNOWN.get(question, KNOWN.get(body["messages"][-1]["content"], "?")))


def test_it_is_scored_like_the_others_and_may_be_advised():
    found, bodies = ask(knows)
    rows = found.kept
    assert rows["correct"].min() == 1.0 and rows["loss"].null_count() == rows.height
    assert rows["response_tokens"].equals(arm("base", 0.2)["response_tokens"])
    assert all(body["temperature"] == 0 and body["max_tokens"] == 40 for body in bodies)
    assert found.tables["timings"][1]["rows"].to_list() == [6]
    both = pl.concat([arm("base", 0.2), arm("challenger", 0.5), rows])
    evaluation = summarise(both, SETTINGS)
    assert evaluation.best == "larger" and "larger" not in evaluation.calibration
    assert evaluation.gains["larger"].value == pytest.approx(-0.5)
    advice = advise(evaluation, costs_of(both))
    assert advice.choice == "larger model" and advice.text.startswith("use a larger model: ")


def test_it_gets_the_passages_that_retrieval_found():
    passages = {short_id(question): Passage("Of planets.", ("c",), ("d",)) for question in KNOWN}
    found, bodies = ask(knows, passages)
    assert all("Of planets." in body["messages"][-1]["content"] for body in bodies)
    assert found.kept["correct"].min() == 1.0 and set(found.kept["retrieved"]) == {"c"}


def test_a_question_without_an_answer_is_an_error_in_one_line():
    def fails(number, body):
        return error(500, "broken") if "spider" in str(body) else knows(number, body)

    with pytest.raises(TeacherError, match=r"1 of 6 questions got no answer .*run again"):
        ask(fails)
