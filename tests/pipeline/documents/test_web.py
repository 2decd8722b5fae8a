"""Pages in the markup of six kinds of sites become Markdown without their frame."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html as lxml_html

from pipeline.documents.clean import line_joining as prose
from pipeline.documents.clean.web.page import main_content
from pipeline.text.fences import outside_code

PAGES = Path(__file__).parent / "pages"

FRAME = {
    "docbook": ["Prev", "Next", "Home"],
    "asciidoc": ["Last updated", "color"],
    "sphinx": ["index", "modules", "Navigation", "Copyright", "\u00b6", "linenos"],
    "mkdocs": ["Setup", "Pumps", "Search", "Copy", "Table of contents", "Made with love", "\u00b6"],
    "wiki": ["Contents", "edit", "Categories", "Main page", "last edited"],
    "blog": ["About me", "All posts", "June", "Archive", "Great post"],
}

KEPT = {
    "docbook": [
        "## pumpctl\n\npumpctl \u2014 control a pump from the shell",
        "- `-r litres`, `--rate`\n  Sets the rate.\n\n  The rates are:\n  - `slow`\n    One litre.",
        "**Note**\n\nThe pump must be primed.",
        "| Function<br>Description |\n|---|\n"
        "| `rate` ( `int` ) \u2192 `bool`<br>Sets the rate a\\|b. |\n| `stop` ( )<br>Stops it. |",
    ],
    "asciidoc": [
        "# valve(1) Manual Page\n\nvalve - open and close a valve\n\n## OPTIONS",
        "- -n, --dry-run\n  Only show it:",
        "**Warning**\n\nWater under pressure.",
        "| State | Colour |\n|---|---|\n| open | `green` |\n| shut | red |\n| shut | amber |",
        "- first\n  - inner\n- second",
    ],
    "sphinx": [
        "# watering.plan\n\nPlans are *immutable*; see [`Bed`](beds.html#bed).",
        "- `watering.plan(*beds, litres=2.5)`\n  Make a plan.",
        "  - Parameters:\n    - **beds** \u2013 the beds\n    - **litres** \u2013 for each bed",
        "**Tip**\n\nWater in the evening.",
        "```python\n",
        "| Name | Meaning |\n|---|---|\n| `wet` | - soil<br>- leaf |",
        "About 10^6 drops, the 2nd time.",
    ],
    "mkdocs": [
        "# Sensors\n\nEach sensor has `two wires`, `Ctrl`+`C` stops it.",
        "**Mind the voltage**\n\nUse 12 V.",
        "```bash\n# read it\n",
        "Linux\n\nMac\n\nUse apt.\n\nUse brew.",
        "| Pin | Use |\n|---|---|\n| 1 | power `5\\|12` |\n| 2 | ground<br>only |",
        "3. Turn it off.\n\n   ```\n   halt\n   now\n   ```\n\n4. Wait.\n\n   Longer.",
    ],
    "wiki": [
        "# Drip line",
        "|---|---|\n| Flow | 2 l/h |\n| Spacing | 30 cm |\n\nA **drip line** waters *slowly*.[1]",
        "## Types\n\n| Type | Life |\n|---|---|\n| Tape | one year |\n"
        "| Tube, [thick](/wiki/Tube) |  |",
        "> Water deeply.\n>\n> Water rarely.",
        "The law is $Q = A v$.",
    ],
    "blog": [
        "# Why my tomatoes split\n\nAfter a dry week",
        "with this rule:\nopen at dusk\nclose after ten minutes\n\n```ini\n[dusk]\nopen  = 10\n```",
        "| Week | Split |\n|---|---|\n| 1 | 14 |\n| 2 | 3 |",
        "beside the shed, where no drip line reaches.",
    ],
}


def page(name: str) -> str:
    return (PAGES / f"{name}.html").read_text("utf-8")


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def content_blocks(name: str, tag: str) -> list[str]:
    """Return the text of elements, taken straight from the page, but for those of its frame."""
    tree = lxml_html.fromstring(page(name).encode())
    found = []
    for element in tree.iter(tag):
        around = " ".join(
            value
            for above in [element, *element.iterancestors()]
            for value in (above.get("class") or "", above.tag)
        )
        if not re.search(r"nav(header|footer)|linenos|highlighttable|icon", around):
            for cell in element.iter("td", "th", "p", "br", "caption"):
                cell.tail = f" {cell.tail or ''}"
            for button in list(element.iter("button")):
                button.drop_tree()
            found.append(element.text_content())
    return found


@pytest.mark.parametrize("name", sorted(KEPT))
def test_headings_lists_tables_code_and_boxes_become_markdown(name: str):
    text = main_content(page(name))
    text = "\n".join(line.rstrip() for line in text.replace("\u00a0", " ").split("\n"))
    for part in KEPT[name]:
        assert part in text


@pytest.mark.parametrize("name", sorted(FRAME))
def test_the_frame_is_gone(name: str):
    text = main_content(page(name))
    assert [part for part in FRAME[name] if part in text] == []


@pytest.mark.parametrize("name", sorted(KEPT))
def test_each_word_of_tables_stays_in_its_order(name: str):
    text = re.sub(r"\]\([^)]*\)|<br>", " ", main_content(page(name)))
    for block in content_blocks(name, "table"):
        # A row says by itself what it is about: the cell above is written again.
        expected = words(block.replace("amber", "shut amber"))
        assert " ".join(expected) in " ".join(words(text))


@pytest.mark.parametrize("name", sorted(KEPT))
def test_each_line_of_code_stays_as_it_is_through_cleaning(name: str):
    text = outside_code(prose.normalise(main_content(page(name))), prose.unlink)
    for block in content_blocks(name, "pre"):
        code = block.strip("\n").rstrip()
        indents = [
            "\n".join(indent + line if line else "" for line in code.split("\n"))
            for indent in ("", "  ", "   ", "    ")
        ]
        assert any(indented in text for indented in indents), code


def test_a_section_named_like_boilerplate_stays():
    sections = "".join(
        f'<div class="{kind}" id="{name}"><h2 id="{name}">About {name}</h2><p>Text of it.</p></div>'
        for kind, name in [("section", "cookies"), ("sect1", "_share"), ("refsect1", "X-COMMENTS")]
    )
    text = main_content(f"<body>{sections}<h2 class='x' id='feedback'>Feedback</h2><p>y</p></body>")
    for name in ("cookies", "_share", "X-COMMENTS"):
        assert f"## About {name}\n\nText of it." in text
    assert "## Feedback" in text


TEXT = "The controller opens the valve when the soil is dry, and closes it again at night. " * 4


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            "<h2><button>How long?</button></h2><div class='collapse' hidden>A year.</div>",
            "## How long?\n\nA year.",
        ),
        ("<h2>Use <button>Copy</button></h2><p>it</p>", "## Use\n\nit"),
        ("<dl><dt><button>Is it loud?</button></dt><dd>No.</dd></dl>", "- Is it loud?\n  No."),
        (
            "<div><button>Is it?</button><div class='answer' aria-hidden='true'>No.</div></div>",
            "Is it?\n\nNo.",
        ),
        ("<details><summary><button>Why</button></summary>So.</details>", "Why\n\nSo."),
        ("<div><button role='tab'>Mac</button><button role='tab'>BSD</button></div>", "Mac\n\nBSD"),
        ("<p>a</p><button>Send it now</button><p>b</p>", "a\n\nb"),
        ("<p>a</p><div hidden>secret</div><p>b</p>", "a\n\nb"),
        ("<aside class='footnote-list'><aside role='note'>[1] Hard.</aside></aside>", "[1] Hard."),
        ("<aside><p>Oil the lock.</p></aside>", "Oil the lock."),
        ("<p>a</p><aside><a href='x'>More on locks</a></aside>", "a"),
        ("<p>it<a role='doc-noteref' href='#n1'>1</a>.</p>", "it[1]."),
        ("<div class='share-price'>It cost 12.</div>", "It cost 12."),
        (f"<div class='menu{'-bar' * 60}-x'>Soup of the day</div>", "Soup of the day"),
        ("<p>a</p><div class='social share-buttons'>Tell all</div>", "a"),
        ("<form><p>Fill in.</p><input type='text'></form>", "Fill in."),
        ("<p>a</p><form><label>Search</label><input type='search'></form>", "a"),
        ("<dl><dt>A</dt><dd></dd><dt>B</dt><dd>Two.</dd></dl>", "- A\n- B\n  Two."),
        ("<p>The <x-term>pump</x-term> and <label>this</label> run.</p>", "The pump and this run."),
        ("<p>Now <del>50</del> <s><code>40</code></s> 30.</p>", "Now ~~50~~ ~~`40`~~ 30."),
        ("<p>a</p><p>Next: <a rel='next' href='b'>Pumps</a>, Up: <a rel='up'>Top</a></p>", "a"),
        ("<p>r <math><mfrac><mi>a</mi><mn>2</mn></mfrac></math> m</p>", "r a/2 m"),
        ("<p><math><msqrt><mi>a</mi><mo>+</mo><mi>b</mi></msqrt></math></p>", "\u221a(a+b)"),
        ("<p>So <script type='math/tex'>\\pi r^2</script>.</p>", "So $\\pi r^2$."),
        ("<p>a</p><script type='text/javascript'>bad()</script>", "a"),
        (
            "<table><tfoot><tr><td>Sum</td><td>3</td></tr></tfoot><tr><th>A</th><th>B</th></tr>"
            "<tr><td>x</td><td><svg aria-label='Yes'></svg></td></tr></table>",
            "| A | B |\n|---|---|\n| x | Yes |\n| Sum | 3 |",
        ),
        ("<ol><li>one</li><li value='9'>nine</li><li>ten</li></ol>", "1. one\n9. nine\n10. ten"),
        ("<p>Fill in [date](place).</p>", "Fill in [date]\\(place)."),
        ("<p>Total<br>---<br>12</p>", "Total\n\\---\n12"),
        ("<h2 id='x'>Pumps <a href='#x'>\u00b6</a></h2>", "## Pumps"),
    ],
)  # fmt: skip
def test_what_a_reader_sees_of_a_page_is_text_and_its_controls_are_not(part: str, expected: str):
    text = main_content(f"<html><body><p>{TEXT}</p>{part}<p>{TEXT}</p></body></html>")
    assert text == f"{TEXT.strip()}\n\n{expected}\n\n{TEXT.strip()}"


def test_of_a_page_without_landmarks_lists_of_links_beside_the_text_go():
    links = "".join(f'<li><a href="/{n}">Topic {n}</a></li>' for n in range(9))
    inside = f"<p>{'Some words of text. ' * 20}</p><ul>{links.replace('Topic', 'See')}</ul>"
    text = main_content(f"<div><ul>{links}</ul></div><div><div>{inside}</div></div>")
    assert "Topic" not in text
    assert "See 8" in text


@pytest.mark.parametrize("parts", [1, 3])
def test_articles_that_are_parts_of_a_page_do_not_stand_for_all_of_it(parts: int):
    inside = "".join(f"<article><p>Part {n} of it.</p></article>" for n in range(parts))
    text = main_content(f"<div><h1>Pump</h1><p>{TEXT * 3}</p>{inside}</div>")
    assert text.startswith(f"# Pump\n\n{TEXT.strip()}") and f"Part {parts - 1} of it." in text


def test_an_article_with_teasers_of_others_beside_it_stands_for_the_page():
    others = "".join(f"<article><p>Teaser {n}.</p></article>" for n in range(5))
    page = f"<div><article><p>{TEXT * 9}</p></article>{others}<p>Words of the site.</p></div>"
    text = main_content(page)
    assert TEXT.strip() in text and "Teaser" not in text


def test_a_table_that_lays_out_the_page_is_unfolded():
    page = "<table><tr><td><h2>A</h2><p>one</p></td><td><pre>x\n  y</pre></td></tr></table>"
    assert main_content(page) == "## A\n\none\n\n```\nx\n  y\n```"


@pytest.mark.parametrize(
    "page",
    [
        "<div class='fragment'><div class='line'><span class='lineno'>1</span>x {</div>"
        "<div class='line'>  y;</div><div class='line'>}</div></div>",
        "<table class='highlight'><tr><td class='blob-num'>1</td><td class='blob-code'>x {</td>"
        "</tr><tr><td class='blob-num'>2</td><td class='blob-code'>  y;</td></tr>"
        "<tr><td class='blob-num'>3</td><td class='blob-code'>}</td></tr></table>",
        "<textarea readonly>x {\n  y;\n}</textarea>",
    ],
)
def test_lines_of_code_that_a_page_draws_one_by_one_are_one_block(page: str):
    assert main_content(f"<main><p>a</p>{page}<p>b</p></main>") == (
        "a\n\n```\nx {\n  y;\n}\n```\n\nb"
    )


def test_a_field_to_write_into_is_no_text():
    assert main_content("<main><p>a</p><textarea>Your words</textarea><p>b</p></main>") == "a\n\nb"


def test_a_table_without_a_header_has_an_empty_one():
    page = "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>"
    assert main_content(page) == "|  |  |\n|---|---|\n| a | b |\n| c | d |"


@pytest.mark.parametrize(
    ("inline", "expected"),
    [
        ('See B.<a href="#r">\u21a9</a> C <a href="#s">\u21a9\ufe0e</a>', "See B. C"),
        ("a<b>b</b>c", "a**b**c"),
        ("<b> b </b>c", "**b** c"),
        ("<code>a</code><code>b</code>", "`ab`"),
        ("<em><code>a</code></em>", "`a`"),
        ("<code>a<em>b</em></code>", "`ab`"),
        ("<code>a`b</code>", "``a`b``"),
        ("<b><i></i></b>x", "x"),
        ("<b><b>a</b></b>", "**a**"),
        ("<a href='x y(1)'>a</a>", "[a](x%20y%281%29)"),
        ("<a href='#top'>a</a>", "a"),
        ("<a href='javascript:x()'>a</a>", "a"),
        ("<a href='https://e.example'>https://e.example</a>", "https://e.example"),
        ("m<sup>2</sup> 3<sup>rd</sup>", "m^2 3rd"),
        ("a<br>b", "a\nb"),
        ("a<br><br><br>b", "a\n\nb"),
        ("# a", "\\# a"),
        ("```", "\\```"),
        ("<q>a</q>", '"a"'),
        ("a<script>x</script><!-- y -->b", "ab"),
    ],
)
def test_text_within_a_line(inline: str, expected: str):
    assert main_content(f"<main><p>{inline}</p></main>") == expected


def test_emphasis_around_blocks_goes_on_in_each():
    assert main_content("<main><b><div>a</div><div>b</div></b></main>") == "**a**\n\n**b**"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<div>" * 100_000 + "deep" + "</div>" * 100_000 + "<p>after</p>", "deep\n\nafter"),
        ("<div>" * 1_500 + "deep" + "</div>" * 1_500 + "<p>after</p>", "deep\n\nafter"),
        ("<dl>" + "<dt>a<dd>b" * 3 + "</dl>", "- a\n  b\n- a\n  b\n- a\n  b"),
        ("<table><tr><td colspan=99999999>a<td>b<tr><td rowspan=70000>c<td>d</table>", None),
        ("<ul><li>a" * 500, None),
        ("<blockquote>" * 900 + "x" * 1000, None),
        ("<table>" + "<tr><td>a" * 20_000, None),
        ("<b>" * 1_000 + "<p>x</p>" * 2_000, None),
        ("<div class=nav>" * 1_000 + "<p>x" * 2_000, None),
        ("<code>a</code>" * 20_000, None),
        ("<main>" * 1_000 + "<article>" * 500 + "<p>x" * 2_000, None),
    ],
)
@pytest.mark.timeout(20)
def test_hostile_markup_ends_in_time_and_makes_no_large_text(page: str, expected: str | None):
    text = main_content(page)
    assert len(text) < 10 * len(page)
    assert expected is None or text == expected


TAGS = st.sampled_from(
    [
        *("p", "div", "ul", "ol", "li", "dl", "dt", "dd", "table", "tr", "td", "th", "pre", "code"),
        *("b", "em", "a", "h1", "h3", "blockquote", "br", "span", "main", "article", "section"),
        *("nav", "form", "sup", "math", "img", "tbody", "thead", "caption"),
    ]
)
MARKUP = st.lists(
    st.one_of(
        TAGS.map(lambda tag: f"<{tag}>"),
        TAGS.map(lambda tag: f"</{tag}>"),
        st.sampled_from(["word", " ", "\n", "a|b", "`", "*", "<", "&amp;", "<!-- c -->", "\x00"]),
        st.sampled_from(["<div class=note>", "<td class=icon>", "<div id=footer>", "<p hidden>"]),
    ),
    max_size=60,
)


@given(MARKUP)
def test_any_markup_gives_a_text_without_loss_of_order(parts: list[str]):
    page = "".join(parts)
    assert main_content(page) == main_content(page)
    assert "\x00" not in main_content(page)


@given(st.lists(st.tuples(st.sampled_from(["p", "li", "td", "dd", "pre", "h2", "b"]))))
def test_all_words_of_plain_markup_are_kept_in_order(tags: list[tuple[str]]):
    body = "".join(f"<{tag}>w{number} </{tag}>" for number, (tag,) in enumerate(tags))
    assert words(main_content(f"<main>{body}</main>")) == [f"w{n}" for n in range(len(tags))]
