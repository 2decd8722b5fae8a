"""The ledger of what is left out on purpose: by readers and by cleaning, kind by kind."""

from email.message import EmailMessage
from pathlib import Path

import pytest

from pipeline.core.outcome import table
from pipeline.documents.clean.clean import clean
from pipeline.documents.clean.web.page import main_content
from pipeline.documents.left_out import UNITS, entries, leave_out, ledger
from pipeline.settings import CleanSettings
from schemas.documents import RawDocuments
from tests.pipeline.documents import making
from tests.pipeline.documents.packing import failure, reading, zipped

PICTURE = b"q 500 0 0 700 50 50 cm BI /W 1 /H 1 /BPC 8 /CS /G ID \x00 EI Q\n"
PROSE = making.body("The valve opens at five bar.", "It closes again at two.")


def of_page(html: str) -> dict[str, int]:
    with ledger() as noted:
        main_content(html)
    return {kind: amount for kind, amount, _ in entries(noted)}


def of_file(name: str, data: bytes) -> dict[str, tuple[int, str]]:
    record = reading(name, data).records[0]
    return {kind: (amount, detail) for kind, amount, detail in record.left_out}


def test_notes_go_to_the_innermost_ledger_and_nowhere_without_one():
    leave_out("pictures", 1)
    with ledger() as outer:
        leave_out("pictures", 2, "a.png")
        with ledger() as inner:
            leave_out("forms", 1)
        leave_out("pictures", 1, "b.png")
        leave_out("scripts", 0)
    assert entries(outer) == (("pictures", 3, "a.png; b.png"),)
    assert entries(inner) == (("forms", 1, ""),)


def test_a_page_tells_its_frame_hidden_text_pictures_scripts_and_forms():
    text = "<p>" + "The valve opens at five bar. " * 9 + "</p>"
    assert of_page(f"<main>{text}</main>") == {}
    assert of_page(
        f"<nav>Home <script>var a = 1</script>Shop</nav><main>{text}<img src=a.png>"
        "<div hidden>not for you</div><button>Copy</button><script>run()</script></main>"
        "<footer>All rights reserved</footer><iframe src=b></iframe>"
    ) == {
        "navigation": 5, "hidden": 3, "pictures": 1, "scripts": 1, "forms": 1, "embedded": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "kind", "amount", "detail"),
    [
        ("a.tex", rb"Five bar. \begin{tikzpicture}\draw\end{tikzpicture}", "skipped", 1, "tikz"),
        ("a.tex", rb"Five bar. \input{limits}", "warnings", 1, "limits"),
        ("a.rst", b"Five bar.\n\n.. image:: a.png\n", "pictures", 1, ""),
    ],
)
def test_what_pandoc_does_not_read_is_told(
    name: str, data: bytes, kind: str, amount: int, detail: str
):
    found = of_file(name, data)
    assert found[kind][0] == amount and detail in found[kind][1]
    assert of_file(name, b"Five bar.\n") == {}


def test_a_failure_of_pandoc_is_told_without_what_it_said_before():
    with pytest.raises(Exception, match=r"exit code 64: Error at"):
        reading("a.tex", rb"\begin{document} \foo{bar} $x ")


def test_pages_that_are_pictures_need_ocr_and_are_numbered():
    scanned = making.pdf([PROSE, [], [], PROSE, []], drawn=[b"", PICTURE, PICTURE, PICTURE, b""])
    assert of_file("a.pdf", scanned) == {"needs_ocr": (2, "2-3"), "pictures": (1, "")}
    assert of_file("a.pdf", making.pdf([PROSE, []])) == {}
    assert failure("a.pdf", making.pdf([[], []], drawn=[PICTURE, b""])) == "needs_ocr"
    assert failure("a.pdf", making.pdf([[]])) == "no_text_in_pdf"


def test_attachments_are_counted_and_a_member_keeps_its_own_ledger():
    mail = EmailMessage()
    mail["subject"] = "Valve"
    mail.set_content("The valve opens at five bar.")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="limits.pdf")
    assert of_file("a.eml", bytes(mail)) == {"attachments": (1, "limits.pdf")}
    packed = zipped({"a.md": "# Valve", "b.eml": bytes(mail)})
    first, second = reading("a.zip", packed).records
    assert first.left_out == () and [each.kind for each in second.left_out] == ["attachments"]


def test_the_tables_of_both_stages_hold_it_and_the_cache_gives_it_again(tmp_path: Path):
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.pdf").write_bytes(making.pdf([PROSE, []], drawn=[b"", PICTURE]))
    for _ in range(2):
        found = making.read(root, tmp_path / "home")
        _, rows = found.tables["left_out"]
        assert rows.select("source", "kind", "amount", "detail").rows() == [
            ("a.pdf", "needs_ocr", 1, "2")
        ]
    page = making.raw(
        "<nav>Home Shop</nav><main><p>Too short to be kept.</p></main>", "html", number=1
    )
    notes = making.raw("---\ntitle: Valve\n---\n\nText <!-- not so -->\n", number=2)
    result = clean(table(RawDocuments, [page, notes]), CleanSettings(languages=()))
    _, rows = result.tables["left_out"]
    assert set(rows.select("kind", "amount").rows()) >= {("navigation", 2), ("metadata", 4)}
    assert set(rows["kind"]) <= UNITS.keys() and result.kept.is_empty()
