import pytest

from pipeline.ingest import quality
from pipeline.ingest.quality import judge
from tests.pipeline.ingest.making import PROSE


def reason(text: str) -> str:
    verdict = judge(text)
    return verdict.reason if verdict else ""


CODE = "```c\n" + "for (i = 0; i < n; i++) { a[i] = b[i]; }\n" * 20 + "```"
TABLE = "| A | B |\n|---|---|\n" + "".join(f"| {n} | {n * 7} |\n" for n in range(60))
BULLETS = "\n".join(
    f"- Press button {name} to open the {name} valve."
    for name in (
        "left",
        "right",
        "upper",
        "lower",
        "inner",
        "outer",
        "front",
        "rear",
        "main",
        "drain",
    )
)


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        f"{PROSE}\n\n{CODE}",
        f"{PROSE}\n\n{TABLE}",
        CODE,
        TABLE,
        BULLETS,
        f"See [the manual](https://a.example/manual) first. {PROSE}",
        PROSE + " See https://a.example/" + "x" * 300,
    ],
)
def test_manuals_with_code_tables_bullets_and_links_pass(text: str):
    assert judge(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("To be written later.", "too_short"),
        ("- - - | | | *** " * 50, "too_short"),
        (PROSE + "x" * 5_000, "long_words"),
        ("\n".join(f"- [Article {n} of the site](/{n})" for n in range(20)), "mostly_links"),
        (" ".join(str(n) for n in range(1_000, 1_050)), "few_letters"),
        (" ".join("abcdefghijklmnopqrstuvwxyz"), "mean_word_length"),
        (PROSE + " \u2588\u2591\u2592" * 100, "symbol_ratio"),
        ("\n".join([PROSE.split(".")[0]] * 4), "repeated_lines"),
        ((PROSE.split(",")[0] + " ") * 8, "repeated_ngrams"),
        ("buy this great lamp now " * 30 + PROSE, "repeated_ngrams"),
    ],
)
def test_poor_texts_break_a_named_rule(text: str, expected: str):
    assert reason(text) == expected


def test_the_limit_of_words_is_where_it_says():
    words = PROSE.split()
    assert reason(" ".join(words[: quality.MIN_WORDS - 1])) == "too_short"
    assert reason(" ".join(words[: quality.MIN_WORDS])) == ""


def test_characters_of_chinese_and_japanese_count_as_words():
    text = "土が乾くと、コントローラーは花壇の弁を開きます。設定値に達すると弁を閉じます。"
    assert len(text.split()) == 1 and judge(text) is None


def test_value_and_threshold_are_told():
    verdict = judge("Only three words")
    assert verdict is not None
    assert verdict == ("too_short", 3, 20)


def test_a_book_is_not_looked_at():
    verdict = quality.too_long("a" * (quality.LONGEST + 1))
    assert verdict is not None and verdict.reason == "too_long"
    assert reason("word " * (quality.MAX_WORDS + 1)) == "too_long"
