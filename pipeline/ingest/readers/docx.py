"""DOCX: headings, lists and tables as Markdown, pictures left out."""

import io
import zipfile

from pipeline.ingest.readers.markdown import first_heading
from pipeline.ingest.readers.reading import ReadFailure, Reading, whole

MAX_UNPACKED = 512 * 2**20
"""Bytes. A zip of 1 MB can unpack to 1 GB; a real document of this size does not exist."""


def read(data: bytes) -> Reading:
    """Read a Word file; the title is its first heading.

    Raises:
        ReadFailure: ``empty_file``, ``too_large`` (unpacked) or ``unreadable_docx``.
    """
    import mammoth
    from markdownify import markdownify

    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile as error:
        raise ReadFailure("unreadable_docx", f"not a whole zip file ({error})") from error
    if size > MAX_UNPACKED:
        raise ReadFailure("too_large", f"{size} bytes unpacked", size, MAX_UNPACKED)
    try:
        html = mammoth.convert_to_html(
            io.BytesIO(data),
            style_map="p[style-name='Title'] => h1:fresh",
            convert_image=mammoth.images.img_element(lambda image: {}),
        ).value
    # Anything can come out of a damaged archive: mammoth lets zlib.error, KeyError, expat's,
    # its own and plain Python errors pass, and one bad file must not end the batch.
    except Exception as error:
        raise ReadFailure("unreadable_docx", f"{type(error).__name__}: {error}") from error
    text = markdownify(
        html.replace("<img />", "").replace("|", "&#124;"),
        heading_style="ATX",
        bullets="-",
        table_infer_header=True,
        escape_asterisks=False,
        escape_underscores=False,
        wrap=False,
    ).strip()
    return whole(first_heading(text), text)
