"""PDF text to Markdown: running headers, page numbers, hyphenation and wrapped lines repaired."""

import re
from collections import Counter

from pipeline.documents.left_out import leave_out, words
from pipeline.text.fences import block_of
from pipeline.text.markdown import BULLETS

EDGE_LINES = 3
"""Lines at the top and the bottom of a page among which running headers are looked for."""
REPEATED = 0.4
"""Share of the pages on which a line must repeat: left and right ones often differ."""
IN_CHAPTER = 3
"""Pages on which a line with a page number must repeat: ``Chapter 3: Utilities 7``."""
SHORT_LINE = 0.75
"""Share of the widest line below which a line that ends a sentence ends its paragraph."""
_NUMBER_LINE = re.compile(
    r"(?:[-\u2013\u2014|]\s*)?(?:(?:page|p\.)\s*)?(?:\d{1,4}|[ivxlc]{1,6})"
    r"(?:\s*(?:of|/|\|)\s*\d{1,4})?(?:\s+[-\u2013\u2014|])?",
    re.IGNORECASE,
)
_PAGE_NUMBER = re.compile(r"^#* ?\d{1,4}\s|\s\d{1,4}$")
_LEADER = re.compile(r"(?:[.\u2026\u00b7]\s?){6,}\s*(?:\d{1,4}|[ivxlc]{1,7})$", re.IGNORECASE)
"""End of an entry in a table of contents: dots that lead to the number of a page."""
_NUMBERED = re.compile(r"\bpage\s+\d{1,4}\s*(?:of|/)\s*\d{1,4}\b", re.IGNORECASE)
_LIST = re.compile(rf"(?:[-*+\u2013{BULLETS}]|\(?(?:\d{{1,3}}|[a-zA-Z])[.)])\s+\S")
_BULLET = re.compile(rf"^(?:[{BULLETS}]\s*|\u2013\s+)")
_DASH = "\u2013"
"""Marks the items of a list, and stands inside sentences too, also where a line begins."""
_HEADING = re.compile(r"#{1,6} ")
_SECTION = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})\s+[A-Z][^.!?:;]{1,79}")
# The look-behind keeps a long run of letters from being tried at each of its letters.
_BROKEN = re.compile(r"(?<![^\W_])([^\W_]+)-\n([^\W_]+)((?:-[^\W_]+)*[^\s\w-]*)[ ]?")
_END = (".", "!", "?", ":", ";")
_ROW = "| "
"""Begins each line of a table, which the reader has put in its grid."""
_CODE = "    "
"""Begins each line of code, which the reader has told by its type."""
_MARKED = (_ROW, _CODE)
_OF_ITS_OWN = re.compile(rf"#{{1,6}} |{_CODE}|{re.escape(_ROW)}")
"""Begins a line that is no part of a paragraph."""
_PROGRAM = re.compile(r"((?:^ {4}.*(?:\n|\Z))+)", re.MULTILINE)
_COMPOUND = re.compile(r"(?<![^\W\d_])[^\W\d_]+-[^\W\d_]+")
KEPT_HYPHEN = (
    *("all", "cross", "half", "high", "long", "low", "mid"),
    *("non", "quasi", "self", "short", "two", "three", "well"),
)
"""First parts that English hyphenation keeps apart; used when the document decides nothing."""
LINKS = ("a", "and", "by", "for", "in", "of", "on", "or", "the", "to", "up")
"""Words inside compounds of three and more parts."""


def repair(text: str) -> str:
    r"""Turn the lines of a PDF into paragraphs.

    The text is pages joined by ``\f``, as :mod:`pipeline.documents.readers.pdf` gives them: blank
    lines at wide gaps, ``#`` before lines of large type. Running headers, page numbers and printed
    contents go; a word broken at a line end is joined, unless the document elsewhere writes it with
    its hyphen and never without; a line ``3.2 Set points`` alone becomes a heading.
    """
    pages = []
    for page in text.split("\f"):
        lines = [line if line.startswith(_CODE) else line.strip() for line in page.split("\n")]
        kept = [line for line in lines if not _LEADER.search(line.strip()[-100:])]
        leave_out("contents", sum(map(words, lines)) - sum(map(words, kept)))
        pages.append(kept)
    body = _rejoin_pages(_dehyphenate(_without_edges(pages)))
    parts, width = _PROGRAM.split(body), _width(body.split("\n"))
    parts[1::2] = map(_fenced, parts[1::2])
    parts[::2] = ["\n\n".join(_paragraphs(prose, width)) for prose in parts[::2]]
    return "\n\n".join(filter(None, parts))


def _fenced(program: str) -> str:
    lines = program.rstrip("\n").split("\n")
    return block_of("\n".join(line.removeprefix(_CODE).rstrip() for line in lines))


def _shape(line: str) -> str:
    return re.sub(r"\d+", "0", line.removeprefix("#").strip().casefold())


def _without_edges(pages: list[list[str]]) -> str:
    seen: Counter[str] = Counter()
    for page in pages:
        lines = list(filter(None, page))
        seen.update(set(map(_shape, lines[:EDGE_LINES] + lines[-EDGE_LINES:])))
    enough = max(2, REPEATED * len(pages))
    out = []
    for page in pages:
        gone: set[int] = set()
        filled = [position for position, line in enumerate(page) if line]
        # From each edge inwards, as long as the lines are furniture: a sentence that two pages
        # share is body when body lies between it and the edge.
        for side in (filled[:EDGE_LINES], filled[::-1][:EDGE_LINES]):
            for position in side:
                line = page[position]
                # A table goes on over pages, and its head is repeated there.
                furniture = not line.startswith(_MARKED) and (
                    seen[_shape(line)] >= enough
                    or (seen[_shape(line)] >= IN_CHAPTER and _PAGE_NUMBER.search(line))
                    or _NUMBER_LINE.fullmatch(line)
                    or (len(line) < 80 and _NUMBERED.search(line))
                )
                if not furniture:
                    break
                gone.add(position)
        leave_out("page_edges", sum(words(page[position]) for position in gone))
        kept = (line for position, line in enumerate(page) if position not in gone)
        out.append("\n".join(kept).strip("\n"))
    return "\f".join(out)


def _rejoin_pages(text: str) -> str:
    """Join pages: a paragraph that a page break cut goes on, others are set apart."""
    width = _width(re.split(r"[\n\f]", text))
    whole = ""
    for page in text.split("\f"):
        if not page.strip():
            continue
        last = whole.rsplit("\n", 1)[-1]
        first = page.split("\n", 1)[0]
        is_program = last.startswith(_CODE) and first.startswith(_CODE)
        cut = is_program or (
            last
            and not last.endswith(_END)
            and not _OF_ITS_OWN.match(last)
            and not _OF_ITS_OWN.match(first)
            and not _LIST.match(first)
            and (not first[:1].isupper() or len(last) > SHORT_LINE * width)
        )
        whole += ("\n" if cut else "\n\n") * bool(whole) + page.strip("\n")
    return whole


def _dehyphenate(text: str) -> str:
    # A break at the end of a page counts: put both halves on one page first.
    text = re.sub(r"(?<=[^\W_])-\n*\f\n*(?=[^\W_])", "-\n", text)
    settled = _BROKEN.sub("\n", text).casefold()
    words = Counter(re.findall(r"[^\W\d_]+", settled))
    compounds = Counter(_COMPOUND.findall(settled))

    def is_word(part: str) -> bool:
        """Tell whether a part of a compound (``state-of-the-art``) is a word, not half of one."""
        return part.casefold() in LINKS or words[part.casefold()] > 0

    def join(match: re.Match[str]) -> str:
        first, second, rest = match.groups()
        if first.isdigit() and second.isdigit():
            return match[0]
        follows = match.string[match.start() - 1 : match.start()] == "-"
        keep = (
            # COVID-19, 64-bit: nobody breaks a word beside a digit.
            first[-1].isdigit()
            or second[0].isdigit()
            or (follows and is_word(first))
            or (rest.startswith("-") and is_word(second))
        )
        if not keep and not words[(first + second).casefold()]:
            # An abbreviation, a name ("Wi-Fi", "USB-Port") or a single letter is a compound.
            keep = (
                compounds[f"{first}-{second}".casefold()] > 0
                or second[0].isupper()
                or first.isupper()
                or len(first) == 1
                or first.casefold() in KEPT_HYPHEN
            )
        # The line still ends here: its width tells the end of a paragraph.
        return f"{first}{'-' * keep}{second}{rest}\n"

    return _BROKEN.sub(join, text)


def _width(lines: list[str]) -> int:
    return max((len(line) for line in lines if not line.startswith(_MARKED)), default=0)


def _paragraphs(text: str, width: int) -> list[str]:
    out: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.split("\n") if line]
        if lines and all(line.startswith(_ROW) for line in lines):
            out.append("\n".join(lines))
            continue
        if len(lines) == 1 and _SECTION.fullmatch(lines[0]):
            number = lines[0].split()[0]
            out.append(f"{'#' * min(6, number.count('.') + 2)} {lines[0]}")
            continue
        current: list[str] = []
        dashed = False
        for line in lines:
            # A line of a paragraph may begin with "12." by chance.
            item = _LIST.match(line) and (
                not current or _LIST.match(current[0]) or current[-1].endswith(_END)
            )
            if current and line.startswith(_DASH):
                item = item and (dashed or current[-1].endswith(":"))
            starts = item or _HEADING.match(line)
            ended = current and len(current[-1]) < SHORT_LINE * width and current[-1].endswith(_END)
            if current and (starts or ended or _HEADING.match(current[-1])):
                out.append(" ".join(current))
                current = []
            if not current:
                dashed = line.startswith(_DASH)
            inside = current and line.startswith(_DASH)
            current.append(line if inside else _BULLET.sub("- ", line))
        if current:
            out.append(" ".join(current))
    return _tight_lists(out)


def _tight_lists(paragraphs: list[str]) -> list[str]:
    """Join neighbouring items of a list: one block, an item a line."""
    out: list[str] = []
    for paragraph in paragraphs:
        if out and _LIST.match(paragraph) and _LIST.match(out[-1]):
            out[-1] += f"\n{paragraph}"
        else:
            out.append(paragraph)
    return out
