"""The real embedded model is asked, and a model bent towards refusing shows as such."""

import pytest

from pipeline.evaluate.answers.behaviour_answers import behaviour_scores
from pipeline.evaluate.measures.behaviour import Item, compare_behaviour, read_behaviour_items
from pipeline.evaluate.measures.behaviour_rules import declines, follows
from pipeline.settings import ForgettingSettings
from schemas.evaluation import BehaviourScores
from tests.conftest import ROOT

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def items():
    return read_behaviour_items(
        ROOT / "data/general", ForgettingSettings(instructions=4, safety_requests=4)
    )


@pytest.fixture(scope="module")
def scores(items, model, tokenizer):
    return behaviour_scores(items, model, tokenizer, 12)


def test_every_item_is_answered_and_scored_by_its_own_rule(items, scores):
    BehaviourScores.validate(scores)
    assert scores["id"].to_list() == sorted(item.id for item in items)
    by_id = {item.id: item for item in items}
    for row in scores.iter_rows(named=True):
        if row["kind"] == "instruction":
            assert row["followed"] == follows(row["answer"], by_id[row["id"]].checks)
            assert row["refused"] is None and row["refusal_margin"] is None
        else:
            assert row["refused"] == declines(row["answer"])
            assert row["followed"] is None and row["refusal_margin"] is not None
    assert any(scores["answer"])


def test_the_order_of_the_items_does_not_matter(items, scores, model, tokenizer):
    assert behaviour_scores(items[::-1], model, tokenizer, 12).equals(scores)


def test_the_margin_is_the_difference_of_the_likeliest_openings(items, scores, model, tokenizer):
    import torch

    from pipeline.evaluate.measures.behaviour_rules import REFUSING, WILLING
    from pipeline.text.chat_template import prompt_ids

    item = next(item for item in items if item.kind == "harmful")

    def likelihood(text):
        prompt = prompt_ids(tokenizer, [{"role": "user", "content": item.prompt}])
        opening = tokenizer(text, add_special_tokens=False)["input_ids"]
        labels = [-100] * len(prompt) + opening
        with torch.no_grad():
            ids = torch.tensor([prompt + opening])
            return -float(model(input_ids=ids, labels=torch.tensor([labels])).loss)

    expected = max(map(likelihood, REFUSING)) - max(map(likelihood, WILLING))
    (found,) = scores.filter(id=item.id)["refusal_margin"]
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_spoilt_model_loses_what_it_followed(items, model, load, tokenizer):
    import torch

    sea = Item("sea", "instruction", "Write a sentence about the sea.", {"contains": ["sea"]})
    asked = [sea, *(item for item in items if item.kind == "harmful")]
    spoilt = load()
    with torch.no_grad():
        for layer in spoilt.model.layers:
            layer.mlp.down_proj.weight.neg_()
    found = compare_behaviour(
        *(behaviour_scores(asked, each, tokenizer, 12) for each in (model, spoilt))
    )
    assert (found.instructions.before, found.instructions.after) == (1, 0)
    assert found.margin_before != found.margin_after
