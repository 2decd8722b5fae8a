"""A folder of 300 hostile files: what a corpus from elsewhere may hold, by chance or by design.

``python -m tests.pipeline.documents.hostile FOLDER`` writes it for a look.
"""

import os
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.pipeline.documents import hostile_binary as binary
from tests.pipeline.documents import hostile_text as text
from tests.pipeline.documents import making, packing

COUNT = 300

DOCUMENT = "document"
"""Stands among the reasons: a reader may make something of the file."""

ANY = frozenset[str]()
"""No expectation but an end: a document, or whichever reason."""

BROKEN_PDF = frozenset({"unreadable_pdf", "no_text_in_pdf", "encrypted_pdf", DOCUMENT})
BROKEN_DOCX = frozenset({"unreadable_docx"})
MISNAMED = frozenset({"wrong_extension"})
BOMB = frozenset({"zip_bomb"})
CUT = frozenset({"unreadable_archive", "zip_bomb", "unknown_format"})
ENTITIES = frozenset({"xml_entities"})
UNSAFE = frozenset({"unsafe_path", "empty_file"})
"""``/`` alone is a folder, so that its archive is empty."""
NO_TEXT = frozenset({"binary_file", "undecodable", "empty_file"})
LIMITS = frozenset({"reader_timeout", "out_of_memory", "too_large"})

File = tuple[str, bytes, frozenset[str]]
"""Name, content, expected reasons."""


def make(folder: Path, outside: Path, seed: int = 0) -> dict[str, frozenset[str]]:
    """Write the files.

    Args:
        folder: Empty; gets them all.
        outside: A folder with a file ``secret.md`` that links, archives and entities aim at.
        seed: Of the bytes that are changed and the places where files are cut.

    Returns:
        Name (as a source) -> the reasons that are right for it; see :data:`ANY`.
    """
    expected = _special(folder, outside)
    for name, data, reasons in _files(outside, random.Random(seed)):
        assert name not in expected, name
        (folder / name).write_bytes(data)
        expected[name] = reasons
    assert len(expected) <= COUNT
    # The rest: real files with some bytes changed, each another one.
    for number in range(COUNT - len(expected)):
        name, data = list(_good().items())[number % 3]
        stem, _, suffix = name.partition(".")
        name = f"flipped-{number}-{stem}.{suffix}"
        (folder / name).write_bytes(binary.flipped(data, seed * COUNT + number))
        expected[name] = ANY
    return expected


def _good() -> dict[str, bytes]:
    """Return real files: text, PDF, Word."""
    return {
        "page.pdf": making.pdf([making.body(*making.PROSE.split(". "))] * 3),
        "letter.docx": making.docx(making.paragraph(making.PROSE) * 20),
        "page.html": f"<h1>A page</h1><p>{making.PROSE}</p>".encode() * 5,
    }


def _files(outside: Path, chance: random.Random) -> Iterator[File]:
    yield from _cut(chance)
    yield from _misnamed()
    yield from _archives(outside)
    yield from _word(outside)
    for name, data in binary.pdfs():
        yield f"pdf-{name}.pdf", data, BROKEN_PDF | LIMITS | {"reader_crashed"}
    for number, drawing in enumerate((b"q Q ", b"0 0 m 9 9 l n ")):
        data = binary.hanging_pdf(10_000, drawing)
        yield f"pdf-hangs-{number}.pdf", data, frozenset({"reader_timeout"})
    for kind, suffix, made in [
        ("html", "html", text.html_pages()),
        ("markdown", "md", text.markdowns()),
        ("text", "txt", text.texts()),
        ("jsonl", "jsonl", text.json_lines()),
    ]:
        for name, content in made:
            yield f"{kind}-{name}.{suffix}", content.encode(), ANY
    for name, data in text.declared_pages():
        yield f"html-{name}.html", data, ANY
    for name, data in text.encodings():
        yield f"encoding-{name}.txt", data, ANY
    for suffix in ("md", "html", "txt", "pdf", "docx", "jsonl"):
        yield f"empty.{suffix}", b"", frozenset({"empty_file"})
        yield f"nul.{suffix}", b"text\0" * 1000, NO_TEXT | BROKEN_DOCX | {"unreadable_pdf"}
    for suffix in ("md", "html", "txt", "jsonl"):
        yield f"blank.{suffix}", b" \n\t" * 1000, frozenset({"empty_file"})
    for suffix in ("txt", "jsonl", "csv", "html"):
        times = 10_000_000 if suffix == "csv" else 5_000_000
        line = b'{"text": "' + b"word " * times + b'"}'
        yield f"long-line.{suffix}", line, ANY


def _cut(chance: random.Random) -> Iterator[File]:
    for name, data in _good().items():
        stem, _, suffix = name.partition(".")
        for number in range(10):
            cut = data[: chance.randrange(1, len(data))]
            reasons = {"pdf": BROKEN_PDF, "docx": BROKEN_DOCX}.get(suffix, frozenset({DOCUMENT}))
            yield f"cut-{number}-{stem}.{suffix}", cut, reasons
    for suffix, data in (("zip", binary.nested_zip(1)), ("gz", binary.gzip_bomb(8))):
        for number in range(3):
            yield f"cut-{number}.{suffix}", data[: chance.randrange(1, len(data))], CUT


def _misnamed() -> Iterator[File]:
    picture = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes(100)
    program = b"\x7fELF\2\1\1" + bytes(200)
    good = _good()
    yield "really-pdf.md", good["page.pdf"], frozenset({DOCUMENT})
    yield "really-docx.pdf", good["letter.docx"], frozenset({"unreadable_pdf", "wrong_extension"})
    yield "really-html.docx", good["page.html"], BROKEN_DOCX
    yield "really-html.jsonl", good["page.html"], frozenset({"bad_json"})
    yield "really-text.pdf", making.PROSE.encode(), frozenset({"unreadable_pdf"})
    yield "really-zip.docx", binary.nested_zip(0), BROKEN_DOCX | {DOCUMENT}
    yield "really-docx.md", good["letter.docx"], MISNAMED
    yield "really-picture.md", picture, MISNAMED
    yield "really-picture.html", picture, MISNAMED
    yield "really-program.txt", program, MISNAMED
    yield "program", program, frozenset({"unknown_format"})
    yield "picture.png", picture, frozenset({"unknown_format"})
    yield "no-such.format", b"text", frozenset({"unknown_format"})
    both = good["page.pdf"] + binary.nested_zip(0)
    yield "pdf-and-zip.docx", both, frozenset({DOCUMENT})
    for suffix in (
        "pptx",
        "xlsx",
        "ods",
        "epub",
        "parquet",
        "eml",
        "csv",
        "tsv",
        "rst",
        "gz",
        "zip",
    ):
        yield f"noise.{suffix}", random.Random(suffix).randbytes(5_000), ANY


def _archives(outside: Path) -> Iterator[File]:
    secret = str(outside / "secret.md")
    for depth in (1, 3, 30):
        yield f"zip-nested-{depth}.zip", binary.nested_zip(depth), frozenset({"nested_archive"})
    yield "zip-bomb.zip", binary.zipped({"zeros.txt": bytes(2**27)}), BOMB
    yield "zip-bomb-many.zip", binary.zipped({f"{n}.txt": bytes(2**22) for n in range(64)}), BOMB
    yield "zip-members.zip", binary.zipped({f"{n}.md": b"a" for n in range(5_000)}), ANY
    for entries in (100, 60_000):
        yield f"zip-overlap-{entries}.zip", binary.overlapping_zip(entries, 2**24), ANY
    for number, name in enumerate(("../../planted.md", "/tmp/planted.md", "a\\..\\..\\b.md", "/")):
        yield f"zip-slip-{number}.zip", binary.zipped({name: making.PROSE.encode()}), UNSAFE
    yield "zip-link.zip", binary.link_zip(secret), ANY
    yield "gzip-bomb.txt.gz", binary.gzip_bomb(2_000), BOMB | {"too_large"}
    yield "gzip-bomb.gz", binary.gzip_bomb(200), BOMB
    attached = "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
    yield "mail-deep.eml", (attached * 5_000).encode(), ANY
    yield "mail-headers.eml", b"Subject: a\n" * 100_000, ANY
    yield (
        "rst-include.rst",
        f".. include:: {secret}\n\n.. raw:: html\n   :file: {secret}\n".encode(),
        ANY,
    )
    yield "csv-quotes.csv", b'"' * 1_000_000, ANY
    yield "csv-columns.csv", b"a," * 100_000 + b"\n" + b"b," * 100_000, ANY


def _word(outside: Path) -> Iterator[File]:
    bomb = BROKEN_DOCX | LIMITS | BOMB | {"reader_crashed", "empty_file", DOCUMENT}
    for levels, times in ((9, 10), (25, 2), (2, 5_000)):
        yield f"docx-entities-{levels}.docx", binary.entity_docx(levels, times), ENTITIES
    address = (outside / "secret.md").as_uri()
    for number, name in enumerate((address, "file:///etc/passwd", "http://127.0.0.1:9/x.dtd")):
        yield f"docx-outer-{number}.docx", binary.external_docx(name), ENTITIES
        yield f"docx-subset-{number}.docx", binary.external_subset_docx(name), ENTITIES
    for tag in ("p", "tbl", "sdt"):
        yield f"docx-deep-{tag}.docx", binary.deep_docx(text.OFTEN, tag), bomb
    yield "docx-wide.docx", binary.wide_docx(20_000), bomb
    yield "docx-bomb.docx", binary.padded_docx(2**26, 10), BOMB
    yield "docx-padded.docx", binary.padded_docx(2**26), BOMB
    corners = '<c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c>'
    far = packing.workbook(("Far", "visible", f"<sheetData><row>{corners}</row></sheetData>"))
    yield "xlsx-corners.xlsx", far, LIMITS | {"reader_crashed"}
    yield "docx-overlap.docx", binary.overlapping_zip(100, 2**24, b"word/document.xml"), bomb


def _special(folder: Path, outside: Path) -> dict[str, frozenset[str]]:
    """Write what is no common file: links, pipes, sockets, sparse files, odd names."""
    broken, beyond = frozenset({"broken_link"}), frozenset({"outside_folder"})
    other = frozenset({"not_a_file"})
    expected: dict[str, frozenset[str]] = {}
    for name, target, reasons in [
        ("circle.md", "circle.md", broken),
        ("circle-a.md", "circle-b.md", broken),
        ("circle-b.md", "circle-a.md", broken),
        ("dangling.md", "nothing.md", broken),
        ("through-file.md", "vast.txt/x", broken),
        ("out.md", str(outside / "secret.md"), beyond),
        ("out-relative.md", f"../{outside.name}/secret.md", beyond),
        ("out-folder", str(outside), beyond),
        ("zero.md", "/dev/zero", beyond),
        ("memory.txt", "/proc/self/mem", beyond),
        ("loop", ".", other),
        ("up", "..", beyond),
    ]:
        (folder / name).symlink_to(target)
        expected[name] = reasons
    os.mkfifo(folder / "pipe.md")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.md"))
    expected |= {"pipe.md": other, "socket.md": other}
    (folder / "closed.md").write_text(making.PROSE)
    (folder / "closed.md").chmod(0)
    expected["closed.md"] = frozenset({"unreadable_file", DOCUMENT})  # root may read it
    for suffix in ("txt", "jsonl", "zip"):
        with (folder / f"vast.{suffix}").open("wb") as stream:
            stream.write(b"x")
            stream.truncate(200 * 10**6)
        expected[f"vast.{suffix}"] = frozenset({"too_large"})
    for name in (
        b"caf\xe9.txt",
        b"new\nline.txt",
        b"-rf.txt",
        b"*.txt",
        b"n" * 250 + b".txt",
        b" .txt",
    ):
        # Each another text, since equal ones from one source would be one document.
        (folder / os.fsdecode(name)).write_bytes(making.PROSE.encode() + name[:1])
        expected[name.decode("utf-8", "backslashreplace")] = frozenset({DOCUMENT})
    return expected


if __name__ == "__main__":
    inbox = Path(sys.argv[1])
    inbox.mkdir(parents=True)
    aside = inbox.parent / "outside"
    aside.mkdir(exist_ok=True)
    (aside / "secret.md").write_text("A text that nobody asked for.")
    for made, reasons in make(inbox, aside).items():
        print(made.encode("unicode_escape").decode(), *sorted(reasons))
