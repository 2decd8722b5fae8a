"""What of a page is its content, and what its frame: navigation, banners, footers, side columns."""

from operator import sub
from typing import Any, NamedTuple

from lxml import etree

from pipeline.documents.clean.web import names

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
"""Without landmarks, the main part is the smallest element with this share of the words of text."""
_PARTS = frozenset(("tr", "li", "dt", "dd"))  # of something that is judged as a whole
MOST_OF_A_ROW = 40
"""Words of a row of links to the pages around; a paragraph that has such a link has more."""
_CONTAINERS = frozenset(("div", "section", "td", "center", "form", "fieldset"))
"""What may be the main part of a page; beside a paragraph stands more of the same text."""


class Count(NamedTuple):
    """What is in an element."""

    around: Any
    """The block that it is in."""
    words: int
    linked: int
    good: int
    """Words outside links, in blocks that are not mostly links."""
    landmarks: int

    @property
    def mostly_linked(self) -> bool:
        """Whether too many words are in links."""
        return self.linked > MAX_LINKED * self.words


class Frame:
    """Tells the content of one page from its frame."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._counts: dict[Any, Count] = {}
        """Of all elements but the inline ones and the dropped ones, the inner ones first."""
        self.dropped: set[Any] = set()
        """Elements that belong to the frame, beside those with a tag of DROPPED."""
        self._noted: dict[str, list[Any]] = {names.SUSPECT: [], names.DOUBTFUL: []}
        """Blocks that their names make a suspect, and asides and forms that only their tag does."""
        self._turning: list[Any] = []
        """Links to the page before, behind or above this one."""
        self._mains: list[Any] = []
        self._articles: list[Any] = []
        self._survey()
        landmark = self._landmark()
        self.root = body if landmark is None else landmark
        """The element that holds the content."""
        self.dropped.update(filter(self._small, self._noted[names.SUSPECT]))
        self.dropped |= self._rows_of_links()
        doubtful = filter(self._small, self._noted[names.DOUBTFUL])
        self.dropped.update(filter(self._says_little, doubtful))
        if landmark is None:
            self.dropped |= self._mostly_links()

    def _survey(self) -> None:
        """Walk over the page once, count its words and note what may be its frame."""
        words = linked = good = landmarks = links = 0
        block = block_linked = 0
        """Words of the block of text at hand, and those of them in links."""
        around = None
        """The block at hand."""
        before: list[Count] = []
        """For each open block the one around it, and what was counted before it."""
        walk = etree.iterwalk(self._body, events=("start", "end"))
        for event, element in walk:
            tag, begins = names.tag_of(element), event == "start"
            if begins and element is not self._body:
                verdict = names.verdict_on(tag, element)
                if verdict == names.OUT:
                    self.dropped.add(element)
                    walk.skip_subtree()
                    continue
                if verdict != names.KEPT:
                    self._noted[verdict].append(element)
            if element in self.dropped:
                pass  # its end
            elif tag == "a":
                links += 1 if begins else -1
                if begins and names.turns_pages(element):
                    self._turning.append(element)
            elif tag not in names.INLINE:
                words += block
                linked += block_linked
                if block_linked <= MAX_LINKED * block:
                    good += block - block_linked
                block = block_linked = 0
                if begins:
                    if tag in ("article", "main") or element.get("role") == "main":
                        (self._articles if tag == "article" else self._mains).append(element)
                        landmarks += 1
                    before.append(Count(around, words, linked, good, landmarks))
                    around = element
                else:
                    parent, *then = before.pop()
                    now = (words, linked, good, landmarks)
                    self._counts[element] = Count(parent, *map(sub, now, then))
                    around = parent
            text = element.text if begins else element.tail
            new = len(text.split()) if text else 0
            block += new
            block_linked += new * bool(links)

    def titles_outside(self) -> list[Any]:
        """Return the heading of the page where it stands outside the root, else none."""
        if self.root is self._body or next(self.root.iter("h1", "h2"), None) is not None:
            return []
        page = self._body.getparent()
        title = None if page is None else page.findtext("head/title")
        heads = list(self._body.iter("h1"))
        # The name of the site is a heading too, on some pages; the title begins with the page's.
        text = names.text_of(heads[0]) if len(heads) == 1 else ""
        return heads if title and text and " ".join(title.split()).startswith(text) else []

    def _small(self, element: Any) -> bool:
        """Whether an element holds neither a landmark nor most of the text."""
        count = self._counts[element]
        return not count.landmarks and count.words <= LARGEST_SHARE * self._words(self.root)

    def _rows_of_links(self) -> set[Any]:
        """Return the paragraphs, lists and tables of links that turn pages, with few words more."""
        rows = {
            next(link.iterancestors("p", "ul", "ol", "dl", "table", "div"), None)
            for link in self._turning
        }
        return {row for row in rows & self._counts.keys() if self._words(row) <= MOST_OF_A_ROW}

    def _says_little(self, element: Any) -> bool:
        """Whether an aside is mostly links, or a form asks for something and says nothing."""
        if element.tag == "aside":
            return self._counts[element].mostly_linked
        fields = (field.get("type") for field in element.iter("input"))
        text = next(element.iter("p", "pre", "table", "ul", "ol", "dl", *names.HEADINGS), None)
        return text is None or not {"search", "email", "password"}.isdisjoint(fields)

    def _words(self, element: Any) -> int:
        return self._counts[element].words

    def _landmark(self) -> Any:
        """Return the element that the page itself calls its content, if one has text."""
        words = self._words
        main = max(filter(words, self._mains), key=words, default=None)
        inside = self._articles
        if main is not None:
            inside = [element for element in main.iter("article") if element in self._counts]
        article = max(inside, key=words, default=None)
        # Several of a size are teasers of other pages, or the parts of one.
        whole = sum(map(words, inside)) if main is None else words(main)
        alone = article is not None and words(article) > LARGEST_SHARE * whole
        if alone and main is None:
            share = LARGEST_SHARE if len(inside) > 1 else PART_SHARE  # of text outside of links
            alone = self._counts[article].good >= share * self._counts[self._body].good
        return article if alone else main

    def _mostly_links(self) -> set[Any]:
        """Return what stands beside the main part and is mostly links."""
        gone: dict[Any, int] = {}
        """Words of text in the parts of an element that are dropped."""
        good: dict[Any, int] = {}
        for element, count in self._counts.items():  # the inner ones first
            lost = gone.get(element, 0)
            good[element] = count.good - lost
            if element in self.dropped:
                lost = count.good
            gone[count.around] = gone.get(count.around, 0) + lost
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
                if not beside or other.tag in _PARTS or names.is_section(other.get("class", "")):
                    continue
                if beside.words <= most and beside.mostly_linked:
                    found.add(other)
            part = parent
        return found
