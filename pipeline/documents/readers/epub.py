"""EPUB: each chapter in reading order is a document."""

import posixpath
import zipfile
from typing import Any
from urllib.parse import unquote

from pipeline.documents.readers import web
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading, Record, failing_as
from pipeline.documents.readers.zipped import MOST_UNPACKED, content, opened

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"


def read(data: bytes) -> Reading:
    """Read the chapters of a book (EPUB 2 and 3), named by their files inside it.

    A chapter under digital rights management fails as ``encrypted_member``; ReadFailure:
    ``unreadable_epub``, ``empty_file`` (no chapter at all), or of :func:`.zipped.opened`.
    """
    with opened(data, "unreadable_epub") as archive:
        book, chapters = _spine(archive)
        locked = _locked(archive)
        records: list[Record] = []
        failures: list[Failure] = []
        for name in chapters:
            try:
                if name in locked:
                    raise ReadFailure("encrypted_member", "it needs the key of its seller")
                page = web.read(_member(archive, name)).records[0]
            except ReadFailure as error:
                failures.append(error.failure._replace(record=name))
                continue
            title = " - ".join(part for part in (book, page.title) if part)
            records.append(page._replace(record=name, title=title, kind="html"))
    if not records and not failures:
        raise ReadFailure("empty_file", "no chapter found", 0, 1)
    return Reading(records, failures)


def _spine(archive: zipfile.ZipFile) -> tuple[str, list[str]]:
    roots = _xml(archive, CONTAINER).iter("{*}rootfile")
    package = next((root.get("full-path", "") for root in roots), "")
    tree = _xml(archive, package)
    files = {item.get("id"): item.get("href", "") for item in tree.iter("{*}item")}
    folder = posixpath.dirname(package)
    chapters = [
        posixpath.normpath(posixpath.join(folder, unquote(files[item.get("idref")])))
        for item in tree.iter("{*}itemref")
        if item.get("idref") in files
    ]
    title = next((element.text or "" for element in tree.iter("{*}title")), "")
    # A spine may name one chapter a million times.
    return " ".join(title.split()), list(dict.fromkeys(chapters))


def _locked(archive: zipfile.ZipFile) -> set[str]:
    """Return the files that are encrypted (commonly fonts, whose licences ask for it)."""
    if ENCRYPTION not in archive.namelist():
        return set()
    references = _xml(archive, ENCRYPTION).iter("{*}CipherReference")
    return {unquote(element.get("URI", "")) for element in references}


def _xml(archive: zipfile.ZipFile, name: str) -> Any:
    from lxml import etree

    # Entities stay as they are, and nothing is fetched: a book is a stranger's file.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    with failing_as("unreadable_epub", f" in {name}"):
        return etree.fromstring(_member(archive, name), parser)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with failing_as("unreadable_epub"):
        member = archive.getinfo(name)
    return content(archive, member, MOST_UNPACKED)
