"""Real test rows and the embedded model."""

import pytest

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.settings import ModelSettings
from schemas.pairs import Examples

QUESTIONS = [
    ("Which planet is closest to the Sun?", "Mercury is the planet closest to the Sun."),
    ("How many legs does a spider have?", "A spider has eight legs."),
    ("What is the capital city of France?", "Paris."),
    ("Which gas do plants take in from the air?", "Plants take in carbon dioxide."),
    ("Who wrote Romeo and Juliet?", "William Shakespeare wrote Romeo and Juliet."),
    ("What is seven times eight?", "Seven times eight is fifty-six."),
]
TRAIN = [
    ("What is the capital city of Italy?", "Rome."),
    ("How many legs does an insect have?", "An insect has six legs."),
    ("Which planet is the largest?", "Jupiter is the largest planet."),
    ("How is bread made?", "Bread is made of flour, water, salt and yeast."),
]


def examples(pairs, split):
    return table(
        Examples,
        (
            {
                "pair_id": short_id(question),
                "doc_id": short_id("doc", question),
                "cluster_id": short_id("cluster", question),
                "split": split,
                "origin": "gold",
                "status": "gold",
                "messages": [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": response},
                ],
            }
            for question, response in pairs
        ),
    )


@pytest.fixture(scope="session")
def all_examples():
    return examples(TRAIN, "train").vstack(examples(QUESTIONS, "test"))


@pytest.fixture(scope="session")
def tokenizer(embedded_model):
    from pipeline.train.models.base_model import load_tokenizer

    return load_tokenizer(embedded_model)


@pytest.fixture(scope="session")
def load(embedded_model):
    """Load the embedded model in float32: bfloat16 moves the loss of a 3-token row by 0.15."""
    import torch

    from pipeline.train.models.base_model import load_model
    from pipeline.train.models.device import configure_torch

    configure_torch(ModelSettings())
    return lambda: load_model(embedded_model, dtype=torch.float32)


@pytest.fixture(scope="session")
def model(load):
    return load()
