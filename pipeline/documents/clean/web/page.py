"""A page: parsed, its content found and written down, what is beside it noted by kind."""

import re
from collections.abc import Iterable
from typing import Any

from lxml import etree

from pipeline.documents.clean.web.frame import Frame
from pipeline.documents.clean.web.names import is_hidden
from pipeline.documents.clean.web.writer import Writer
from pipeline.documents.left_out import leave_out, words

_NESTING = re.compile(
    r"</?(?:div|span|font|b|i|u|em|strong|big|small|center|section|article|blockquote|ul|ol|li|dl"
    r"|dt|dd|table|tbody|tr|td|a)(?=[\s/>])[^<>]*>",
    re.IGNORECASE,
)
"""Tags that a page is read without when it nests them by the thousand."""

_KINDS = (
    dict.fromkeys(("img", "svg", "canvas", "map"), "pictures")
    | dict.fromkeys(("iframe", "object", "embed", "audio", "video", "applet"), "embedded")
    | dict.fromkeys(("button", "select", "option", "input"), "forms")
    | {"script": "scripts", "template": "hidden", "noscript": "hidden"}
)
_TEXTS = etree.XPath(
    "descendant::text()[not(parent::script or parent::style or parent::template)]",
    smart_strings=False,
)
_BESIDE = etree.XPath(
    "ancestor-or-self::*[ancestor::body]/preceding-sibling::*"
    " | ancestor-or-self::*[ancestor::body]/following-sibling::*"
)
"""Elements of a page that stand beside an element or those around it."""
_NOTHING = frozenset(("head", "style", "rp", "rt", "frameset"))
"""Elements that hold no text of a page, or the sound of the word before."""


def main_content(html: str) -> str:
    """Return the main content of a page as Markdown, empty when there is none.

    The content is what the page calls so (``main``, ``role="main"``, ``article``), else its
    densest part; see :class:`.frame.Frame` for what is left out. Nothing is fetched, and time grows
    in proportion to the page. One with more than 2,048 tags inside one another (libxml2's limit) is
    read without most of its structure.
    """
    body = parse(html)
    if body is None:
        return ""
    frame = Frame(body)
    _note(_BESIDE(frame.root))
    return written([*frame.titles_outside(), frame.root], frame.dropped)


def fragment(html: str) -> str:
    """Return a piece of a page as Markdown: nothing of it counts as a frame."""
    body = parse(f"<body>{html}</body>")
    return "" if body is None else written([body], set())


def written(elements: Iterable[Any], dropped: set[Any]) -> str:
    """Return elements of a page as Markdown, without what is dropped of them."""
    writer = Writer(dropped)
    for element in elements:
        writer.walk(element)
    _note(writer.skipped)
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
        encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, no_network=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.LxmlError:  # nothing that could be a page
        return None
    too_deep = etree.ErrorTypes.ERR_RESOURCE_LIMIT
    if root is None or any(error.type == too_deep for error in parser.error_log):
        return None
    body = root.find("body")
    return root if body is None else body


def _note(elements: Iterable[Any]) -> None:
    for element in elements:
        if element.tag in _NOTHING or element.get("type") == "hidden":
            continue
        kind = _KINDS.get(element.tag, "navigation")
        if kind == "navigation" and is_hidden(element):
            kind = "hidden"
        leave_out(kind, _words(element) if kind in ("navigation", "hidden") else 1)


def _words(element: Any) -> int:
    """Return the words in an element but those of scripts."""
    return sum(map(words, _TEXTS(element)))
