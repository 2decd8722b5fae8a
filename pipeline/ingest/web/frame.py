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
"""An element named like boilerplate that holds more of the page's words than this is a layout
(``page-with-sidebar``) and stays."""

MAX_LINKED = 1 / 3
"""Share of words in links from which a block is no text: the root of the decision trees learnt in
Kohlschuetter, Fankhauser and Nejdl, "Boilerplate Detection using Shallow Text Features", WSDM
2010."""

MAIN_SHARE = 0.8
"""The main part of a page without landmarks is its smallest element with this share of the words
of text. Beside it only what is mostly links goes, so the number matters little."""

_NO_DISPLAY = re.compile(r"display\s*:\s*none", re.IGNORECASE)


class Count(NamedTuple):
    """Words of an element."""

    parent: Any
    """The block around it."""
    words: int
    linked: int
    """In links."""
    good: int
    """Outside links, in blocks that are not mostly links."""
    landmarks: int
    """Landmarks inside."""


class Frame:
    """Tells the content of one page from its frame."""

    def __init__(self, body: Any) -> None:
        self._body = body
        survey = _Survey(body)
        self._counts = survey.counts
        self._dropped = survey.dropped
        landmark = self._landmark(survey)
        self.root = body if landmark is None else landmark
        """The element that holds the content."""
        self._dropped |= {element for element in survey.suspects if self._small(element)}
        if landmark is None:
            self._dropped |= self._mostly_links()

    def drops(self, element: Any) -> bool:
        """Whether an element inside the root belongs to the frame."""
        return element.tag in DROPPED or element in self._dropped

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

    def _small(self, element: Any) -> bool:
        """Whether an element holds neither a landmark nor most of the text."""
        count = self._counts[element]
        return not count.landmarks and count.words <= LARGEST_SHARE * self._counts[self.root].words

    def _landmark(self, survey: "_Survey") -> Any:
        """Return the element that the page itself calls its content, if one has text."""

        def words(element: Any) -> int:
            return self._counts[element].words

        main = max(survey.mains, key=words, default=None)
        if main is not None and not words(main):
            main = None
        inside = survey.articles
        if main is not None:
            inside = [element for element in main.iter("article") if element in self._counts]
        article = max(inside, key=words, default=None)
        # Several of a size are teasers of other pages, or the parts of one.
        whole = sum(map(words, inside)) if main is None else words(main)
        alone = article is not None and words(article) > LARGEST_SHARE * whole
        return article if alone else main

    def _mostly_links(self) -> set[Any]:
        """Return what stands beside the main part and is mostly links."""
        gone: dict[Any, int] = {}
        """Words of text in the parts of an element that are dropped."""
        good: dict[Any, int] = {}
        for element, count in self._counts.items():  # the inner ones first
            good[element] = count.good - gone.get(element, 0)
            lost = count.good if element in self._dropped else gone.get(element, 0)
            gone[count.parent] = gone.get(count.parent, 0) + lost
        enough = MAIN_SHARE * good[self._body]
        most = LARGEST_SHARE * self._counts[self._body].words
        part = next(element for element, words in good.items() if words >= enough)
        found = set()
        while part is not self._body:
            parent = part.getparent()
            for other in parent:
                beside = self._counts.get(other) if other is not part else None
                if beside and beside.words <= most and beside.linked > MAX_LINKED * beside.words:
                    found.add(other)
            part = parent
        return found


class _Survey:
    """One walk over a page that counts its words and notes what may be its frame."""

    def __init__(self, body: Any) -> None:
        self.counts: dict[Any, Count] = {}
        """Of all elements but the inline ones and the dropped ones, the inner ones first."""
        self.dropped: set[Any] = set()
        self.suspects: list[Any] = []
        """Blocks that are dropped unless they hold most of the page."""
        self.mains: list[Any] = []
        self.articles: list[Any] = []
        self._count(body)

    def _count(self, body: Any) -> None:
        words = linked = good = landmarks = links = 0
        block = block_linked = 0
        """Words of the block of text at hand, and those of them in links."""
        before: list[tuple[Any, int, int, int, int]] = [(None, 0, 0, 0, 0)]
        walk = etree.iterwalk(body, events=("start", "end"))
        for event, element in walk:
            tag = element.tag
            starts = event == "start"
            if starts and element is not body and self._leaves_out(element):
                self.dropped.add(element)
                walk.skip_subtree()
                continue
            text = element.text if starts else element.tail
            if element not in self.dropped:
                if tag == "a":
                    links += 1 if starts else -1
                elif tag not in INLINE:
                    if block:
                        words += block
                        linked += block_linked
                        if block_linked <= MAX_LINKED * block:
                            good += block - block_linked
                        block = block_linked = 0
                    if starts:
                        landmarks += self._is_landmark(element)
                        before.append((element, words, linked, good, landmarks))
                    else:
                        _, *then = before.pop()
                        now = words, linked, good, landmarks
                        parent = before[-1][0]
                        self.counts[element] = Count(parent, *map(int.__sub__, now, then))
            if text:
                new = len(text.split())
                block += new
                if links:
                    block_linked += new

    def _is_landmark(self, element: Any) -> bool:
        if element.tag == "article":
            self.articles.append(element)
        elif element.tag == "main" or element.get("role") == "main":
            self.mains.append(element)
        else:
            return False
        return True

    def _leaves_out(self, element: Any) -> bool:
        """Whether an element is certainly no content; where that is not certain, note it."""
        tag = element.tag
        if tag in DROPPED:
            return True
        plain = tag not in ("aside", "form")
        if plain and not element.keys():
            return False
        names = element.get("class") or ""
        out_of_sight = _hidden(element, names) or is_mark(names)
        if tag in INLINE or tag in LANDMARKS:
            return out_of_sight and tag in INLINE
        role = element.get("role")
        if tag == "aside" and (role in ("note", "doc-footnote") or is_box(names)):
            return False
        if (
            out_of_sight
            or not plain
            or role in ROLES
            or is_frame(f"{names} {element.get('id') or ''}")
        ):
            self.suspects.append(element)
        return False


def _hidden(element: Any, names: str) -> bool:
    """Whether a reader does not see it; the panel of another tab is hidden and yet content."""
    if element.get("aria-hidden") == "true":
        return True
    if element.get("hidden") is None and not _NO_DISPLAY.search(element.get("style") or ""):
        return False
    return element.get("role") != "tabpanel" and not is_tab(names)
