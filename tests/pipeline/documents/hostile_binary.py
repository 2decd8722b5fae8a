"""Hostile PDF, Word, zip and gzip files, without a library."""

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator

from tests.pipeline.documents import making
from tests.pipeline.documents.making import pdf_of

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << >> >>"
CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"


def stream(data: bytes, extra: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n" % (len(data), extra) + data + b"\nendstream"


def flate(size: int, unit: bytes = b" ") -> bytes:
    """Return a stream that unpacks to ``size`` bytes."""
    packer = zlib.compressobj(1)
    block = unit * (2**20 // len(unit))
    packed = b"".join(packer.compress(block) for _ in range(size // len(block)))
    return stream(packed + packer.flush(), b"/Filter /FlateDecode")


def hanging_pdf(pages: int, content: bytes) -> bytes:
    """Return a small PDF whose pages share one long drawing that shows nothing."""
    nodes = b"<< /Type /Pages /Count %d /Kids [" % pages + b"3 0 R " * pages + b"] >>"
    packed = zlib.compress(content * 1_000_000)
    return pdf_of(CATALOG, nodes, PAGE, stream(packed, b"/Filter /FlateDecode"))


def pdfs() -> Iterator[tuple[str, bytes]]:
    """Yield PDFs whose structure is a trap; none of them has text worth reading."""
    one = b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>"
    blank = stream(b"BT ET")
    for count in (1, 2, 1_000_000):
        yield (
            f"circle-{count}",
            pdf_of(CATALOG, b"<< /Type /Pages /Count %d /Kids [2 0 R] >>" % count, PAGE, blank),
        )
    pair = b"<< /Type /Pages /Count 2 /Parent 2 0 R /Kids [%d 0 R] >>"
    yield "circle-of-two", pdf_of(CATALOG, pair % 3, pair % 2)
    yield "own-parent", pdf_of(CATALOG, one, PAGE.replace(b"2 0 R", b"3 0 R"), blank)
    for previous in (-1, 0, 9, 10**9):
        yield f"xref-loop-{previous}", pdf_of(CATALOG, one, PAGE, blank, previous=previous)
    for depth in (1_000, 100_000, 1_000_000):
        deep = b"[" * depth + b"]" * depth
        yield f"deep-array-{depth}", pdf_of(CATALOG, one, PAGE, blank, deep)
        content = stream(b"[" * depth + b"(a) Tj")
        yield f"deep-content-{depth}", pdf_of(CATALOG, one, PAGE, content)
        saved = stream(b"q " * depth + b"BT ET")
        yield f"deep-state-{depth}", pdf_of(CATALOG, one, PAGE, saved)
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 5 0 R >> >>"
    page = PAGE.replace(b"<< >>", b"<< /XObject << /F 5 0 R >> >>")
    for calls in (1, 2, 50):
        body = stream(b"/F Do " * calls)
        yield f"form-in-itself-{calls}", pdf_of(CATALOG, one, page, body, stream(b"/F Do ", form))
    for size in (2**24, 2**29):
        yield f"flate-bomb-{size}", pdf_of(CATALOG, one, PAGE, flate(size))
    own = b"<< /Length 4 0 R >>\nstream\nBT ET\nendstream"
    yield "length-of-itself", pdf_of(CATALOG, one, PAGE, own)
    yield "negative-length", pdf_of(CATALOG, one, PAGE, blank.replace(b"5", b"-5"))
    yield "no-page", pdf_of(CATALOG, b"<< /Type /Pages /Count 0 /Kids [] >>")
    yield "vast-page", pdf_of(CATALOG, one, PAGE.replace(b"595", b"9" * 300), blank)
    yield "no-objects", b"%PDF-1.4\n%%EOF\n"
    yield "only-head", b"%PDF-"


def docx_with(document: str, extra: dict[str, bytes] | None = None) -> bytes:
    """Return a Word file with another main part, and perhaps further members."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(making.docx(""))) as whole,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name in whole.namelist():
            if name != "word/document.xml":
                archive.writestr(name, whole.read(name))
        archive.writestr("word/document.xml", document)
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return out.getvalue()


def _declared(declaration: str, content: str) -> str:
    body = f"<w:body><w:p><w:r><w:t>{content}</w:t></w:r></w:p></w:body>"
    return f"<!DOCTYPE w:document [{declaration}]><w:document {WORD}>{body}</w:document>"


def entity_docx(levels: int, times: int) -> bytes:
    """Return a Word file whose one word expands to ``times ** levels`` words."""
    entities = ['<!ENTITY e0 "bomb ">'] + [
        f'<!ENTITY e{level} "{f"&e{level - 1};" * times}">' for level in range(1, levels + 1)
    ]
    return docx_with(_declared("".join(entities), f"&e{levels};"))


def external_docx(address: str) -> bytes:
    """Return a Word file that asks its reader to open something else."""
    return docx_with(_declared(f'<!ENTITY x SYSTEM "{address}">', "&x;"))


def external_subset_docx(address: str) -> bytes:
    return docx_with(_declared(f'<!ENTITY % x SYSTEM "{address}"> %x;', "words of an outer subset"))


def deep_docx(depth: int, tag: str) -> bytes:
    """Return a Word file with elements in elements."""
    inside = f"<w:{tag}>" * depth + f"</w:{tag}>" * depth
    return docx_with(f"<w:document {WORD}><w:body>{inside}</w:body></w:document>")


def wide_docx(cells: int) -> bytes:
    """Return a Word file with one table row of many cells."""
    return making.docx(making.grid(["a"] * cells))


def padded_docx(size: int, members: int = 1) -> bytes:
    """Return a Word file that unpacks to ``members`` times ``size`` zero bytes more."""
    zeros = {f"word/media/{number}.bin": bytes(size) for number in range(members)}
    return docx_with(f"<w:document {WORD}><w:body/></w:document>", zeros)


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def nested_zip(depth: int, name: str = "inner.zip") -> bytes:
    data = zipped({"text.md": making.PROSE.encode()})
    for _ in range(depth):
        data = zipped({name: data})
    return data


def link_zip(target: str) -> bytes:
    """Return a zip with a symbolic link in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link.md")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, target)
    return out.getvalue()


def overlapping_zip(entries: int, size: int, name: bytes = b"kernel.md") -> bytes:
    """Return a zip whose directory lists one packed member under many entries (Fifield 2019)."""
    raw = b" " * size
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(raw) + packer.flush()
    sizes = (zlib.crc32(raw), len(packed), len(raw), len(name))
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, *sizes, 0) + name + packed
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, *sizes, 0, 0, 0, 0, 0, 0)
    directory = (entry + name) * entries
    count = min(entries, 65535)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(local), 0)
    return local + directory + end


def gzip_bomb(megabytes: int) -> bytes:
    """Return a gzip file of many members of 8 MB of spaces, 8 kB each."""
    return gzip.compress(b" " * 2**23, 9) * (megabytes // 8)


def flipped(data: bytes, seed: int, times: int = 40) -> bytes:
    """Return data with some bytes changed."""
    chance = random.Random(seed)
    out = bytearray(data)
    for _ in range(times):
        out[chance.randrange(len(out))] = chance.randrange(256)
    return bytes(out)
