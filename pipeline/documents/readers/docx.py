"""DOCX: headings, lists and tables as Markdown, pictures left out."""

import io

from pipeline.documents.readers.markdown import first_heading
from pipeline.documents.readers.reading import ReadFailure, Reading, whole
from pipeline.documents.readers.zipped import opened, refuse_entities
from pipeline.text.exponents import written_out


def read(data: bytes) -> Reading:
    """Read a Word file; the title is its first heading.

    Raises:
        ReadFailure: ``unreadable_docx``, ``xml_entities``, ``empty_file``, or see
            :func:`pipeline.documents.readers.zipped.opened`.
    """
    import mammoth
    from markdownify import markdownify

    with opened(data, "unreadable_docx") as archive:
        refuse_entities(archive)
    try:
        html = mammoth.convert_to_html(
            io.BytesIO(data),
            style_map="p[style-name='Title'] => h1:fresh",
            convert_image=mammoth.images.img_element(lambda image: {}),
        ).value
    except MemoryError:
        raise
    # Anything can come out of a damaged archive: mammoth lets zlib.error, KeyError, expat's,
    # its own and plain Python errors pass, and one bad file must not end the batch.
    except Exception as error:
        raise ReadFailure("unreadable_docx", f"{type(error).__name__}: {error}") from error
    text = markdownify(
        written_out(html).replace("<img />", "").replace("|", "&#124;"),
        heading_style="ATX",
        bullets="-",
        table_infer_header=True,
        escape_asterisks=False,
        escape_underscores=False,
        wrap=False,
    ).strip()
    return whole(first_heading(text), text)
