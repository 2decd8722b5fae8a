"""Patterns read hostile texts once: reading these again from each place would take hours."""

import pytest

from pipeline.dedup.specifics import facts
from pipeline.documents.clean.privacy.keys import find_keys
from pipeline.documents.clean.web.line import BREAK, _link
from pipeline.documents.lineage import locate
from pipeline.evaluate.answers.prompts import split_thoughts
from pipeline.pairs.answer_text import tidy
from pipeline.text.terms import terms
from pipeline.text.words import words

MANY = 10**6


def place_in(text):
    raw = {"text": f"{text} close the valve", "format": "html", "source": "a.html"}
    return locate(raw, "close the valve")


@pytest.mark.parametrize(
    ("function", "text", "expected"),
    [
        (words, "0" * MANY, ["0" * MANY]),
        (words, "1." * MANY, [("1." * MANY)[:-1]]),
        (terms, "1," * MANY + "5kg", [("1," * MANY) + "5", "kg"]),
        (lambda text: facts(text).named, "a" * MANY, frozenset()),
        (lambda text: list(find_keys(text)), "eyJ" * (MANY // 5), []),
        (tidy, f"a{' ' * MANY}b", "a b"),
        (tidy, "a" + " <|im_end|>" * 2000 + "b", "a" + " <|im_end|>" * 2000 + "b"),
        (lambda text: _link(text, "http://a"), f"a{BREAK}" + " " * MANY + "b", "[a b](http://a)"),
        (place_in, "<!--" * (MANY // 4), None),
        (split_thoughts, "\n" * MANY + "b", ("", "\n" * MANY + "b")),
        (place_in, "<script " * (MANY // 8), None),
    ],
)
def test_no_text_takes_more_than_one_pass(function, text, expected):
    assert function(text) == expected
