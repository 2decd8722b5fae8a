"""What of a page is its content, and what its frame: navigation, banners, footers, side columns."""

from typing import Any

from pipeline.documents.clean.web.events import Event, events_of, skip
from pipeline.documents.clean.web.names import (
    DROPPED,
    HEADINGS,
    ID_TAGS,
    INLINE,
    is_section,
    turns_pages,
)
from pipeline.documents.clean.web.verdict import (
    ASIDE,
    DOUBTFUL,
    OUT,
    SUSPECT,
    verdict_on,
    verdict_on_names,
)

LARGEST_SHARE = 0.5
"""An element named like boilerplate that holds more of the page's words than this is a layout
(``page-with-sidebar``) and stays."""

MAX_LINKED = 1 / 3
"""Share of words in links from which a block is no text: the root of the decision trees learnt in
Kohlschuetter, Fankhauser and Nejdl, "Boilerplate Detection using Shallow Text Features", WSDM
2010."""

PART_SHARE = 0.2
"""The only article of a page that has less of its text is a part of it: an example, a quotation.
Comments below an article may be four times as long."""

MAIN_SHARE = 0.8
"""The main part of a page without landmarks is its smallest element with this share of the words
of text. Beside it only what is mostly links goes, so the number matters little."""

_PARTS = frozenset(("tr", "li", "dt", "dd"))
"""Parts of something that is judged as a whole."""
_TELLING = frozenset(("aria-hidden", "epub:type", "hidden", "role", "style"))
"""Attributes that tell what an element is, beside its class and its id."""
_ROWS = ("p", "ul", "ol", "dl", "table", "div")
MOST_OF_A_ROW = 40
"""Words of a row of links to the pages around; a paragraph that has such a link has more."""
_ASKS = frozenset(("search", "email", "password"))
"""Fields of a form that is part of the frame."""
_JUDGED = DROPPED | ASIDE
"""What may be frame whatever its attributes are."""
_CONTAINERS = frozenset(("div", "section", "td", "center", "form", "fieldset"))
"""What may be the main part of a page; beside a paragraph stands more of the same text."""

Count = tuple[Any, int, int, int, int]
"""Of an element: the block around it; its words; those in links; those outside links, in blocks
that are not mostly links; landmarks inside."""


class Frame:
    """Tells the content of one page from its frame."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._events = events_of(body)
        survey = _Survey(body, self._events)
        self._counts = survey.counts
        self.dropped = survey.dropped
        """Elements that belong to the frame, beside those with a tag of DROPPED."""
        landmark = self._landmark(survey)
        self.root = body if landmark is None else landmark
        """The element that holds the content."""
        self.dropped |= {element for element in survey.suspects if self._small(element)}
        self.dropped |= self._rows_of_links(survey.turning)
        self.dropped |= {
            element
            for element in survey.doubtful
            if self._small(element) and self._says_little(element)
        }
        if landmark is None:
            self.dropped |= self._mostly_links()

    def content(self) -> list[Event]:
        """Return the tags of the root and what is inside it, and maybe some behind it."""
        if self.root is self._body:
            return self._events
        start = next(place for place, tag in enumerate(self._events) if tag[0] is self.root)
        return self._events[start:]

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
        _, words, _, _, landmarks = self._counts[element]
        return not landmarks and words <= LARGEST_SHARE * self._words(self.root)

    def _rows_of_links(self, links: list[Any]) -> set[Any]:
        """Return the paragraphs, lists and tables of links that turn pages, with few words more."""
        rows = {next(link.iterancestors(*_ROWS), None) for link in links}
        return {row for row in rows & self._counts.keys() if self._words(row) <= MOST_OF_A_ROW}

    def _says_little(self, element: Any) -> bool:
        """Whether an aside is mostly links, or a form asks for something and says nothing."""
        _, words, linked, _, _ = self._counts[element]
        if element.tag == "aside":
            return linked > MAX_LINKED * words
        fields = (field.get("type") for field in element.iter("input"))
        text = next(element.iter("p", "pre", "table", "ul", "ol", "dl", *HEADINGS), None)
        return text is None or not _ASKS.isdisjoint(fields)

    def _words(self, element: Any) -> int:
        return self._counts[element][1]

    def _landmark(self, survey: "_Survey") -> Any:
        """Return the element that the page itself calls its content, if one has text."""
        words = self._words
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
        if alone and main is None:
            share = LARGEST_SHARE if len(inside) > 1 else PART_SHARE  # of text outside of links
            alone = self._counts[article][3] >= share * self._counts[self._body][3]
        return article if alone else main

    def _mostly_links(self) -> set[Any]:
        """Return what stands beside the main part and is mostly links."""
        gone: dict[Any, int] = {}
        """Words of text in the parts of an element that are dropped."""
        good: dict[Any, int] = {}
        for element, (parent, _, _, all_good, _) in self._counts.items():  # the inner ones first
            lost = gone.get(element, 0)
            good[element] = all_good - lost
            if element in self.dropped:
                lost = all_good
            if lost:
                gone[parent] = gone.get(parent, 0) + lost
        enough = MAIN_SHARE * good[self._body]
        most = LARGEST_SHARE * self._words(self._body)
        part = next(
            element
            for element, words in good.items()
            if words >= enough and (element.tag in _CONTAINERS or element is self._body)
        )
        found = set()
        while part is not self._body:
            parent = part.getparent()
            for other in parent:
                beside = self._counts.get(other) if other is not part else None
                if not beside or other.tag in _PARTS or is_section(other.get("class") or ""):
                    continue
                _, words, linked, _, _ = beside
                if words <= most and linked > MAX_LINKED * words:
                    found.add(other)
            part = parent
        return found


class _Survey:
    """One walk over a page that counts its words and notes what may be its frame."""

    def __init__(self, body: Any, events: list[Event]) -> None:
        self.counts: dict[Any, Count] = {}
        """Of all elements but the inline ones and the dropped ones, the inner ones first."""
        self.dropped: set[Any] = set()
        self.suspects: list[Any] = []
        """Blocks that are dropped unless they hold most of the page."""
        self.turning: list[Any] = []
        """Links to the page before, behind or above this one."""
        self.doubtful: list[Any] = []
        """Asides and forms that nothing but their tag makes a suspect."""
        self.mains: list[Any] = []
        self.articles: list[Any] = []
        self._count(body, events)

    def _count(self, body: Any, events: list[Event]) -> None:
        words = linked = good = landmarks = links = 0
        block = block_linked = 0
        """Words of the block of text at hand, and those of them in links."""
        around = None
        """The block at hand."""
        before: list[tuple[Any, int, int, int, int]] = []
        """For each open block the one around it, and what was counted before it."""
        stream = iter(events)
        for element, tag, attributes, text in stream:
            if (
                element is not None
                and (attributes or tag in _JUDGED)
                and element is not body
                and self._leaves_out(element, tag, attributes)
            ):
                self.dropped.add(element)
                text = skip(stream)
            elif tag == "a":
                links += -1 if element is None else 1
                if element is not None and turns_pages(attributes):
                    self.turning.append(element)
            elif tag not in INLINE:
                if block:
                    words += block
                    linked += block_linked
                    if block_linked <= MAX_LINKED * block:
                        good += block - block_linked
                    block = block_linked = 0
                if element is not None:
                    landmarks += self._is_landmark(element, tag, attributes)
                    before.append((around, words, linked, good, landmarks))
                    around = element
                else:
                    parent, words_, linked_, good_, landmarks_ = before.pop()
                    self.counts[around] = (
                        parent,
                        words - words_,
                        linked - linked_,
                        good - good_,
                        landmarks - landmarks_,
                    )
                    around = parent
            if text:
                new = len(text.split())
                block += new
                if links:
                    block_linked += new

    def _is_landmark(self, element: Any, tag: str, attributes: dict[str, str]) -> bool:
        if tag == "article":
            self.articles.append(element)
        elif tag == "main" or attributes.get("role") == "main":
            self.mains.append(element)
        else:
            return False
        return True

    def _leaves_out(self, element: Any, tag: str, attributes: dict[str, str]) -> bool:
        """Whether an element is certainly no content; where that is not certain, note it."""
        name = attributes.get("id") if tag in ID_TAGS else None
        if _TELLING.isdisjoint(attributes):
            verdict = verdict_on_names(tag, attributes.get("class"), name)
        else:
            verdict = verdict_on(tag, attributes)
        if verdict == SUSPECT:
            self.suspects.append(element)
        elif verdict == DOUBTFUL:
            self.doubtful.append(element)
        return verdict == OUT
