"""HTML inside Markdown becomes Markdown; code, placeholders and types stay."""

import re

import pytest

from pipeline.documents.clean.clean_document import to_markdown
from pipeline.documents.clean.tags import without_tags
from pipeline.documents.left_out import entries, ledger

AS_MARKDOWN = [
    ('<h1 align="center">Pump</h1>\n\nText.', "# Pump\n\nText."),
    ("<details>\n<summary>On Linux</summary>\n\nText.\n\n</details>\n", "On Linux\n\nText."),
    (
        "<table>\n<tr><th>A</th><th>B</th></tr>\n<tr><td><code>x</code></td><td>1</td></tr>\n"
        "</table>\n",
        "| A | B |\n|---|---|\n| `x` | 1 |",
    ),
    ("One.<br>Two.<br/>\nThree.", "One.\nTwo.\nThree."),
    ("| a |\n|---|\n| b<br>c |", "| a |\n|---|\n| b<br>c |"),
    ("Press <kbd>Ctrl</kbd>+<kbd>C</kbd>.", "Press `Ctrl`+`C`."),
    ("H<sub>2</sub>O of 5 m<sup>2</sup>.", "H2O of 5 m^2."),
    ("<b>Never</b> run <em>it <strong>dry</strong></em>.", "**Never** run *it **dry***."),
    ('See <a href="https://e.example/a">the page</a>.', "See [the page](https://e.example/a)."),
    ('<a name="top"></a>\n### Licence', "\n### Licence"),
    ('<span style="color: red">Red</span> lamp', "Red lamp"),
    ('Text <img src="a.png" width=5> goes on.', "Text  goes on."),
    ("- a<br>b\n- <b>c</b>", "- a\nb\n- **c**"),
]


@pytest.mark.parametrize(("text", "expected"), AS_MARKDOWN)
def test_what_a_reader_sees_of_html_is_markdown(text, expected):
    found = re.sub("\n{3,}", "\n\n", without_tags(text).strip("\n"))
    assert found == expected.strip("\n")


@pytest.mark.parametrize(
    "text",
    [
        "Map<K, V> and List<T>, a < b and x<y>z",
        "`<b>x</b>` and\n\n```html\n<p>x</p>\n```\n\n    <div>x</div>",
        "Replace <title> and <name> by yours.",
        "<command>\n\nand <b",
        "<https://e.example/a> or <me@e.example>",
        "<pre>\n<b>x</b>\n</pre>",
        "# Plain\n\n- text",
    ],
)
def test_what_is_no_markup_stays_to_the_letter(text):
    assert without_tags(text) == text


def test_pictures_are_counted_and_only_markdown_is_read_so():
    with ledger() as noted:
        without_tags('<p>\n<img src="a.png">\n</p>\n\nA <img src="b.png"> b.')
    assert [(each.kind, each.amount) for each in entries(noted)] == [("pictures", 2)]
    assert to_markdown("text", "<p>a <b>c</b></p>") == "<p>a <b>c</b></p>"
    field = "<p>Hold it for <b>10 s</b>.</p><ul><li>Wait.</li></ul>"
    assert to_markdown("jsonl", field) == "Hold it for **10 s**.\n\n- Wait."
    assert to_markdown("csv", "<name> is a <b>") == "<name> is a <b>"


@pytest.mark.parametrize(
    "text",
    [
        "<br>" * 50_000,
        "<b>" * 50_000 + "x",
        "<a href=" * 30_000 + "</a>",
        "<" + "b" * 200_000,
        "<b " * 50_000,
        "<p>\n\n" * 5_000 + "</p>",
        " " * 200_000 + "<br>x</b>",
        "<table><tr><td>" * 3_000,
    ],
)
@pytest.mark.timeout(30)
def test_hostile_tags_take_linear_time(text):
    without_tags(text)
