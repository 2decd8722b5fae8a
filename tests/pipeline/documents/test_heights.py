"""Exponents and indices of each format stay apart from what they stand beside."""

import io

import pytest
from pptx import Presentation
from pptx.util import Inches

from pipeline.documents.clean.web.page import main_content
from pipeline.documents.readers import docx, mail, pdf, rst, slides, web
from tests.pipeline.documents import making
from tests.pipeline.documents.test_code import cleaned


@pytest.mark.parametrize(
    ("inline", "expected"),
    [
        ("10<sup>6</sup> rows", "10^6 rows"),
        ("10<sup>-6</sup> and 10<sup>6.5</sup>", "10^-6 and 10^6.5"),
        ("10 <sup>9</sup>", "10 ^9"),
        ("2<sup>n+1</sup> and x<sup>1/2</sup>", "2^(n+1) and x^(1/2)"),
        ("(1+x)<sup>2</sup>", "(1+x)^2"),
        ("<i>x</i><sup>2</sup> and 2<sup><i>n</i></sup>", "*x*^2 and 2^n"),
        ("2<sup>n</sup>m and 2<sup>2</sup>3 and x<sup>2</sup>y", "2^(n)m and 2^(2)3 and x^2y"),
        ("2<sup>2<sup>n</sup></sup>", "2^(2^n)"),
        ("<code>2<sup>16</sup></code>", "`2^16`"),
        ("f<sup>(n)</sup>", "f^(n)"),
        ("2<sup>1</sup>\u2044<sub>2</sub> cups", "2 1\u20442 cups"),
        ("5<sup>th</sup>, 3<sup>rd</sup>, Name<sup>TM</sup>, Name<sup>\u00ae</sup>", None),
        ("L<sup>A</sup>T<sub>E</sub>X", "LATEX"),
        ("of pumps<sup>1</sup> and more.<sup>2,3</sup>", "of pumps[1] and more.[2,3]"),
        ("of <a href='#n4'><sup>4</sup></a> it<sup><a href='#n5'>5</a></sup>", "of [4] it[5]"),
        ("as known<sup>[6]</sup>", "as known[6]"),
        ("CO<sub>2</sub> and H<sub>2</sub>O", "CO2 and H2O"),
        ("10<sub>2</sub>, x<sub>i</sub><sup>2</sup>, a<sub>n+1</sub>", "10_2, x_i^2, a_(n+1)"),
        ("10\u2076 and x\u207f\u207a\u00b9 and H\u2082O", None),
        ("<math><msup><mi>x</mi><mn>12</mn></msup></math>", "x^12"),
        ("<math><msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup></math>", "x_i^2"),
    ],
)
def test_raised_and_lowered_text_of_a_page_is_told_from_its_base(inline: str, expected: str | None):
    expected = expected or inline.replace("<sup>", "").replace("</sup>", "")
    page = f"<main><p>{inline}</p></main>"
    assert cleaned(page, "html") == expected
    assert web.read(f"<h1>{inline}</h1>".encode()).records[0].title


def test_a_formula_of_a_thousand_levels_is_read():
    deep = "<msup><mi>x</mi>" * 1_500 + "<mn>2</mn>" + "</msup>" * 1_500
    assert main_content(f"<main><p><math>{deep}</math></p></main>").startswith("x^(x^(")


def test_a_power_in_code_and_in_a_title_is_one():
    page = b"<h1>All 10<sup>6</sup> rows</h1><pre>a = 2<sup>n-1</sup>\nb<sub>i</sub></pre>"
    (record,) = web.read(page).records
    assert record.title == "All 10^6 rows"
    assert main_content(record.text) == "# All 10^6 rows\n\n```\na = 2^(n-1)\nb_i\n```"


def test_raised_runs_of_a_word_file_are_exponents():
    def run(text: str, height: str = "") -> str:
        look = f'<w:rPr><w:vertAlign w:val="{height}"/></w:rPr>' if height else ""
        return f'<w:r>{look}<w:t xml:space="preserve">{text}</w:t></w:r>'

    up, down = "superscript", "subscript"
    runs = run("About 10") + run("6", up) + run(" rows of H") + run("2", down) + run("O in 2")
    runs += run("n", up) + run("+1", up) + run(" beds, the 3") + run("rd", up) + run(" pump")
    text = docx.read(making.docx(f"<w:p>{runs}</w:p>")).records[0].text
    assert text == "About 10^6 rows of H2O in 2^(n+1) beds, the 3rd pump"


def test_raised_runs_of_slides_are_exponents_in_titles_boxes_and_tables():
    def fill(frame, *runs):
        for text, baseline in runs:
            run = frame.paragraphs[0].add_run()
            run.text = text
            if baseline:
                run.font._element.set("baseline", baseline)

    shown = Presentation()
    slide = shown.slides.add_slide(shown.slide_layouts[5])
    place = [Inches(1)] * 4
    fill(slide.shapes.title.text_frame, ("All 10", ""), ("6", "30000"))
    box = slide.shapes.add_textbox(*place).text_frame
    fill(box, ("2", ""), ("n", "30000"), ("+1", "30%"), (" of CO", ""), ("2", "-25000"))
    table = slide.shapes.add_table(1, 2, *place).table
    fill(table.cell(0, 0).text_frame, ("t", "0"), ("2", "30000"))
    stream = io.BytesIO()
    shown.save(stream)
    text = slides.read(stream.getvalue()).records[0].text
    assert text == "# All 10^6\n\n2^(n+1) of CO2\n\n| t^2 |  |\n| --- | --- |"


def test_raised_letters_of_a_pdf_are_exponents_and_its_notes_are_marked():
    def shown(*parts: tuple[str, float, float, float]) -> bytes:
        return b"".join(
            f"BT /F {size} Tf {x} {y} Td ({text}) Tj ET\n".encode() for text, x, y, size in parts
        )

    drawn = shown(
        ("The table has 10", 50, 600, 11),
        ("-6", 129, 604, 7),
        (" of 2", 136.5, 600, 11),
        ("n", 160.5, 604, 7),
        (" rows of H", 165, 600, 11),
        ("2", 212.6, 598, 7),
        ("O in a report", 217, 600, 11),
        ("3", 281, 604, 7),
        (", and no more.", 285.5, 600, 11),
        ("The next line stands below it.", 50, 586, 11),
    )
    page = making.body("A first line stands above the others in full length.")
    text = pdf.read(making.pdf([page], drawn=[drawn])).records[0].text
    assert text.split("\n")[-2:] == [
        "The table has 10^-6 of 2^n rows of H2O in a report[3], and no more.",
        "The next line stands below it.",
    ]


def test_superscripts_and_literals_of_rst_are_kept():
    source = (
        "About 10\\ :sup:`6` rows of 2\\ :sup:`n+1`, x\\ :sub:`i`; ``a  ` b``.\n\n"
        "==== ====\nname ``a  b``\n==== ====\n"
    )
    text = rst.read(source.encode()).records[0].text
    assert text.startswith("About 10^6 rows of 2^(n+1), x_i; ``a  ` b``.\n\n| name | `a  b` |")


def test_exponents_of_a_mail_in_html_are_kept():
    data = b"Subject: s\nContent-Type: text/html\n\n<p>About 10<sup>6</sup> rows.</p>"
    (record,) = mail.read(data).records
    assert main_content(record.text) == "About 10^6 rows."
