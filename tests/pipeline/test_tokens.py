import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    trainers,
)

from pipeline.text.tokens import TokenCounter, part_counter

LINES = [
    "Open the valve when the soil is dry, and close it again.",
    "- `pump --rate 25` sets 25 litres",
    "| a | b |",
    "  indented: it's 3 o'clock",
    "für die Größe ² Ⅷ",
    "土が乾くと",
    "a<filename>b <|end|> c",
    "\U0001f600 x\t\ty",
    "",
]


def trained(kind: str) -> Tokenizer:
    """Return a small tokenizer that is really trained."""
    if kind == "byte level":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    elif kind == "other cuts":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:  # as SentencePiece: a space belongs to the next word, a line end to none
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        alphabet = []
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=alphabet,
        special_tokens=[AddedToken("<unk>"), AddedToken("<filename>"), AddedToken("<|end|>")],
        show_progress=False,
    )
    tokenizer.train_from_iterator(["\n".join(LINES)] * 3, trainer)
    return tokenizer


@pytest.fixture(scope="module", params=["byte level", "other cuts", "sentence pieces"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    path: Path = tmp_path_factory.mktemp("tokens") / "tokenizer.json"
    trained(request.param).save(str(path))
    return TokenCounter(path), Tokenizer.from_file(str(path))


def true_count(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


TEXTS = st.lists(st.sampled_from(LINES), max_size=8).map("\n".join) | st.text(
    "ab1 \n\t'<|endfilename>é²日\U0001f600.-", max_size=30
)


@given(TEXTS)
def test_a_text_has_as_many_tokens_as_the_tokenizer_gives(pair, text):
    counter, tokenizer = pair
    assert counter(text) == true_count(tokenizer, text)
    assert part_counter(counter, text)(0, len(text)) == true_count(tokenizer, text)


@pytest.mark.parametrize("pair", ["byte level", "other cuts"], indirect=True)
@given(st.lists(st.sampled_from(LINES[:-1]), min_size=1, max_size=8))
def test_a_run_of_lines_has_about_as_many_tokens_as_when_it_is_alone(pair, lines):
    counter, tokenizer = pair
    text = "\n".join(lines)
    count = part_counter(counter, text)
    starts = [0, *(place + 1 for place, char in enumerate(text) if char == "\n")]
    for place, start in enumerate(starts):
        for end in [*(later - 1 for later in starts[place + 1 :]), len(text)]:
            assert abs(count(start, end) - true_count(tokenizer, text[start:end])) <= 2


def test_parts_are_encoded_alone_when_the_counter_is_any_function():
    assert part_counter(lambda part: len(part.split()), "one two three")(4, 13) == 2


def test_a_counter_travels_to_a_worker_as_its_path(pair):
    counter, _ = pair
    data = pickle.dumps(counter)
    assert len(data) < 500
    assert pickle.loads(data)("Open the valve") == counter("Open the valve")
