"""A page as a list of its tags: lxml is asked once for what the walks over a page need."""

from collections.abc import Iterator
from typing import Any

from lxml import etree

Event = tuple[Any, str, dict[str, str], str | None]
"""A tag: the element that begins, None where one ends; the name of the element; its attributes,
none where it ends; the text behind the tag."""

_NONE: dict[str, str] = {}


def events_of(root: Any) -> list[Event]:
    """Return the tags of an element and all inside it, in the order of the page."""
    events: list[Event] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start":
            attributes = element.items()
            events.append(
                (element, element.tag, dict(attributes) if attributes else _NONE, element.text)
            )
        else:
            events.append((None, element.tag, _NONE, element.tail))
    return events


def skip(events: Iterator[Event]) -> str | None:
    """Go to the end of the element that has just begun; return the text behind it."""
    depth = 1
    for element, _, _, text in events:
        depth += -1 if element is None else 1
        if not depth:
            return text
    return None
