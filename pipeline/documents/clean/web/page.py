"""A page: parsed, its content found and written down."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from pipeline.documents.clean.web.events import events_of
from pipeline.documents.clean.web.frame import Frame
from pipeline.documents.clean.web.skipped import beside, note
from pipeline.documents.clean.web.writer import Writer

_NESTING = re.compile(
    r"</?(?:div|span|font|b|i|u|em|strong|big|small|center|section|article|blockquote|ul|ol|li|dl"
    r"|dt|dd|table|tbody|tr|td|a)(?=[\s/>])[^<>]*>",
    re.IGNORECASE,
)
"""Tags that a page is read without when it nests them by the thousand."""


def main_content(html: str) -> str:
    """Return the main content of a page as Markdown: headings, lists, tables, code and links.

    The content is what the page calls so (``main``, ``role="main"``, ``article``), else its
    densest part; see :class:`.frame.Frame` for what is left out. Definition
    lists become lists, tables that lay out the page are unfolded, pictures go. Nothing is
    fetched, and time grows in proportion to the page.

    Returns:
        Markdown; empty when the page has no content. A page with more than 2,048 tags inside
        one another (libxml2's limit) is read without most of its structure.
    """
    body = parse(html)
    if body is None:
        return ""
    frame = Frame(body)
    writer = Writer(frame.dropped)
    title = frame.title_outside()
    if title is not None:
        writer.walk(events_of(title))
    writer.walk(frame.content())
    note([*writer.skipped, *beside(frame.root)])
    return writer.text()


def whole_page(body: Any, dropped: set[Any]) -> str:
    """Return all of a page but some elements as Markdown: nothing of it counts as a frame."""
    writer = Writer(dropped)
    writer.walk(events_of(body))
    note(writer.skipped)
    return writer.text()


def parse(html: str) -> Any:
    """Return the body of a page, None when it has none; what nests too deep loses its tags."""
    body = _parse(html)
    return _parse(_NESTING.sub(" ", html)) if body is None else body


def _parse(html: str) -> Any:
    """Return the body; None when there is none or the tree would be too deep."""
    # As bytes: lxml refuses a text that declares an encoding.
    data = html.encode("utf-8", "replace")
    # Without huge_tree, 256 levels and 10 MB are the limits, and nothing says what is missing.
    parser = etree.HTMLParser(
        encoding="utf-8",
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
        no_network=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.LxmlError:  # nothing that could be a page
        return None
    if root is None or any(_limits(parser)):
        return None
    bodies = root.find("body")
    return root if bodies is None else bodies


def _limits(parser: Any) -> Iterator[bool]:
    for error in parser.error_log:
        yield error.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT
