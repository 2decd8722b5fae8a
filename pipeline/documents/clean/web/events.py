"""A page as a list of its tags: lxml is asked once for what the walks over a page need."""

from collections.abc import Iterator
from typing import Any

from lxml import etree

from pipeline.documents.clean.web.names import HEADINGS, INLINE

Event = tuple[Any, str, dict[str, str], str | None]
"""A tag: the element that begins, None where one ends; the name of the element; its attributes,
none where it ends; the text behind the tag."""

_NONE: dict[str, str] = {}

_LABELLED = frozenset((*HEADINGS, "summary", "dt", "legend"))
"""Elements whose only text may be a button: the question above an answer that a click opens."""
_OF_A_LINE = INLINE | _LABELLED | {"p", "li", "dd", "td", "th"}
MOST_BESIDE = 3
"""Elements in a heading that is a question to click on; each of more would read all of it again."""
_QUESTION = ("?", "\uff1f", "\u061f", "\u037e")


def events_of(root: Any) -> list[Event]:
    """Return the tags of an element and all inside it, in the order of the page."""
    events: list[Event] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start":
            attributes = element.items()
            tag = _tag(element)
            events.append((element, tag, dict(attributes) if attributes else _NONE, element.text))
        else:
            events.append((None, _tag(element), _NONE, element.tail))
    return events


def _tag(element: Any) -> str:
    """Return the name of an element, or of what it stands for: elements of a site, some buttons."""
    tag: str = element.tag
    if tag == "button":
        return _button(element)
    if tag == "script":
        return "math" if (element.get("type") or "").startswith("math/tex") else tag
    if "-" in tag or tag == "label":
        around = element.getparent()
        while around is not None and "-" in around.tag:
            around = around.getparent()
        if around is not None and around.tag in _OF_A_LINE:
            return "span"
    return tag


def _button(element: Any) -> str:
    """Return ``p`` for a button that is text: a tab, or a question, all that a heading says."""
    if element.get("role") == "tab":
        return "p"
    text = _words(element)
    for around in (element.getparent(), element.getparent().getparent()):
        if (
            around is not None
            and around.tag in _LABELLED
            and len(around) <= MOST_BESIDE
            and _words(around) == text
        ):
            return "span"
    return "p" if text.endswith(_QUESTION) and " " in text else "button"


def _words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def skip(events: Iterator[Event]) -> str | None:
    """Go to the end of the element that has just begun; return the text behind it."""
    depth = 1
    for element, _, _, text in events:
        depth += -1 if element is None else 1
        if not depth:
            return text
    return None
