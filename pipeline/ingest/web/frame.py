"""What of a page is its content, and what its frame: navigation, banners, footers, side columns."""

import re
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
        self._linked: set[Any] = set()
        landmark = self._landmark()
        self.root = body if landmark is None else landmark
        """The element that holds the content."""
        if landmark is None:
            self._linked = self._mostly_links()

    def drops(self, element: Any) -> bool:
        """Whether an element inside the root belongs to the frame."""
        tag = element.tag
        if tag in DROPPED or element in self._linked:
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

    def _mostly_links(self) -> set[Any]:
        """Return what stands beside the main part and is mostly links."""
        counts = _count(self, self._body)
        enough = MAIN_SHARE * counts[self._body].good
        # Elements are counted when they end, the inner ones first.
        part = next(element for element, count in counts.items() if count.good >= enough)
        found = set()
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

    def plus(self, words: int, linked: int) -> "_Count":
        good = words - linked if linked <= MAX_LINKED * words else 0
        return _Count(self.words + words, self.linked + linked, self.good + good)

    def since(self, other: "_Count") -> "_Count":
        return _Count(*(now - then for now, then in zip(self, other, strict=True)))


def _count(frame: Frame, body: Any) -> dict[Any, _Count]:
    """Count the words of all elements but the inline ones and those that the frame drops."""
    counts: dict[Any, _Count] = {}
    total = _Count(0, 0, 0)
    before: list[_Count] = []
    words = linked = links = 0
    dropped = False
    walk = etree.iterwalk(body, events=("start", "end"))
    for event, element in walk:
        tag = element.tag
        if tag not in INLINE:
            total, words, linked = total.plus(words, linked), 0, 0
        if event == "start":
            if tag not in INLINE:
                before.append(total)
            dropped = element is not body and frame.drops(element)
            if dropped:
                walk.skip_subtree()
                continue
            links += tag == "a"
            new = len((element.text or "").split())
        else:
            if tag not in INLINE:
                counts[element] = total.since(before.pop())
            links -= tag == "a" and not dropped
            dropped = False
            new = len((element.tail or "").split())
        words += new
        linked += new if links else 0
    return counts


def _hidden(element: Any, names: str) -> bool:
    """Whether a reader does not see it; the panel of another tab is hidden and yet content."""
    if element.get("aria-hidden") == "true":
        return True
    if element.get("hidden") is None and not _NO_DISPLAY.search(element.get("style") or ""):
        return False
    return element.get("role") != "tabpanel" and not is_tab(names)
