import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.clean import line_joining as prose
from pipeline.documents.clean import pdf_text as paper
from pipeline.text.fences import outside_code
from tests.pipeline.documents.making import PROSE


def test_running_headers_and_page_numbers_go_and_pages_join():
    pages = [
        f"Manual - G2\n\nText of part {part} begins here and\nPage {number} of 3"
        for number, part in enumerate("abc", start=1)
    ]
    pages[1] = pages[1].replace("Text", "goes on. Text")
    assert paper.repair("\f".join(pages)) == (
        "Text of part a begins here and goes on. Text of part b begins here and Text of part c "
        "begins here and"
    )


def test_a_chapter_header_that_changes_goes_too():
    pages = [
        f"Chapter {1 + page // 4}: {'Set-up' if page < 4 else 'Use'} {page}\n\nSentence "
        f"{'abcdefgh'[page]} stands here."
        for page in range(8)
    ]
    assert "Chapter" not in paper.repair("\f".join(pages))


def test_a_sentence_on_two_pages_inside_the_text_stays():
    pages = [
        "A first line that differs.\nPress the button.\nA last one too.",
        "Another first line.\nPress the button.\nAnd another last.",
    ]
    assert paper.repair("\f".join(pages)).count("Press the button.") == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the irri-\ngation of beds", "the irrigation of beds"),
        ("it re-\nenters as one re-enters elsewhere", "it re-enters as one re-enters elsewhere"),
        ("it re-\nenters as one reenters elsewhere", "it reenters as one reenters elsewhere"),
        ("over Wi-\nFi and USB-\nport", "over Wi-Fi and USB-port"),
        ("a self-\ntest runs", "a self-test runs"),
        ("x-\nray", "x-ray"),
        ("from 10-\n20 bar", "from 10- 20 bar"),
        ("broken at the irri-\fgation page", "broken at the irrigation page"),
    ],
)
def test_words_broken_at_line_ends_are_joined_but_compounds_keep_their_hyphen(
    text: str, expected: str
):
    assert paper.repair(text) == expected


def test_wrapped_lines_become_paragraphs_lists_and_headings():
    text = (
        "3.2 Set points\n\nThe set point is the value that the\ncontroller keeps.\n"
        "A second paragraph starts here, since\nthe line above is short.\n\n"
        "\u2022 first item that\nis wrapped\n\u2022 second item\n\n# Big\nbody"
    )
    assert paper.repair(text) == (
        "### 3.2 Set points\n\nThe set point is the value that the controller keeps.\n\nA second "
        "paragraph starts here, since the line above is short.\n\n- first item that is wrapped\n"
        "- second item\n\n# Big\n\nbody"
    )


def test_mojibake_spaces_and_invisible_characters_are_mended_outside_code():
    text = (
        "It\u00e2\u20ac\u2122s  5\u00a0\u00b0C\u200b e\u0301\r\n\n\n\nx  \n"
        "```\na\u00a0  b\n\n\n\nc\n```"
    )
    assert prose.normalise(text) == "It's 5 °C é\n\nx\n```\na\u00a0  b\n\n\n\nc\n```"


def test_front_matter_and_comments_of_markdown_go_but_not_from_code():
    text = "---\ntitle: T\n---\nA<!-- hidden\nnote --> B\n```\n<!-- shown -->\n```\n<!-- open"
    assert prose.strip_metadata(text) == "A B\n```\n<!-- shown -->\n```\n<!-- open"


def test_relative_links_become_text_and_others_stay():
    text = "[a](../b.html#c) [d](https://e.example/f) ![g](h.png) [i\nj](k.md) `[l](m)`"
    assert (
        outside_code(text, prose.unlink) == "a [d](https://e.example/f) ![g](h.png) i\nj `[l](m)`"
    )
    assert outside_code("```\n[a](b)\n```", prose.unlink) == "```\n[a](b)\n```"


def test_links_of_a_wiki_become_text():
    text = "[[Pump]], [[Pump#Setup|the setup]] ![[a.png]], a[[0]], [[ -f x ]] and [[1]](#n) `[[a]]`"
    expected = "Pump, the setup , a[[0]], [[ -f x ]] and [[1]](#n) `[[a]]`"
    assert outside_code(text, prose.unlink) == expected


@pytest.mark.timeout(10)
def test_open_links_take_linear_time():
    for text in ("[[" * 50_000, "[[a" * 50_000, "[[a" + "b" * 200_000, "[[a|" * 50_000):
        assert prose.unlink(text) == text


def test_capital_lines_of_plain_text_become_headings():
    text = f"FIRMWARE 4.3\nVersion 4\n\nNEW FEATURES\n{PROSE}\n\nA22 AND B.\n\nOK"
    assert prose.plain_to_markdown(text).startswith(
        f"# FIRMWARE 4.3\n\nVersion 4\n\n## NEW FEATURES\n\n{PROSE}\n\nA22 AND B.\n\nOK"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Which limits hold\nlimit = 40", "\\# Which limits hold\nlimit = 40"),
        ("[1]: https://example.org", "\\[1]: https://example.org"),
        ("Clean the filter.\n---\nAnna", "Clean the filter.\n\n---\nAnna"),
        ("One line\nand another\n----", "One line\nand another\n\n----"),
        ("Pumps\n=====", "Pumps\n====="),
        ("Part   Flow\n-----  ----\nA1     3 l", "```\nPart   Flow\n-----  ----\nA1     3 l\n```"),
        ("a\tb\nc\td", "```\na\tb\nc\td\n```"),
        ("One sentence.  Another one.\nAnd a third.  Good.", None),
    ],
)
def test_what_only_looks_like_markdown_in_plain_text_has_no_effect(text: str, expected: str | None):
    assert prose.plain_to_markdown(text) == (expected or text)


MARKDOWN = st.lists(
    st.sampled_from(
        [
            *("```", "````", "~~~", "`", "> ", " ", "  ", "\t", "\n", "\n\n\n", "a", "[a](b)"),
            *("\x00", "\x0b", "\x1c", "\x1b[0m", "\u00a0", "\u2003", "\u200b", "\u00ad"),
            *("\u2019", "\u00e9"),
        ]
    ),
    max_size=30,
).map("".join)


@given(MARKDOWN)
def test_white_space_and_invisible_characters_go_whatever_stands_beside_them(text: str):
    mended = prose._mend(text)
    plain = re.sub(r"(?<=\S)(?: [ \t]+|\t[ \t]*)", " ", mended)
    assert plain == mended
    assert not prose._INVISIBLE.search(mended)
    assert not re.search(r"[ \t](?:\n|\Z)|\n{3}", mended)


@pytest.mark.parametrize(
    "settings",
    [
        '---\ntitle: Pump\ntags:\n- a\n\n# a comment\n"last change": 2020\n---',
        "---\n---",
        "\n\n---\ntitle: Pump\n...",
        '+++\ntitle = "Pump"\n\n[menu]\nweight = 1\n+++',
        '{\n  "title": "Pump",\n  "tags": ["a"]\n}',
    ],
)
def test_settings_above_a_page_go(settings: str):
    assert prose.strip_metadata(f"{settings}\n\nThe text.\n") == "\nThe text.\n"


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nThe first part: it stays.\n\n---\n\nThe second.\n",
        "---\nA slide with a title\n\n- one\n---\nThe next: two.\n",
        "---\nNote: mind the gap.\n\nA paragraph stands here.\n\n---\nThe end.\n",
        "---\n" + "- a: b\n" * 1_000 + "Prose ends it.\n",
        "+++\n" + " a = b\n" * 1_000 + "Prose ends it.\n",
        "+++ more\n\n+++\n",
        "{ not settings }\n\ntext\n",
    ],
)
def test_text_between_two_rules_is_no_front_matter(text: str):
    assert prose.strip_metadata(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "\u4ed6\u8bf4\uff1a\uff08\u89c1\u7b2c\uff13\u8282\uff09\uff0c\u597d\uff1f",
            "\uff1a\uff08\u89c1\u7b2c3\u8282\uff09\uff0c\u597d\uff1f",
        ),
        ("\uff30\uff24\uff26 \u3092\uff8e\uff9f\uff9d\uff8c\uff9f", "PDF \u3092\u30dd\u30f3\u30d7"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648"),
        ("\u0915\u094d\u200c\u0937", "\u0915\u094d\u200c\u0937"),
        ("\u1781\u17d2\u1789\u17bb\u17c6\u200b\u1791\u17c5", "\u17c6\u200b\u1791"),
        ("zero\u200bwidth\u200c signs\u200b", "zerowidth signs"),
        ("\U0001f469\u200d\U0001f467", "\U0001f469\u200d\U0001f467"),
    ],
)
def test_each_script_keeps_its_signs(text: str, kept: str):
    assert kept in prose.normalise(text)


@pytest.mark.parametrize(
    "dots", [" . . . . . . . 7", "........ 12", " \u2026\u2026\u2026\u2026\u2026\u2026 iv"]
)
def test_entries_of_a_printed_table_of_contents_go(dots: str):
    text = f"# Contents\nValves{dots}\n2.1 Pumps{dots}\n\nThe pump runs ... and stops in 7."
    assert paper.repair(text) == "# Contents\n\nThe pump runs ... and stops in 7."


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("an up-to-\ndate pump of that date", "an up-to-date pump of that date"),
        ("out-\nof-order valves", "out-of-order valves"),
        ("a re-imple-\nmentation of it", "a re-implementation of it"),
        ("an imple-\nmentation-defined limit", "an implementation-defined limit"),
        ("the SARS-\n2 wave", "the SARS-2 wave"),
        ("since pre-\n1990 times", "since pre-1990 times"),
        ("a 64-\nbit relay", "a 64-bit relay"),
    ],
)
def test_a_hyphen_of_the_word_stays_at_the_end_of_a_line(broken: str, whole: str):
    assert paper.repair(broken) == whole


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("\u2013 open it\n\u2013 close it", "- open it\n- close it"),
        ("Do this:\n\u2013 open it\nby hand\n\u2013 close it", None),
        ("A pump\n\u2013 it is old \u2013 runs", "A pump \u2013 it is old \u2013 runs"),
        ("\uf0b7 open it\n\uf0b7 close it", "- open it\n- close it"),
        ("\u25a0 open it\n\u25a0 close it", "- open it\n- close it"),
    ],
)
def test_dashes_and_the_bullets_of_word_mark_items(lines: str, expected: str | None):
    expected = expected or "Do this:\n\n- open it by hand\n- close it"
    assert paper.repair(lines + "\n\n" + "word " * 30).rsplit("\n\n", 1)[0] == expected
