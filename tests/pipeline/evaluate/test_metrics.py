# ruff: noqa: RUF001 - Cyrillic letters look like Latin ones
"""Metrics against worked examples and against their definitions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate.measures.metrics import (
    chrf,
    exact_match,
    length_ratio,
    normalise,
    repetition,
    rouge_l,
    token_f1,
    withholds,
)

WORDS = st.lists(st.sampled_from(["set", "valve", "pump", "a", "the", "12", "x"]), max_size=12)


def test_normalise_lowers_the_case_and_takes_out_punctuation_and_articles():
    assert normalise("The  “U.S.” Army, an answer!") == "us army answer"


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("The valve closes.", "valve closes", 1.0),
        ("valve opens", "valve closes", 0.0),
        ("theatre", "atre", 0.0),  # an article is a word, not a syllable
        ("", "...", 1.0),
    ],
)
def test_exact_match_sees_through_case_articles_and_punctuation_only(answer, reference, expected):
    assert exact_match(answer, reference) == expected


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        # 2 of 4 found words among 3 wanted ones: P = 2/4, R = 2/3, F1 = 4/7.
        ("press the green button twice", "press button once", 4 / 7),
        ("one one one", "one", 0.5),  # a repeated word counts as often as the reference has it
        ("twelve hours", "twelve hours", 1.0),
        ("twelve", "hours", 0.0),
        ("", "hours", 0.0),
        ("the", "!", 1.0),  # nothing is left on either side
    ],
)
def test_token_f1_gives_the_worked_values(answer, reference, expected):
    assert token_f1(answer, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        # Lin 2004, section 3.1: reference "police killed the gunman"; S2 has a common subsequence
        # of 3 words, S3 one of 2.
        ("police kill the gunman", "police killed the gunman", 3 / 4),
        ("the gunman kill police", "police killed the gunman", 2 / 4),
        ("Police killed THE gunman!", "police killed the gunman", 1.0),
        ("", "police", 0.0),
    ],
)
def test_rouge_l_gives_the_published_values(answer, reference, expected):
    assert rouge_l(answer, reference) == pytest.approx(expected)


@settings(deadline=None)  # the machine may be busy
@given(WORDS, WORDS)
def test_rouge_l_is_the_f1_of_the_longest_common_subsequence(first, second):
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, left in enumerate(first):
        for j, right in enumerate(second):
            lengths[i + 1][j + 1] = (
                lengths[i][j] + 1 if left == right else max(lengths[i][j + 1], lengths[i + 1][j])
            )
    total = len(first) + len(second)
    expected = 2 * lengths[-1][-1] / total if total else 1.0
    assert rouge_l(" ".join(first), " ".join(second)) == pytest.approx(expected)


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=40), st.text(max_size=40))
def test_every_metric_lies_between_0_and_1_and_is_1_for_equal_texts(first, second):
    for metric in (exact_match, token_f1, rouge_l):
        assert 0.0 <= metric(first, second) <= 1.0
        assert metric(first, first) == 1.0
        assert metric(first, second) == pytest.approx(metric(second, first))


def test_chrf_is_sacrebleus_sentence_score_in_0_to_1():
    import sacrebleu

    answer, reference = "The pump holds 2.5 bar.", "It holds a pressure of 2.5 bar."
    assert chrf(answer, reference) == pytest.approx(
        sacrebleu.sentence_chrf(answer, [reference]).score / 100
    )
    assert chrf(reference, reference) == 1.0
    assert chrf("", reference) == pytest.approx(0, abs=1e-9)


def test_repetition_is_the_share_of_four_grams_seen_before():
    assert repetition("one two three") == 0.0
    assert repetition("the valve opens and the valve closes") == 0.0
    # Six words twice: nine 4-grams, six of them new.
    assert repetition("a b c d e f a b c d e f") == pytest.approx(1 / 3)
    assert repetition("no " * 40) == pytest.approx(36 / 37)


def test_the_length_ratio_counts_words():
    assert length_ratio("one two", "one two three four") == 0.5
    assert length_ratio("", "one") == 0.0 and length_ratio("one", "!") == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry, but I cannot answer that.", True),
        ("As an AI language model I have no opinion.", True),
        ("The manual does not say; it is not mentioned in the document.", True),
        ("No, the valve stays closed.", False),
        ("", False),
    ],
)
def test_a_refusal_is_told_from_an_answer(text, expected):
    assert withholds(text) is expected


NO_ANSWER = [
    "I don't know.",
    "The documents do not say that.",
    "There is no information about that in the documentation.",
    "I'm sorry, I can't find that in the manual.",
    "This is not covered by the documentation.",
    "The provided context doesn't mention the price.",
    "I do not have that information.",
    "Unfortunately, the passage doesn't specify a maximum.",
    "No information available.",
    "Das weiß ich nicht.",
    "Dazu steht nichts in den Unterlagen.",
    "Die Dokumentation enthält dazu keine Angaben.",
    "Leider kann ich diese Frage anhand der Dokumente nicht beantworten.",
    "Darüber habe ich keine Informationen.",
    "Je ne sais pas.",
    "Les documents n'en parlent pas.",
    "Cette information n'est pas disponible dans la documentation.",
    "Le texte ne précise pas cela.",
    "No lo sé.",
    "La documentación no lo menciona.",
    "No hay información sobre eso en los documentos.",
    "El texto no indica el precio.",
    "Non lo so.",
    "La documentazione non lo dice.",
    "Non ci sono informazioni al riguardo.",
    "Não sei.",
    "Os documentos não mencionam isso.",
    "Não há informações sobre isso.",
    "Dat weet ik niet.",
    "De documentatie zegt daar niets over.",
    "Er is geen informatie over.",
    "Nie wiem.",
    "Dokumentacja nie podaje tej informacji.",
    "Brak informacji na ten temat.",
    "Я не знаю.",
    "В документации об этом не сказано.",
    "Нет информации об этом.",
    "我不知道。",
    "文档中没有提到这一点。",
    "没有相关信息。",
    "わかりません。",
    "文書には記載されていません。",
    "その情報はありません。",
    "모르겠습니다.",
    "문서에 나와 있지 않습니다.",
    "해당 정보가 없습니다.",
    "لا أعرف.",
    "لا تذكر الوثائق ذلك.",
    "لا توجد معلومات حول ذلك.",
    "मुझे नहीं पता।",
    "दस्तावेज़ में इसका उल्लेख नहीं है।",
    "इस बारे में कोई जानकारी नहीं है।",
]
ANSWERS = [
    "The file may not exceed 40 MB.",
    "No, deleted files cannot be restored.",
    "Users do not know the password of others; ask the help desk.",
    "The log does not mention the port unless debug is on.",
    "Nein, das ist nicht erlaubt.",
    "Die Pumpe startet nicht ohne Schlüssel.",
    "Non, ce n'est pas possible.",
    "No se puede restaurar.",
    "Не включайте насос без воды.",
    "不能恢复已删除的文件。",
    "削除したファイルは復元できません。",
    "삭제된 파일은 복원할 수 없습니다.",
    "لا يمكن استعادة الملفات المحذوفة.",
    "हटाई गई फ़ाइलें वापस नहीं आतीं।",
    "If the file is not found, no information is shown on the panel.",
    "El paquete no contiene pilas.",
    "La confezione non contiene batterie.",
    "A embalagem não contém pilhas.",
    "Zestaw nie zawiera baterii.",
    "Набор не содержит батареек.",
    "Le paquet ne contient pas de piles.",
    "Die Packung enthält keine Batterien.",
    "The box does not include batteries.",
    "La API no proporciona un método para eso.",
    "The error means that the server cannot find the page.",
]


@pytest.mark.parametrize("text", NO_ANSWER)
def test_that_there_is_no_answer_is_said_in_many_languages(text):
    assert withholds(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_with_a_negation_is_one(text):
    assert not withholds(text)
