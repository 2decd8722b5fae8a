"""Formats that pandoc reads, and the shelf of all readers."""

import json
import subprocess

import pytest

from pipeline.documents.readers import pandoc
from pipeline.documents.readers.formats import EXTENSIONS, READERS
from tests.pipeline.documents import making
from tests.pipeline.documents.packing import failure, reading, zipped

TEX = r"""\documentclass{article}
\title{Pumps}
\begin{document}
\maketitle
\section{Care}
About $10^6$ rows\footnote{A note.} of \texttt{a  b}.
\begin{verbatim}
x  =  1
	tab
\end{verbatim}
\begin{tabular}{lll}A & \multicolumn{2}{c}{B} \\ 1 & 2 & 3 \\ \end{tabular}
\end{document}
"""
ORG = """#+TITLE: Pumps
* Care
About 10^6 rows[fn:1] and $x_i$.
#+BEGIN_SRC python
x  =  2**3
#+END_SRC

[fn:1] A note.
"""
WIKI = """= Care =
About 10<sup>6</sup> rows<ref>A note.</ref>.
<syntaxhighlight lang="python">
x  =  2**3
</syntaxhighlight>
"""
BOOK = """<?xml version="1.0" encoding="iso-8859-1"?>
<article xmlns="http://docbook.org/ns/docbook"><title>Pumps</title><section><title>Care</title>
<para>Gr\xf6\xdfe 10<superscript>6</superscript><footnote><para>A note.</para></footnote>.</para>
<programlisting language="c">x  =  1;</programlisting></section></article>
"""
MAN = """.TH PUMP 1
.SH NAME
pump \\- moves \\fBwater\\fR
.SH EXAMPLE
.Vb 2
\\&    x  =  1
\\&    y  =  2
.Ve
"""
MDOC = ".Dd May 1, 2024\n.Dt PUMP 1\n.Os\n.Sh NAME\n.Nm pump\n.Nd moves water\n"
POD = "=head1 Care\n\nSome B<rows> of C<a b>.\n\n    x  =  1\n\n=over\n\n=item one\n\n=back\n"
RTF = r"{\rtf1\ansi About 10{\super 6} rows, \b bold\b0 .\par}"
NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": "python"}, "kernelspec": {"language": "python"}},
        "cells": [
            {
                "cell_type": "markdown",
                "id": "a",
                "metadata": {},
                "source": "# Care\n\nIt is $x_i$.",
            },
            {
                "cell_type": "code",
                "id": "b",
                "metadata": {},
                "execution_count": 1,
                "source": "x  =  2**3\nprint(x)",
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "8\n"}],
            },
        ],
    }
)


def odt() -> bytes:
    """Return an OpenDocument text."""
    page = "<h1>Care</h1><p>About 10<sup>6</sup> rows.</p><ul><li>a<ul><li>b</li></ul></li></ul>"
    command = [pandoc._program(), "--from=html", "--to=odt", "--output=-"]
    return subprocess.run(command, input=page.encode(), capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        (
            "a.tex",
            TEX,
            "# Pumps\n\n## Care\n\nAbout $10^6$ rows[1] of `a b`.\n\n```\nx  =  1\n\ttab\n```\n\n"
            "| A | B |  |\n|---|---|---|\n| 1 | 2 | 3 |\n\n1. A note.",
        ),
        (
            "a.org",
            ORG,
            "# Pumps\n\n## Care\n\nAbout 10^6 rows[1] and $x_i$.\n\n```python\nx  =  2**3\n```\n\n"
            "1. A note.",
        ),
        (
            "a.wiki",
            WIKI,
            "# Care\n\nAbout 10^6 rows[1].\n\n```python\nx  =  2**3\n```\n\n1. A note.",
        ),
        (
            "a.xml",
            BOOK.encode("latin-1"),
            "# Pumps\n\n## Care\n\nGröße 10^6[1].\n\n```c\nx  =  1;\n```\n\n1. A note.",
        ),
        (
            "pump.1",
            MAN,
            "# PUMP\n\n## NAME\n\npump - moves **water**\n\n## EXAMPLE\n\n"
            "```\n    x  =  1\n    y  =  2\n```",
        ),
        (
            "a.pod",
            POD,
            "# Care\n\nSome **rows** of `a b`.\n\n```\n    x  =  1\n```\n\n- one",
        ),
        ("a.rtf", RTF, "About 10^6 rows, **bold**."),
        (
            "a.ipynb",
            NOTEBOOK,
            "# Care\n\nIt is $x_i$.\n\n```python\nx  =  2**3\nprint(x)\n```\n\n```\n8\n```",
        ),
        ("a.odt", odt(), "# Care\n\nAbout 10^6 rows.\n\n- a\n  - b"),
    ],
)
def test_formulas_notes_code_and_levels_arrive(name: str, data: str | bytes, text: str):
    (record,) = reading(name, data.encode() if isinstance(data, str) else data).records
    assert record.text == text


def test_bars_and_lines_of_tables_in_latex_arrive_and_code_keeps_their_commands():
    source = r"""\begin{document}
Use \texttt{a\textbar{}b}.

\begin{tabular}{ll}
a & 1 \\ \cline{2-2}
b & 2 \\
\end{tabular}
\begin{verbatim}
\cline{1-2} \textbar
\end{verbatim}
\end{document}"""
    (record,) = reading("a.tex", source.encode()).records
    assert record.text == (
        "Use `a|b`.\n\n| a | 1 |\n|---|---|\n| b | 2 |\n\n```\n\\cline{1-2} \\textbar\n```"
    )


def test_headings_of_org_keep_their_level_below_the_third():
    (record,) = reading("a.org", b"* A\n** B\n*** C\n**** D\nWords.\n").records
    assert record.text == "# A\n\n## B\n\n### C\n\n#### D\n\nWords."


@pytest.mark.parametrize("system", [".Os", ".Os BSD 4", '.Os "Linux NetKit (0.17)"', ". Os"])
def test_a_page_in_mdoc_is_one_of_the_manual_whatever_system_it_names(system: str):
    data = MDOC.replace(".Os", system)
    assert "moves water" in reading("pump.1", data.encode()).records[0].text


@pytest.mark.parametrize(
    "line", [".Xr pipe", ".Xo", ". Fl x", "", ".B pipe", ".sp 1", ".Sm on ,", ".Bl -tag -compress"]
)
def test_a_macro_of_mdoc_that_pandoc_cannot_read_costs_no_page(line: str):
    data = f"{MDOC}.Sh CARE\nDrain it.\n{line}\nIn winter.\n.Sh SEE ALSO\nvalve\n"
    text = reading("pump.1", data.encode()).records[0].text
    assert "## CARE" in text and "Drain it." in text and "In winter." in text
    assert text.endswith("## SEE ALSO\n\nvalve")


def test_a_macro_whose_definition_pandoc_cannot_read_costs_no_page():
    macro = ".de VS\n.if t .ne 3\n.ie n \\{\\\n.in 1\n.el \\}\\\n..\n"
    data = f"{macro}.TH PUMP 1\n.SH CARE\nDrain it.\n.VS\nIn winter.\n"
    text = reading("pump.1", data.encode()).records[0].text
    assert "## CARE" in text and "Drain it." in text and "In winter." in text


def test_the_first_lines_of_mdoc_may_stand_in_any_order():
    data = '.Dt PUMP 1\n.\\" A comment.\n.Os BSD\n.Dd May 1, 2024\n.Sh NAME\n.Nm pump\n.Nd moves'
    assert reading("pump.1", data.encode()).records[0].text.endswith("## NAME\n\n`pump` — moves")


def test_merged_cells_and_notes_of_a_word_file_arrive():
    cell = "<w:tc><w:tcPr>{}</w:tcPr><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    rows = [
        [cell.format("", "Part"), cell.format("", "Bar")],
        [cell.format('<w:vMerge w:val="restart"/>', "Valve"), cell.format("", "4")],
        [cell.format("<w:vMerge/>", ""), cell.format("", "5")],
        [cell.format('<w:gridSpan w:val="2"/>', "both")],
    ]
    table = "".join(f"<w:tr>{''.join(row)}</w:tr>" for row in rows)
    grid = "<w:tblGrid><w:gridCol/><w:gridCol/></w:tblGrid>"
    data = making.docx(f"{making.paragraph('Words.')}<w:tbl>{grid}{table}</w:tbl>")
    (record,) = reading("a.docx", data).records
    assert record.text == (
        "Words.\n\n| Part | Bar |\n|---|---|\n| Valve | 4 |\n| Valve | 5 |\n| both |  |"
    )


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("syslog.1", b"Jan 1 pump: started", "unknown_format"),
        ("pom.xml", b"<project/>", "unknown_format"),
        ("a.1", b".so man1/b.1\n", "empty_file"),
        ("a.txt", b"{\\rtf1 x}", "wrong_extension"),
        ("a.rtf", b"{\\rtf1 not closed", "unreadable_rtf"),
        ("a.ipynb", b"{}", "unreadable_ipynb"),
        ("a.tex", b"$" * 999, "unreadable_latex"),
        ("a.org", b"", "empty_file"),
        ("a.wiki", b"\0a", "binary_file"),
        ("a.odt", b"", "empty_file"),
        ("a.odt", b"PK\x03\x04 cut", "unreadable_odt"),
        ("a.odt", zipped({"content.xml": b" " * 2**26}), "zip_bomb"),
        (
            "a.odt",
            zipped({"content.xml": "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>" * 9}),
            "xml_entities",
        ),
        (
            "a.odt",
            zipped({"META-INF/manifest.xml": "<manifest:encryption-data/>"}),
            "encrypted_office",
        ),
    ],
)
def test_what_gives_no_text_has_a_reason_that_the_shelf_tells(name: str, data: bytes, reason: str):
    assert failure(name, data) == reason
    reader = READERS[EXTENSIONS[f".{name.rpartition('.')[2]}"]]
    general = {"unknown_format", "wrong_extension", f"unreadable_{reader.name}"}
    assert reason in {*reader.reasons, *general}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.tex", r"\input{%s} \include{%s} \verbatiminput{%s} Words."),
        ("a.org", '#+INCLUDE: "%s"\n#+SETUPFILE: %s\nWords.'),
        ("a.1", ".TH A 1\n.so %s\nWords."),
        (
            "a.dbk",
            '<article xmlns="http://docbook.org/ns/docbook" xmlns:x="http://www.w3.org/2001/'
            'XInclude"><para>Words.</para><x:include href="%s" parse="text"/></article>',
        ),
    ],
)
def test_no_other_file_is_read(name: str, source: str, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    (record,) = reading(name, source.replace("%s", str(secret)).encode()).records
    assert "Words." in record.text
    assert "hidden" not in record.text


def test_each_extension_has_one_reader():
    assert sum(len(reader.extensions) for reader in READERS.values()) == len(EXTENSIONS)


def test_text_around_a_box_and_moved_text_of_a_word_file_arrive():
    run = "<w:r><w:t>{}</w:t></w:r>"
    box = (
        '<w:r><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility'
        f'/2006"><mc:Choice><w:txbxContent><w:p>{run.format("Inside.")}</w:p></w:txbxContent>'
        "</mc:Choice></mc:AlternateContent></w:r>"
    )
    moved = f'<w:p><w:moveTo w:id="4">{run.format("Moved.")}</w:moveTo></w:p>'
    around = f"<w:p>{run.format('Before. ')}{box}{run.format('After.')}</w:p>"
    (record,) = reading("a.docx", making.docx(around + moved)).records
    assert record.text.split() == ["Before.", "After.", "Inside.", "Moved."]
    table = making.grid(["a", "b", "c"], ["1", "2", "3"]).replace("<w:tbl>", "<w:tbl><w:tblGrid/>")
    (record,) = reading("a.docx", making.docx(table)).records
    assert record.text == "| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |"
