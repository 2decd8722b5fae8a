"""What is code in a Markdown text, and that cleaning leaves it to the letter."""

import re

import pytest
from hypothesis import given

from pipeline.documents.clean import line_joining as prose
from pipeline.documents.clean.clean_document import Cleaned, clean_document
from pipeline.settings import CleanSettings
from pipeline.text import fences as code
from tests.pipeline.documents.test_repair import MARKDOWN

LETTERS = 'grep  -e "a  b" \u2018x\u2019 \u00c3\u00a9 \ufb01 \uff21\u00a0 beds[n](e) <!-- -->'
"""What each rule for prose would change."""


def cleaned(text: str, kind: str = "markdown") -> str:
    settings = CleanSettings(profile="off", languages=())
    document = clean_document({"format": kind, "title": "", "text": text}, settings)
    assert isinstance(document, Cleaned)
    return document.text


@pytest.mark.parametrize("kind", ["markdown", "text", "jsonl", "csv", "parquet", "rst"])
@pytest.mark.parametrize(
    "shape",
    [
        "Call `{}` now.",
        "Call ``{} ` `` now.",
        "Call `a\n{}` now.",
        "- Call `{}`,\n- or ` alone, and\n- `{}` again.",
        "# Heading of `{}`",
        "| a | b |\n|---|---|\n| ` | `{}` |\n| x | `{}` |",
        "Words <code>{}</code>, <kbd>{}</kbd>, <samp>{}</samp> and <tt>{}</tt>.",
        "<pre>\n{}\n\n\n  {}\n</pre>",
        "<textarea>\n{}\n\n    {}\n</textarea>",
        "```\n{}\n\n\n  ` {}\n```",
        "- ```sh\n  {}\n  ```\n- more",
        "    {}\n\n\n    ```  {}",
        "# Heading\n    {}\n\nWords.",
        "Words.\n\n    {}\n\n\n      {}\n\nWords.",
        "Words.\n\n\t{}\n\nWords.",
        "1. Step.\n\n       {}\n\n   More.",
        "> Words.\n>\n>     {}",
    ],
)
def test_code_is_left_to_the_letter(shape: str, kind: str):
    text = expected = shape.replace("{}", LETTERS)
    if kind == "text" and text.startswith("# "):  # no heading there; code stands apart from it
        expected = re.sub(r"^#(.*\n)(?=    )", r"#\1\n", text)
        expected = f"\\{expected}"
    if kind == "markdown":
        expected = re.sub("</?(?:code|kbd|samp|tt)>", "`", expected)
    assert cleaned(text, kind) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- Item.\n\n    More  of [it](a.md).", "- Item.\n\n    More of it."),
        ("Words\n    go  on [here](a.md).", "Words\n    go on here."),
        ("A ` alone, [b](c.md).\n\nAnother ` there.", "A ` alone, b.\n\nAnother ` there."),
        ("A \\`no  code\\` [b](c.md)", "A \\`no code\\` b"),
        ("See [`beds[n](e)`  there](a.md).", "See `beds[n](e)` there."),
        ("``` a  b ``` in a line", "``` a  b ``` in a line"),
        ("<code `7`> is  never closed, `a`", "<code `7`> is never closed, `a`"),
        ("`a`  `b` \uff40 \u2019", "`a` `b` \uff40 '"),
    ],
)
def test_what_only_looks_like_code_is_prose(text: str, expected: str):
    assert cleaned(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A <!-- gone\nhere --> b.", "A b."),
        ("<!-- gone\n\n```\ngone ` too\n```\n-->\n\nStays, `<!--` too.", "Stays, `<!--` too."),
        ("Open `<!--` here.\n\n## Stays\n\nClose `-->`.", None),
        ("Open <!-- here.\n\n## Stays\n\nClose -->.", None),
        ("<!-- never closed\n\n```\na  b\n```", None),
        ("    <!-- shown -->\n\nWords.", None),
        ("<!-- a ` -->`b  c` and `d`<!-- ` -->", "`b  c` and `d`"),
        ("- <!-- gone\n\n  gone -->\n- Stays.", "-\n- Stays."),
    ],
)
def test_a_comment_goes_and_one_that_is_shown_stays(text: str, expected: str | None):
    assert cleaned(text) == (text if expected is None else expected)


def test_capital_lines_in_the_code_of_a_plain_text_are_no_headings():
    text = "First words.\n\n```\nSELECT\n\nFROM BEDS\n```"
    assert cleaned(text, "text") == text


def test_spans_and_links_of_a_page_stay_apart():
    page = (
        "<main><p>Press ` and call <code>beds[n](e)</code> of <a href='a.html'>the <code>x</code>"
        "</a>.</p></main>"
    )
    assert cleaned(page, "html") == "Press \\` and call `beds[n](e)` of the `x`."


@pytest.mark.parametrize(
    "text",
    [
        "`" * 200_000,
        "".join("`" * length + " " for length in range(1, 600)),
        "<!-- " * 40_000,
        "a<!-- -->" * 25_000,
        "<code>" * 40_000,
        "# ` x\n" * 30_000,
        "| ` " * 50_000,
        "\n\n    x" * 30_000,
    ],
)
@pytest.mark.timeout(20)
def test_code_that_is_never_closed_takes_linear_time(text: str):
    code.outside_code(prose.normalise(prose.strip_metadata(text)), prose.unlink)


@given(MARKDOWN)
def test_a_text_without_change_comes_out_as_it_went_in(text: str):
    assert code.outside_code(text, lambda prose: prose) == text


@pytest.mark.parametrize(
    ("attributes", "language"),
    [
        ('class="language-bash"', "bash"),
        ('class="code python"', "python"),
        ('class="code panel"', ""),
        ('class="code listing"', ""),
        ('class="x" data-syntaxhighlighter-params="brush: yaml; gutter: false"', "yaml"),
    ],
)
def test_a_word_for_the_look_of_code_is_no_language(attributes, language):
    page = f"<main><p>Two lines of it:</p><pre {attributes}>a: 1\nb: 2</pre></main>"
    assert f"```{language}\na: 1" in cleaned(page, "html")
