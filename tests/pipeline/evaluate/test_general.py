"""Loss and knowledge of the real embedded model on general items."""

import pytest

from pipeline.evaluate.retention.forgetting import GeneralSet, Question, compare, read_general_set
from pipeline.settings import EvaluateSettings
from schemas.evaluation import GeneralScores
from tests.conftest import ROOT

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def general():
    whole = read_general_set(ROOT / "data/general")
    return GeneralSet(dict(list(whole.texts.items())[:6]), whole.questions[:12])


@pytest.fixture(scope="module")
def scores(general, model, tokenizer):
    from pipeline.evaluate.retention.general import general_scores

    return general_scores(general, model, tokenizer)


def test_every_item_has_a_valid_score(general, scores):
    GeneralScores.validate(scores)
    assert scores["id"].to_list() == sorted([*general.texts, *(q.id for q in general.questions)])


def test_the_loss_of_a_text_is_the_one_that_the_model_itself_reports(general, model, tokenizer):
    import torch

    from pipeline.evaluate.retention.general import general_loss

    texts = [*general.texts.values(), "word", ""]
    found = general_loss(texts, model, tokenizer)
    assert found[-2:] == [(0.0, 0), (0.0, 0)]  # nothing to predict
    for text, (loss, tokens) in zip(texts[:-2], found, strict=False):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            expected = float(model(input_ids=ids, labels=ids).loss)
        assert tokens == ids.shape[1] - 1
        assert loss == pytest.approx(expected, abs=1e-3)


def test_long_texts_are_cut(general, model, tokenizer):
    from pipeline.evaluate.retention.general import general_loss

    assert general_loss([next(iter(general.texts.values()))], model, tokenizer, 10)[0][1] == 9


def test_general_loss_does_not_depend_on_the_order_of_the_texts(general, model, tokenizer):
    from pipeline.evaluate.retention.general import general_loss

    texts = list(general.texts.values())
    assert general_loss(texts[::-1], model, tokenizer)[::-1] == general_loss(
        texts, model, tokenizer
    )


def test_the_base_model_knows_more_than_chance_and_the_order_does_not_matter(
    general, model, tokenizer
):
    from pipeline.evaluate.retention.general import general_accuracy

    found = general_accuracy(general.questions, model, tokenizer)
    assert sum(right for right, _, _ in found) >= 7  # of 12; chance gives 3
    backwards = general_accuracy(general.questions[::-1], model, tokenizer)
    assert backwards[::-1] == found


def test_questions_may_have_different_numbers_of_choices(general, model, tokenizer):
    from pipeline.evaluate.retention.general import general_accuracy

    two = Question("two", "What is the capital city of France?", ("Paris", "Toronto"), 0)
    found = general_accuracy([two, *general.questions[:2]], model, tokenizer)
    assert found[0][0] == 1.0 and found[0][2] < found[1][2]


def test_a_spoilt_model_shows_as_forgetting(general, scores, load, tokenizer):
    import torch

    from pipeline.evaluate.retention.general import general_scores

    spoilt = load()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        weight = spoilt.model.layers[3].mlp.down_proj.weight
        noise = torch.randn(weight.shape, generator=generator) * 2 * weight.std()
        weight += noise
    found = compare(
        scores,
        general_scores(general, spoilt, tokenizer),
        EvaluateSettings(bootstrap_draws=500),
    )
    assert found.rise.low > 0.05
