"""Word and OpenDocument texts: a zip file from a stranger is looked at before pandoc reads it."""

from pipeline.documents.readers.pandoc import document, markdown
from pipeline.documents.readers.reading import ReadFailure, Reading
from pipeline.documents.readers.zipped import MOST_UNPACKED, content, opened, refuse_entities

_MANIFEST = "META-INF/manifest.xml"


def read(data: bytes) -> Reading:
    """Read a Word file; the title is its first heading.

    Raises:
        ReadFailure: ``unreadable_docx``, ``xml_entities``, ``empty_file``, or see
            :func:`pipeline.documents.readers.zipped.opened`.
    """
    with opened(data, "unreadable_docx") as archive:
        refuse_entities(archive)
    return document(markdown(data, "docx", "unreadable_docx"))


def read_odt(data: bytes) -> Reading:
    """Read an OpenDocument text, as LibreOffice writes it.

    Raises:
        ReadFailure: As of :func:`read`, and ``encrypted_office``.
    """
    with opened(data, "unreadable_odt") as archive:
        names = archive.namelist()
        if _MANIFEST in names and b"encryption-data" in content(
            archive, archive.getinfo(_MANIFEST), MOST_UNPACKED
        ):
            raise ReadFailure(
                "encrypted_office", "it needs a password; save it without one and add that file"
            )
        refuse_entities(archive)
    return document(markdown(data, "odt", "unreadable_odt"))
