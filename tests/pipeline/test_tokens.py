"""Tokens are counted as the tokenizer counts them, whole texts and parts."""

import pickle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from pipeline.text import tokens
from pipeline.text.tokens import TokenCounter, ruler_of

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
        tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
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


@given(TEXTS, st.integers(0, 400), st.integers(0, 400))
@example("the end \n\nb", 1, 11)
def test_a_text_and_each_part_of_it_has_as_many_tokens_as_when_it_is_alone(pair, text, start, end):
    counter, tokenizer = pair
    assert counter(text) == true_count(tokenizer, text)
    start, end = sorted((min(start, len(text)), min(end, len(text))))
    expected = true_count(tokenizer, text[start:end])
    assert counter.ruler(text)(start, end) == expected
    assert ruler_of(lambda part: true_count(tokenizer, part), text)(start, end) == expected


def test_whole_lines_are_counted_without_reading_them_again(pair):
    counter, tokenizer = pair
    text = "\n".join(LINES)
    starts = [0, *(place + 1 for place, char in enumerate(text) if char == "\n")]
    ruler = counter.ruler(text)
    for place, start in enumerate(starts):
        for end in [*(later - 1 for later in starts[place + 1 :]), len(text)]:
            assert ruler(start, end) == true_count(tokenizer, text[start:end])


def test_a_counter_travels_to_a_worker_as_its_path(pair):
    counter, _ = pair
    data = pickle.dumps(counter)
    assert len(data) < 500
    assert pickle.loads(data)("Open the valve") == counter("Open the valve")


@given(
    st.text(
        st.sampled_from("abZ09 '\t\n\r\x0b\x0c\x1c\x85\xa0_-.|\u2014\u2192\xa7\xe9\xb2\u0438st")
    )
)
def test_words_are_those_of_the_whole_pattern(text: str):
    assert tokens._words_of(text) == tokens._WORDS.findall(text)


def test_what_is_not_rare_is_neither_letter_nor_number_nor_space():
    for code in range(0x80, 0x110000):
        if not tokens._RARE.match(chr(code)):
            assert not tokens.regex.match(r"[\p{L}\p{N}\s]", chr(code)), hex(code)


def test_words_that_are_forgotten_are_counted_again(pair, monkeypatch: pytest.MonkeyPatch):
    counter, tokenizer = pair
    monkeypatch.setattr(tokens, "_MOST_WORDS", 3)
    for line in 2 * LINES:
        assert counter(line) == true_count(tokenizer, line)
