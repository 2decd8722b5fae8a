"""Word files: code, headings and fields by their styles, fonts and outline levels."""

import pytest

from tests.pipeline.documents import making
from tests.pipeline.documents.packing import reading

PROGRAM = ["for bed in beds:", "    # water it", "    bed.open()", "", "close()"]
BLOCK = "```\n" + "\n".join(PROGRAM) + "\n```"
COURIER = '<w:rPr><w:rFonts w:ascii="Courier New"/></w:rPr>'
PROSE = making.paragraph("Water all beds before the sun is up, and never at noon. " * 4)


def style(name: str, inside: str = "", kind: str = "paragraph") -> str:
    return (
        f'<w:style w:type="{kind}" w:styleId="S"><w:name w:val="{name}"/>{inside}</w:style>'
        '<w:style w:type="paragraph" w:styleId="D"><w:name w:val="Ours"/><w:basedOn w:val="S"/>'
        "</w:style>"
    )


def text(blocks: str, styles: str = "") -> str:
    (record,) = reading("a.docx", making.docx(blocks, styles)).records
    return record.text


def program(look: str) -> str:
    return "".join(making.paragraph(line, look) for line in PROGRAM)


@pytest.mark.parametrize("look", ["S", "D"])
@pytest.mark.parametrize(
    "known",
    [
        style("HTML Preformatted"),
        style("Source Code"),
        style("Code"),
        style("code-block"),
        style("Preformatted Text"),
        style("Sample", COURIER),
    ],
)
def test_paragraphs_in_a_style_of_code_are_one_block(known, look):
    assert text(PROSE + program(look) + PROSE, known).split("\n\n", 1)[1].startswith(BLOCK)


def test_paragraphs_in_a_font_of_one_width_are_code():
    lines = [making.paragraph(line).replace("<w:r>", f"<w:r>{COURIER}") for line in PROGRAM]
    lines[3] = "<w:p/>"  # a blank line that has no font
    assert BLOCK in text(PROSE + "".join(lines))


def test_a_text_that_is_all_typewritten_is_no_code():
    typed = PROSE.replace("<w:r>", f"<w:r>{COURIER}")
    assert "`" not in text(typed * 2)
    assert "`" not in text(making.paragraph("Water all beds.", "S") * 2, style("Body", COURIER))


@pytest.mark.parametrize("name", ["Dress code", "Postcode", "Code of conduct", "Barcode"])
def test_a_style_named_after_another_code_is_none(name):
    assert "`" not in text(PROSE + making.paragraph("Wear boots.", "S"), style(name))


def test_words_in_a_style_or_font_of_code_are_a_code_span():
    run = "<w:r>{}<w:t>{}</w:t></w:r>"
    named = run.format('<w:rPr><w:rStyle w:val="S"/></w:rPr>', "os.path")
    typed = run.format(COURIER, "rm -r")
    line = f"<w:p>{run.format('', 'Call ')}{named}{run.format('', ', not ')}{typed}</w:p>"
    assert text(PROSE + line, style("HTML Code", kind="character")).endswith(
        "Call `os.path`, not `rm -r`"
    )


def test_tabs_and_line_breaks_of_code_stay():
    lines = (
        '<w:p><w:pPr><w:pStyle w:val="S"/></w:pPr><w:r><w:t>if x:</w:t><w:br/><w:tab/>'
        "<w:t>run()</w:t></w:r></w:p>"
    )
    assert "```\nif x:\n\trun()\n```" in text(PROSE + lines, style("Code"))


@pytest.mark.parametrize(("level", "mark"), [(0, "#"), (1, "##"), (7, "######")])
def test_an_outline_level_is_a_heading(level, mark):
    outline = f'<w:pPr><w:outlineLvl w:val="{level}"/></w:pPr>'
    direct = making.paragraph("Pumps").replace("<w:p>", f"<w:p>{outline}")
    assert text(direct + PROSE).startswith(f"{mark} Pumps\n\n")
    assert text(making.paragraph("Pumps", "D") + PROSE, style("House", outline)).startswith(
        f"{mark} Pumps\n\n"
    )


def test_an_outline_level_of_text_is_no_heading():
    outline = '<w:pPr><w:outlineLvl w:val="{}"/></w:pPr>'
    for block, level in ((making.paragraph("Pumps"), 9), (PROSE, 1)):
        assert "#" not in text(block.replace("<w:p>", f"<w:p>{outline.format(level)}"))
    cell = making.grid(["a"]).replace("<w:p>", f"<w:p>{outline.format(0)}")
    assert "# a" not in text(PROSE + cell)


def test_a_style_that_is_based_on_itself_ends():
    looped = style("House", '<w:basedOn w:val="D"/>')
    assert text(making.paragraph("Pumps", "D"), looped) == "Pumps"


@pytest.mark.parametrize(
    "field",
    [
        '<w:fldSimple w:instr=" SEQ Table "><w:r><w:t>7</w:t></w:r></w:fldSimple>',
        '<w:fldSimple w:instr=" REF _Ref1 \\h "><w:r><w:t>7</w:t></w:r></w:fldSimple>',
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> REF _Ref1 \\h '
        '</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>7</w:t>'
        '</w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>',
        '<w:bdo w:val="rtl"><w:r><w:t>7</w:t></w:r></w:bdo>',
        '<w:dir w:val="ltr"><w:r><w:t>7</w:t></w:r></w:dir>',
        '<w:dir w:val="ltr"><w:fldSimple w:instr="PAGEREF x"><w:r><w:t>7</w:t></w:r></w:fldSimple>'
        "</w:dir>",
    ],
)
def test_fields_and_text_of_a_set_direction_arrive(field):
    line = f'<w:p><w:r><w:t xml:space="preserve">See table </w:t></w:r>{field}</w:p>'
    assert text(line) == "See table 7"
