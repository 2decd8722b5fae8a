"""What of a page is its content, and what its frame: navigation, banners, footers, side columns."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from lxml import etree

from pipeline.ingest.web.names import (
    DROPPED,
    INLINE,
    LANDMARKS,
    ROLES,
    is_box,
    is_frame,
    is_mark,
    is_tab,
)

LARGEST_SHARE = 0.5
"""An element named like boilerplate that holds more of the page's text than this is a layout
(``page-with-sidebar``) and stays."""

MAX_LINKED = 1 / 3
"""Share of words in links from which a block is no text: the root of the decision trees learnt in
Kohlschuetter, Fankhauser and Nejdl, "Boilerplate Detection using Shallow Text Features", WSDM
2010."""

MAIN_SHARE = 0.8
"""The main part of a page without landmarks is its smallest element with this share of the words
of text. Beside it only what is mostly links goes, so the number matters little."""

_NO_DISPLAY = re.compile(r"display\s*:\s*none", re.IGNORECASE)


class _Size(NamedTuple):
    length: int
    """Characters of text."""
    landmark: bool
    """Whether a landmark is inside."""


class Frame:
    """Tells the content of one page from its frame."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._known_sizes: dict[Any, _Size] = {}
        self._outside: set[Any] | None = None
        """The elements that are dropped, where they are known."""
        landmark = self._landmark()
        self.root = body if landmark is None else landmark
        """The element that holds the content."""
        if landmark is None:
            self._outside = self._beside()

    def drops(self, element: Any) -> bool:
        """Whether an element inside the root belongs to the frame."""
        if self._outside is not None:
            return element in self._outside
        tag = element.tag
        if tag in DROPPED:
            return True
        if not element.keys():
            return tag in ("aside", "form") and self._small(element)
        names = element.get("class") or ""
        if _hidden(element, names) or is_mark(names):
            return tag in INLINE or self._small(element)
        if tag in INLINE or tag in LANDMARKS:
            return False
        role = element.get("role")
        if tag == "aside" and (role in ("note", "doc-footnote") or is_box(names)):
            return False
        suspect = (
            tag in ("aside", "form")
            or role in ROLES
            or is_frame(f"{names} {element.get('id') or ''}")
        )
        return suspect and self._small(element)

    def title_outside(self) -> Any:
        """Return the heading of the page where it stands outside the root, else None."""
        if self.root is self._body or next(self.root.iter("h1", "h2"), None) is not None:
            return None
        page = self._body.getparent()
        title = None if page is None else page.findtext("head/title")
        heads = list(self._body.iter("h1"))
        # The name of the site is a heading too, on some pages; the title begins with the page's.
        text = " ".join("".join(heads[0].itertext()).split()) if len(heads) == 1 else ""
        return heads[0] if title and text and " ".join(title.split()).startswith(text) else None

    def _sizes(self) -> dict[Any, _Size]:
        """Return the sizes of all elements but the inline ones, measured once."""
        if self._known_sizes:
            return self._known_sizes
        total, landmarks = 0, 0
        before: list[tuple[int, int]] = []
        walk = etree.iterwalk(self._body, events=("start", "end"))
        for event, element in walk:
            block = element.tag not in INLINE
            if event == "start":
                if block:
                    before.append((total, landmarks))
                    landmarks += element.tag in LANDMARKS or element.get("role") == "main"
                if element.tag in DROPPED:
                    walk.skip_subtree()
                else:
                    total += len(element.text or "")
                continue
            if block:
                length, marks = before.pop()
                own = element.tag in LANDMARKS or element.get("role") == "main"
                self._known_sizes[element] = _Size(total - length, landmarks - marks > own)
            total += len(element.tail or "") if element is not self._body else 0
        return self._known_sizes

    def _small(self, element: Any) -> bool:
        """Whether an element holds neither a landmark nor most of the text."""
        if element.tag in INLINE:
            return True
        sizes = self._sizes()
        size = sizes[element]
        return not size.landmark and size.length <= LARGEST_SHARE * sizes[self.root].length

    def _landmark(self) -> Any:
        """Return the element that the page itself calls its content, if one has text."""
        mains = list(self._body.iter("main")) or self._body.xpath(".//*[@role='main']")
        articles = list((mains[0] if len(mains) == 1 else self._body).iter("article"))
        if not mains and not articles:
            return None
        sizes = self._sizes()

        def length(element: Any) -> int:
            return sizes[element].length if element in sizes else 0

        main = max(mains, key=length, default=None)
        article = max(articles, key=length, default=None)
        if length(main) == 0:
            main = None
        # Several of a size are teasers of other pages, or the parts of one.
        whole = sum(map(length, articles)) if main is None else length(main)
        return article if length(article) > LARGEST_SHARE * whole else main

    def _beside(self) -> set[Any]:
        """Return the frame of a page without landmarks.

        Beside what :meth:`drops` sees, that is what stands next to the main part and is mostly
        links.
        """
        counts, found = _count(self._body, self.drops)
        enough = MAIN_SHARE * counts[self._body].good
        # Elements are counted when they end, the inner ones first.
        part = next(element for element, count in counts.items() if count.good >= enough)
        while part is not self._body:
            parent = part.getparent()
            for other in parent:
                count = counts.get(other)
                if other is not part and count and count.linked > MAX_LINKED * count.words:
                    found.add(other)
            part = parent
        return found


class _Count(NamedTuple):
    """Words of an element."""

    words: int
    linked: int
    """In links."""
    good: int
    """Outside links, in blocks that are not mostly links."""


def _count(body: Any, drops: Callable[[Any], bool]) -> tuple[dict[Any, _Count], set[Any]]:
    """Count the words of all elements but the inline ones.

    Args:
        body: Of the page.
        drops: Which elements are not looked at.

    Returns:
        Counts, the inner elements first, and the elements that were not looked at.
    """
    counts: dict[Any, _Count] = {}
    dropped: set[Any] = set()
    words = linked = good = block = block_linked = links = 0
    before: list[tuple[int, int, int]] = []
    walk = etree.iterwalk(body, events=("start", "end"))
    for event, element in walk:
        tag = element.tag
        starts = event == "start"
        if tag not in INLINE:
            if block:  # a block of text ends
                words += block
                linked += block_linked
                if block_linked <= MAX_LINKED * block:
                    good += block - block_linked
                block = block_linked = 0
            if starts:
                before.append((words, linked, good))
            else:
                first = before.pop()
                counts[element] = _Count(words - first[0], linked - first[1], good - first[2])
        if starts:
            if element is not body and drops(element):
                dropped.add(element)
                walk.skip_subtree()
                continue
            links += tag == "a"
            text = element.text
        else:
            links -= tag == "a" and element not in dropped
            text = element.tail
        if text:
            new = len(text.split())
            block += new
            if links:
                block_linked += new
    return counts, dropped


def _hidden(element: Any, names: str) -> bool:
    """Whether a reader does not see it; the panel of another tab is hidden and yet content."""
    if element.get("aria-hidden") == "true":
        return True
    if element.get("hidden") is None and not _NO_DISPLAY.search(element.get("style") or ""):
        return False
    return element.get("role") != "tabpanel" and not is_tab(names)
