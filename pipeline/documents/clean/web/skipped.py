"""Kind and amount of what a page holds beside its text, for the ledger of what is left out."""

from collections.abc import Iterable
from typing import Any

from pipeline.documents.clean.web.verdict import is_hidden
from pipeline.documents.left_out import leave_out, words

_KINDS = (
    dict.fromkeys(("img", "svg", "canvas", "map"), "pictures")
    | dict.fromkeys(("iframe", "object", "embed", "audio", "video", "applet"), "embedded")
    | dict.fromkeys(("button", "select", "option", "input"), "forms")
    | {"script": "scripts", "template": "hidden", "noscript": "hidden"}
)
_NOTHING = frozenset(("head", "style", "rp", "rt", "frameset"))
"""Elements that hold no text of a page, or the sound of the word before."""
_MUTE = frozenset(("script", "style", "template"))
_IN_WORDS = ("navigation", "hidden")


def note(elements: Iterable[Any]) -> None:
    """Note elements of a page that are left out."""
    for element in elements:
        if element.tag in _NOTHING or element.get("type") == "hidden":
            continue
        kind = _KINDS.get(element.tag, "navigation")
        if kind == "navigation" and is_hidden(dict(element.items()), element.get("class") or ""):
            kind = "hidden"
        leave_out(kind, _words(element) if kind in _IN_WORDS else 1)


def beside(root: Any) -> list[Any]:
    """Return the elements of a page that stand beside an element or those around it."""
    found = []
    while (around := root.getparent()) is not None and root.tag != "body":
        found += [other for other in around if other is not root]
        root = around
    return found


def _words(element: Any) -> int:
    """Return the words in an element but those of scripts."""
    return sum(
        (words(inner.text) if inner.text and inner.tag not in _MUTE else 0)
        + (words(inner.tail) if inner.tail and inner is not element else 0)
        for inner in element.iter()
    )
