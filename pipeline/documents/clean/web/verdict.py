"""What tag, class, role and style of an element say: content, certainly none, or doubtful."""

import re
from functools import lru_cache

from pipeline.documents.clean.web.names import (
    DROPPED,
    HEADINGS,
    ID_TAGS,
    INLINE,
    LANDMARKS,
    ROLES,
    is_box,
    is_frame,
    is_mark,
    is_note,
    is_panel,
    is_section,
)

KEPT, DOUBTFUL, SUSPECT, OUT = "kept", "doubtful", "suspect", "out"
"""Verdicts on an element; of one whose tag alone is odd, its content decides."""

ASIDE = frozenset(("aside", "form"))
_KEPT_ROLES = ("note", "doc-footnote", "doc-endnote", "doc-tip")
_PANEL_ROLES = ("tabpanel", "region")
_NO_DISPLAY = re.compile(r"display\s*:\s*none", re.IGNORECASE)


def verdict_on(tag: str, attributes: dict[str, str]) -> str:
    """Say whether an element is kept, a suspect or certainly no content."""
    if tag in DROPPED:
        return OUT
    names = attributes.get("class") or ""
    out_of_sight = is_hidden(attributes, names) or is_mark(names)
    if tag in INLINE:
        return OUT if out_of_sight else KEPT
    role = attributes.get("role")
    notes = is_note(names) or is_note(attributes.get("epub:type") or "")
    if tag in LANDMARKS or (tag == "aside" and (role in _KEPT_ROLES or is_box(names) or notes)):
        return KEPT
    if (
        out_of_sight
        or role in ROLES
        or (tag not in HEADINGS and is_frame(names))
        or (tag in ID_TAGS and is_frame(attributes.get("id") or "") and not is_section(names))
    ):
        return SUSPECT
    return DOUBTFUL if tag in ASIDE else KEPT


@lru_cache(maxsize=4096)
def verdict_on_names(tag: str, names: str | None, name: str | None) -> str:
    """Say the same of an element of which only class and id are known."""
    return verdict_on(tag, {"class": names or "", "id": name or ""})


def is_hidden(attributes: dict[str, str], names: str) -> bool:
    """Whether a reader does not see it; a panel that a click shows is hidden and yet content."""
    style = attributes.get("style")
    if (
        attributes.get("aria-hidden") != "true"
        and "hidden" not in attributes
        and not (style and _NO_DISPLAY.search(style))
    ):
        return False
    return attributes.get("role") not in _PANEL_ROLES and not is_panel(names)
