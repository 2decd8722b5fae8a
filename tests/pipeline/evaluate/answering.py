"""Answers of an arm with nothing but examples in the prompt."""

from pipeline.evaluate.answers.answers import answer_timed
from pipeline.evaluate.answers.prompts import Material


def answer(arm, examples, model, tokenizer, settings, shots=None):
    material = Material(shots=shots or {})
    return answer_timed(arm, examples, model, tokenizer, settings, material).kept
