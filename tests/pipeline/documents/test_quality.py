import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engine.settings_file import load_settings
from pipeline.core.errors import SettingsError
from pipeline.documents.clean import cleaning
from pipeline.documents.clean.cleaning import CLEANING, Verdict
from pipeline.documents.clean.profiles import PROFILES, rules_of
from pipeline.documents.clean.quality.measures import repeated_share, top_share
from pipeline.documents.clean.quality.stats import TextStats
from tests.pipeline.documents.making import PROSE


def judge(text: str, profile: str = "technical", language: str = "") -> Verdict | None:
    return cleaning.judge(text, PROFILES[profile], language)


def reason(text: str, profile: str = "technical", language: str = "") -> str:
    verdict = judge(text, profile, language)
    return verdict.reason if verdict else ""


CODE = "```c\n" + "".join(f"for (i = 0; i < n; i++) a{n}[i] = b[i];\n" for n in range(20)) + "```"
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
        (" ".join("abcdefghijklmnopqrstuvwxyz"), "short_words"),
        (" ".join(f"configuration_key_{n}" for n in range(30)), "mean_word_length"),
        (PROSE + " \u2588\u2591\u2592" * 100, "symbol_ratio"),
        ("\n".join([PROSE.split(".")[0]] * 4), "repeated_lines"),
        ((PROSE.split(",")[0] + " ") * 8, "top_4gram"),
        ("buy this great lamp now " * 30 + PROSE, "top_4gram"),
    ],
)
def test_poor_texts_break_a_named_rule(text: str, expected: str):
    assert reason(text) == expected


def test_the_limit_of_words_is_where_it_says():
    words = PROSE.split()
    for profile, least in (("technical", 20), ("faq", 3), ("web", 50)):
        assert reason(" ".join(words[: least - 1]), profile) == "too_short", profile
        assert reason(" ".join(words[:least]), profile) != "too_short", profile


def test_characters_of_chinese_and_japanese_count_as_words():
    text = "土が乾くと、コントローラーは花壇の弁を開きます。設定値に達すると弁を閉じます。"
    assert len(text.split()) == 1 and judge(text) is None


def test_value_and_threshold_are_told():
    assert judge("Only three words") == ("too_short", 3, 20)


def test_a_book_is_not_looked_at():
    verdict = cleaning.too_long("a" * (cleaning.LONGEST + 1))
    assert verdict is not None and verdict.reason == "too_long"
    assert reason("word " * 1_000_001) == "too_long"


ARTICLE = "\n\n".join(
    (
        PROSE,
        "In winter the frost line lies deeper than the pipes, and whoever forgets to drain them "
        "will find the cracks in spring. The cheapest remedy is a slope of two percent.",
        "A gardener of the old school would have laughed at all of this. He had a can, two arms "
        "and a barrel under the gutter; the barrel was empty by July.",
    )
)
"""Passes as an article of the web."""
WORDS = sorted(set(re.findall(r"[a-z]{5,}", ARTICLE)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ARTICLE, ""),
        (" ".join(PROSE.split()[:40]), "too_short"),
        (ARTICLE + " # # # # # # # # # # # # # # # #", "hash_ratio"),
        (ARTICLE.replace(" a ", " … a … ").replace(" the ", " … the … "), "ellipsis_ratio"),
        ("\n".join(f"- {s}." for s in ARTICLE.replace("\n", " ").split(". ")), "bullet_lines"),
        ("\n\n".join(f"{line}…" for line in ARTICLE.split(". ")), "ellipsis_lines"),
        (ARTICLE + " " + " ".join(str(n) for n in range(90)), "few_letters"),
        (" ".join(word for word in ARTICLE.split() if len(word) > 5) * 2, "few_stop_words"),
        (f"{ARTICLE}\n\n{ARTICLE}", "repeated_lines"),
        (ARTICLE.replace(".", ","), "few_sentences"),
        (ARTICLE + " Lorem ipsum dolor sit amet.", "lorem_ipsum"),
        (ARTICLE + " if (x) { y }", "curly_brackets"),
        (ARTICLE + "\n\n" + "\n\n".join(f"Next {each}" for each in WORDS), "few_line_ends"),
        (ARTICLE + "\n\n" + "\n\n".join(f"Try {each}." for each in WORDS[:9]), "short_lines"),
        (ARTICLE + "\n\nRead the next part of this series too.\n\nRead the next part of this "
         "series too.", "repeated_line_chars"),
    ],
)  # fmt: skip
def test_each_rule_of_the_web_profile_drops_what_it_is_for(text: str, expected: str):
    assert reason(text, "web", "en") == expected


def test_code_beside_an_article_does_not_count_as_its_prose():
    assert reason(f"{ARTICLE}\n\n{CODE}", "web", "en") == ""


FOREIGN = dict(
    line.split("\t")
    for line in (Path(__file__).parent / "foreign.txt").read_text("utf-8").splitlines()
)
"""A few good sentences by language (ISO 639-1)."""


@pytest.mark.parametrize("language", FOREIGN)
@pytest.mark.parametrize("profile", ["any-language", "technical", "faq"])
def test_good_texts_of_all_scripts_pass(language: str, profile: str):
    assert judge(FOREIGN[language], profile, language) is None


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_sentences_end_in_other_scripts_too(language: str):
    assert judge(FOREIGN[language], "web", language) is None


def test_no_rule_of_any_language_looks_at_words_or_their_language():
    """Spaces put in or taken out, and another language named, change no verdict."""
    for language, text in FOREIGN.items():
        assert judge(text.replace(" ", ""), "any-language", "en") is None, language
        assert judge(" ".join(text), "any-language", "xx") is None, language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("土が乾く。", "too_short"),
        (FOREIGN["zh"] + "A" * 500, "long_words"),
        (FOREIGN["th"] + "12345 67890 " * 20, "digit_ratio"),
        (FOREIGN["ja"] + "\uff08\uff09" * 8, "parenthesis_ratio"),
        (FOREIGN["zh"] + "█░" * 60, "symbol_ratio"),
        ("\n\n".join([FOREIGN["ar"]] * 3), "repeated_lines"),
        ("购买最好的灯具现在就买" * 40, "repeated_20chars"),
        (FOREIGN["zh"] + " https://shop.example/" + "a/" * 60, "mostly_links|address_ratio"),
    ],
)
def test_poor_texts_of_all_scripts_are_dropped(text: str, expected: str):
    assert reason(text, "any-language") in expected.split("|")


@pytest.mark.parametrize(
    "text",
    [
        "How often? Once a week.",
        "**Q:** Which fuse does the pump need?\n\n**A:** 3.15 A, slow.",
        "保証は\uff1f二年です。",
    ],
)
def test_an_answer_of_a_few_words_is_enough_for_a_faq(text: str):
    assert judge(text, "faq") is None
    assert reason(text) == "too_short"


@pytest.mark.parametrize("profile", PROFILES)
def test_each_rule_has_a_name_of_its_own_and_a_source(profile: str):
    names = Counter(rule.name for rule in PROFILES[profile])
    assert not [name for name, count in names.items() if count > 1]
    assert all(rule.source for rule in PROFILES[profile])


def test_the_numbers_of_the_web_profile_are_the_published_ones():
    limits = {rule.name: rule.limit for rule in PROFILES["web"]}
    assert [limits[f"repeated_{n}grams"] for n in range(5, 11)] == [
        *(0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    ]
    assert [limits[f"top_{n}gram"] for n in (2, 3, 4)] == [0.20, 0.18, 0.16]
    assert (limits["few_line_ends"], limits["short_lines"], limits["line_breaks"]) == (
        *(0.12, 0.67, 0.3),
    )


def test_a_limit_can_be_set_and_a_misspelt_rule_is_refused():
    [length] = [r for r in rules_of("technical", {"mean_word_length": 14}) if r.limit == 14]
    assert length.name == "mean_word_length"
    assert load_settings(None, ["clean.limits.too_short=5"]).clean.limits == {"too_short": 5}
    with pytest.raises(SettingsError, match=r"no rule to_short \(did you mean too_short\?\)"):
        load_settings(None, ["clean.limits.to_short=5"])
    with pytest.raises(SettingsError, match="profile web has no rule symbol_ratio"):
        load_settings(None, ["clean.profile=web", "clean.limits.symbol_ratio=1"])


def test_all_broken_rules_are_told_in_their_order():
    text = ("\n".join([PROSE.split(".")[0]] * 4)) + " █░▒" * 100
    found = [verdict.reason for verdict in cleaning.broken(text, PROFILES["technical"])]
    assert found[0] == reason(text) and len(found) > 1
    names = [rule.name for rule in PROFILES["technical"]]
    assert found == sorted(found, key=names.index)


def plain_top(words: list[str], size: int) -> float:
    grams: Counter[tuple[str, ...]] = Counter()
    for gram in {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}:
        at = 0
        while at + size <= len(words):
            found = tuple(words[at : at + size]) == gram
            grams[gram] += found
            at += size if found else 1
    most = max(grams.values(), default=1)
    longest = max((len("".join(g)) for g, n in grams.items() if n == most), default=0)
    return most * longest / len("".join(words)) if most > 1 else 0.0


def plain_repeated(words: list[str], size: int) -> float:
    seen, characters, at = set(), 0, 0
    while at + size <= len(words):
        gram = tuple(words[at : at + size])
        if gram in seen:
            characters += len("".join(gram))
            at += size
        else:
            seen.add(gram)
            at += 1
    return characters / max(1, len("".join(words)))


@given(st.integers(0, 10**6), st.integers(0, 80), st.integers(1, 6), st.integers(1, 10))
def test_shares_of_ngrams_are_those_of_a_plain_count(seed: int, many: int, kinds: int, size: int):
    draw = random.Random(seed)
    words = tuple(draw.choice(("a", "bb", "ccc", "dddd", "e", "ff")[:kinds]) for _ in range(many))
    assert top_share(words, size) == pytest.approx(plain_top(words, size))
    assert repeated_share(words, size) == pytest.approx(plain_repeated(words, size))


@given(st.text(max_size=300))
def test_no_text_breaks_a_measure(text: str):
    for rules in PROFILES.values():
        for verdict in cleaning.broken(text, rules, "en"):
            assert isinstance(verdict.value, int | float)
    assert TextStats(text).word_count <= max(1, len(text))


def test_profiles_are_made_of_the_shelf_and_settings_name_them():
    used = {rule.name for rules in PROFILES.values() for rule in rules}
    assert used == {name for name, rule in CLEANING.items() if rule.measure}
    assert len({rule.meaning for rule in CLEANING.values()}) == len(CLEANING)
    with pytest.raises(SettingsError, match=r"no profile tecnical \(did you mean technical\?\)"):
        load_settings(None, ["clean.profile=tecnical"])
    with pytest.raises(SettingsError, match="nothing finds NAME; expected all, or some of KEY"):
        load_settings(None, ["clean.redact=['NAME']"])


def test_labels_below_each_function_of_a_reference_are_no_repetition():
    said = (
        "Opens one valve and gives control back at once.",
        "Shuts a bed, whatever its sensor says about moisture.",
        "Waits until water stops flowing through every pipe.",
        "Asks for humidity, as measured this morning near roots.",
        "Writes new limits into permanent memory, where they survive power cuts.",
        "Primes both pumps slowly, since dry seals wear out.",
        "Forgets all programs but those that somebody marked for keeping.",
        "Lists whatever went wrong during recent nights, newest first.",
    )
    labels = "- Parameters:\n\n- Returns:\n\n- Since: 1.2\n\n"
    text = "".join(f"### call {n}\n\n{line}\n\n{labels}" for n, line in enumerate(said))
    assert judge(text) is None
    again = "The valve of this bed is opened at once.\n\n" * 30
    assert reason(again + text) == "repeated_lines"


def test_words_of_code_and_tables_count_beside_the_links_of_a_page():
    link = "[main help file](index.html)\n\n"
    code = "```\n" + "\n".join(f"open_valve({n})  opens bed {n}" for n in range(20)) + "\n```"
    assert judge(link + code) is None
    rows = "".join(f"| [Repair the pump {n}](/{n}) |\n" for n in range(20))
    assert reason(f"# Index of repairs\n\n| Page |\n|---|\n{rows}") == "mostly_links"


def test_a_text_of_two_scripts_is_measured_by_the_words_that_have_spaces():
    chinese = "设定值达到时控制器关闭阀门。" * 3
    english = "Whoever opens the valve by hand must close it again before the program starts. " * 2
    assert judge(f"{chinese}\n\n{english}{PROSE}", language="zh") is None
    assert reason(f"{chinese}\n\n" + "a b c d e f g h i j k l m n o p q r s t u v " * 3)


@pytest.mark.parametrize("sign", "▒¤¶~^;§")
def test_words_that_a_scanner_misread_are_told_from_identifiers(sign: str):
    misread = " ".join(
        word[:2] + sign + word[3:] if len(word) > 4 else word for word in PROSE.split()
    )
    assert reason(misread) == "broken_words"
    named = "std::vector<int> open_valve() it's well-known a/b.c {x} string|Buffer `--all=yes` R&D "
    assert judge(named * 9 + PROSE) is None or reason(named * 9 + PROSE) != "broken_words"


def test_a_page_of_one_label_over_and_over_says_what_the_label_says():
    assert judge("Buy it now!\n\n" * 200) == ("too_short", 3, 20)


def test_occurrences_of_a_phrase_that_share_words_count_once():
    assert top_share(("so",) * 5, 2) == 0.8


SIGNATURE = "- Function: *int* **spline_{0}** *(const spline * s, const double x, double * result)*"


def test_a_reference_whose_signatures_and_standing_phrases_repeat_is_kept():
    said = PROSE.replace("\n", " ").split(". ")
    parts = (
        f"{SIGNATURE.format(n)}\n\n{said[n % len(said)]} (call {n}): This function returns the "
        f"value at the given point; {WORDS[n]} {WORDS[-n]} {WORDS[n * 2]} are left as they are."
        for n in range(1, 12)
    )
    text = "\n\n".join(parts)
    assert repeated_share(TextStats(text).phrases, 5) > 0.3, "Gopher's limit, twice"
    assert judge(text) is None


@pytest.mark.parametrize("name", [name for name, rule in CLEANING.items() if rule.measure])
def test_each_rule_shows_a_piece_of_the_text_that_breaks_it(name: str):
    rule = CLEANING[name]
    assert rule.evidence, f"{name}: the ledger would not say why; give the rule its evidence"
    text = EVIDENCE[name][0]
    shown = cleaning.evidence_of(name, text)
    assert EVIDENCE[name][1] in shown
    assert len(shown) < 240, "the ledger has room for no more"


SAID = "the pump opens its lower valve again and then waits for water"
EVIDENCE = {
    "too_short": ("Too little.", "Too little."),
    "too_long": ("word " * 99, "word word"),
    "long_words": (f"Key {'Q' * 300} ends.", '"QQQQ'),
    "mostly_links": ("- [Home](/a)\n- [All articles](/b)", '"Home", "All articles"'),
    "few_letters": ("Values 17 18 19 and 20", '"17", "18", "19"'),
    "short_words": ("a a a b c", '3 times "a"'),
    "mean_word_length": ("one configuration_key_of_it", '"configuration_key_of_it"'),
    "broken_words": ("A p▒mp is |ne p~rt", '"p▒mp", "p~rt"'),
    "symbol_ratio": ("Fine.\n\nBad █░█ one.", '"Bad █░█ one."'),
    "hash_ratio": ("Fine.\n\nSay # it # now.", '"Say # it # now."'),
    "ellipsis_ratio": ("Fine.\n\nSo … on … it goes.", '"So … on … it goes."'),
    "bullet_lines": ("Intro.\n\n- left valve\n- right valve", '"- left valve", "- right valve"'),
    "ellipsis_lines": ("Whole line.\n\nRead on about...", '"Read on about..."'),
    "few_stop_words": ("Lamp, chair, table.", "Lamp, chair"),
    "repeated_lines": (f"Yes\nYes\nYes\n{SAID}\n{SAID}", '2 times "the pump opens'),
    "repeated_line_chars": ("Yes\nYes\nNo", '2 times "Yes"'),
    "repeated_paragraphs": ("Yes.\n\nYes.\n\nNo.", '2 times "Yes."'),
    "repeated_paragraph_chars": ("Yes.\n\nYes.\n\nNo.", '2 times "Yes."'),
    **{f"top_{n}gram": ("buy good lamps here now " * 9, "9 times ") for n in (2, 3, 4)},
    **{f"repeated_{n}grams": (f"So {SAID}; next {SAID}.", '2 times "') for n in range(5, 11)},
    "few_sentences": ("Only one, without an end", "Only one"),
    "lorem_ipsum": ("Text. Lorem ipsum dolor sit.", '"Lorem ipsum dolor'),
    "curly_brackets": ("Fine.\n\nif x { y }", '"if x { y }"'),
    "few_line_ends": ("It ends.\n\nNext page", '"Next page"'),
    "short_lines": ("Go up.\n\n" + PROSE, '"Go up."'),
    "line_breaks": ("Go up.\n\nGo down.", '"Go up.", "Go down."'),
    "digit_ratio": ("None.\n\n17 and 18 of 2024", '"17 and 18 of 2024"'),
    "address_ratio": ("See https://a.example/b there.", '"https://a.example/b"'),
    "parenthesis_ratio": ("Fine.\n\nA (b) [c] (d)", '"A (b) [c] (d)"'),
    "top_10chars": ("abcdefghij-abcdefghij", '2 times "abcdefghij"'),
    "repeated_20chars": ("购买最好的灯具现在就买吧朋友们快来看看吧谢谢" * 3, "3 times "),
}
"""Rule -> a text, and what of it the ledger is to show."""
