"""Repeated paragraphs: boilerplate that occurs in many documents, counted and taken out.

CCNet drops each paragraph that was seen before (Wenzek et al. 2020), C4 all but one of each span of
three sentences (Raffel et al. 2020): too much for manuals, where two pages may share a warning for
good reason. So a paragraph has to occur in ``min_documents``, and it is reported first. Paragraphs
are equal when case and white space are all that differs: "opens at 5 bar" and "opens at 6 bar" are
two facts, and what is taken out is not compared again.
"""

import re
from array import array
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import EXCERPT, Drop, Outcome, drops, table
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.stage import Stage
from pipeline.documents.clean.cleaning import Verdict
from pipeline.documents.parallel import spread
from pipeline.settings import ParagraphSettings
from pipeline.text.words import same_text, words
from schemas.documents import Documents, RepeatedParagraphs

SHOWN_SOURCES = 3  # sources named of each repeated paragraph
LIMITS = {"seconds": 60, "megabytes": 2048}  # a book of a million words takes about two seconds
BODY = 9  # level of what is no heading: below all headings
TEXT = 0  # kind of a paragraph, list, quotation or table; 1 to 6 is the level of a heading
CODE = 7  # fenced or indented code, and what is indented like it
# All quantifiers that could be tried in more than one way are possessive: time grows with the text.
_FENCE = r"[ \t>]*+(?:(?:[-*+]|\d{1,9}+[.)])[ \t]++[ \t>]*+)*+(?:`{3,}+(?=[^`\n]*$)|~{3,}+)"
"""Opens code, behind the marks of lists and quotes too (CommonMark 4.5)."""
_FENCED = re.sub(r"\(\?:(?=`)", "(?P<fence>", _FENCE)
_CLOSING = r"[ \t>]*+(?P=fence)(?:`*|~*)[ \t\r]*$"
_PRE = r" {0,3}(?i:<pre)"
_HEADING = r" {0,3}#{1,6}(?=[ \t\r\n]|\Z)"
"""CommonMark 4.2."""
_BLANK = r"[ \t\r]*$"
_BLOCK = re.compile(
    rf"^(?:(?:{_FENCED}[^\n]*(?:\n(?!{_CLOSING})[^\n]*)*+(?:\n{_CLOSING})?"
    rf"|(?P<pre>{_PRE})(?s:.*?)(?:(?i:</pre>)[^\n]*|\Z))"
    rf"|(?P<heading>{_HEADING})[^\n]*"
    rf"|(?!{_BLANK})(?P<indent> {{4}}| {{0,3}}\t)?[^\n]+"
    rf"(?:\n(?!{_BLANK}|{_HEADING}|{_PRE}|{_FENCE})[^\n]+)*+)",
    re.MULTILINE,
)


class Block(NamedTuple):
    """Characters of a text."""

    start: int
    stop: int
    kind: int  # TEXT, CODE, or the level of a heading


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the blocks of a Markdown text: what blank lines, headings and code set apart.

    It is a reading by lines; where they leave it open whether something is code, it is code.
    """
    for match in _BLOCK.finditer(text):
        kind = CODE if match["fence"] or match["pre"] or match["indent"] else TEXT
        if match["heading"]:
            kind = match["heading"].count("#")
        yield Block(match.start(), match.start() + len(match[0].rstrip()), kind)


def find_repeated(
    documents: DataFrame[Documents], settings: ParagraphSettings, runner: Runner = LOCAL
) -> Outcome[RepeatedParagraphs]:
    """Find the paragraphs that occur in many documents.

    A paragraph is a block of Markdown (prose, list, quotation, table). Headings and code are none:
    "Overview" stands everywhere, and the same command belongs to each of several steps.

    Returns:
        Repeated paragraphs, those of most documents first; the ledger counts documents, of which
        none is dropped. Metrics: ``spare_characters`` of all occurrences but one of each, and
        ``uncounted`` documents, which met a limit.
    """
    ordered = documents.sort("source", "doc_id")
    texts = ordered["text"]
    ids, sources = ordered["doc_id"], ordered["source"]
    least = max(settings.min_documents, int(np.ceil(settings.min_share * ordered.height)))
    keys, rows = array("Q"), array("i")
    uncounted: list[Drop] = []
    numbered = ordered.select("doc_id", "source", "text").with_row_index("row")
    for row, found in spread("paragraphs", runner, _keys, numbered, uncounted, **LIMITS):
        keys.extend(found)
        rows.extend([row["row"]] * len(found))
    repeated = (
        pl.DataFrame({"key": np.array(keys), "row": np.array(rows)})
        .filter(pl.col("row").n_unique().over("key") >= least)
        .group_by("key")
        .agg(
            documents=pl.col("row").n_unique(),
            occurrences=pl.len(),
            rows=pl.col("row").unique().sort().head(SHOWN_SOURCES),
        )
    )
    # Of equal paragraphs of a document the first.
    first_texts = lru_cache(maxsize=64)(lambda row: dict(reversed(_paragraphs(texts[row]))))
    frame = table(
        RepeatedParagraphs,
        (
            {
                "key": f"{key:016x}",
                "text": text[:EXCERPT],
                "words": len(words(text)),
                "characters": len(text),
                "documents": count,
                "occurrences": occurrences,
                "doc_id": ids[holders[0]],
                "sources": sources.gather(holders).to_list(),
            }
            for key, count, occurrences, holders in repeated.iter_rows()
            for text in [first_texts(holders[0])[key]]
        ),
    )
    kept = frame.filter(pl.col("words") >= settings.min_words).sort(
        ["documents", "characters", "key"], descending=[True, True, False]
    )
    spare = ((kept["occurrences"] - 1) * kept["characters"]).sum()
    return Outcome(
        cast("DataFrame[RepeatedParagraphs]", kept),
        drops([]),
        rows_in=documents.height,
        rows_kept=documents.height,
        metrics={
            "paragraphs": float(kept.height),
            "occurrences": float(kept["occurrences"].sum()),
            "spare_characters": float(spare),
            "uncounted": float(len(uncounted)),
        },
    )


def trim(
    documents: DataFrame[Documents],
    repeated: DataFrame[RepeatedParagraphs],
    judge: Callable[[str], Verdict | None],
    runner: Runner = LOCAL,
) -> Outcome[Documents]:
    """Take repeated paragraphs out of all documents but one.

    The first occurrence stays, in the document whose source sorts first: it can still be asked
    about. A heading goes with the last paragraph under it. ``judge`` returns what a text that is
    too short for cleaning breaks, or None.

    Returns:
        Documents sorted by ``doc_id``, the ids unchanged. One of which too little is left goes as
        ``only_repeated_paragraphs`` (value and threshold of ``judge``; related: where the first of
        its paragraphs stays), one that met a limit as ``trim_timeout``, ``trim_out_of_memory`` or
        ``trim_crashed``. Metrics: ``paragraphs`` and ``characters`` that were taken out,
        ``documents`` that lost some, dropped ones included.
    """
    ordered = documents.sort("doc_id")
    holders = {int(key, 16): holder for key, holder in repeated.select("key", "doc_id").rows()}
    texts: dict[int, str] = {}
    dropped: list[Drop] = []
    taken = characters = changed = 0
    cut_out = partial(_cut, holders=holders)
    numbered = ordered.select("doc_id", "source", "text").with_row_index("row")
    for row, cut in spread("trim", runner, cut_out, numbered, dropped, **LIMITS):
        if cut is None:
            continue
        changed += 1
        taken += cut.paragraphs
        characters += len(row["text"]) - len(cut.text)
        verdict = judge(cut.text) if cut.text else Verdict("empty", 0, 1)
        if verdict is None:
            texts[row["row"]] = cut.text
            continue
        measured = (verdict.value, verdict.threshold, cut.stays_in)
        begins = f"{row['source']}: {row['text']}"
        dropped.append(Drop(row["doc_id"], "only_repeated_paragraphs", begins, *measured))
    text = ordered["text"].scatter(list(texts), list(texts.values()))
    gone = [drop.id for drop in dropped]
    kept = ordered.with_columns(text).filter(~pl.col("doc_id").is_in(gone))
    return Outcome(
        cast("DataFrame[Documents]", kept),
        drops(dropped),
        rows_in=ordered.height,
        metrics={"paragraphs": taken, "characters": characters, "documents": changed},
    )


class _Cut(NamedTuple):
    """A document without its repeated paragraphs."""

    text: str
    paragraphs: int
    stays_in: str  # document that the first of them stays in


def _keys(document: Mapping[str, Any]) -> "array[int]":
    return array("Q", (key for key, _ in _paragraphs(document["text"])))


def _paragraphs(text: str) -> list[tuple[int, str]]:
    """Return the paragraphs of a document behind their keys."""
    blocks = (text[start:stop] for start, stop, kind in blocks_of(text) if kind == TEXT)
    return [(_key(block), block) for block in blocks]


def _key(paragraph: str) -> int:
    """Return 64 bits that are equal for paragraphs which differ in case and white space only."""
    return int(short_id(same_text(paragraph)), 16)


def _cut(document: Mapping[str, Any], holders: Mapping[int, str]) -> _Cut | None:
    """Take repeated paragraphs out of a document; None when it has none to lose."""
    text, doc_id = document["text"], document["doc_id"]
    blocks = list(blocks_of(text))
    gone: dict[int, str] = {}
    seen: set[int] = set()
    for place, block in enumerate(blocks):
        key = _key(text[block.start : block.stop]) if block.kind == TEXT else None
        if key is None or key not in holders:
            continue
        if key in seen or holders[key] != doc_id:
            gone[place] = holders[key]
        seen.add(key)
    if not gone:
        return None
    kept = _without_empty_sections(blocks, gone)
    pieces = [text[blocks[place].start : blocks[place].stop] for place in kept]
    for number, (place, following) in enumerate(pairwise(kept)):
        between = text[blocks[place].stop : blocks[following].start]
        pieces[number] += between if following == place + 1 else "\n\n"
    return _Cut("".join(pieces), len(gone), next(iter(gone.values())))


def _without_empty_sections(blocks: Sequence[Block], gone: Container[int]) -> list[int]:
    """Return the places of the blocks that stay; a heading over nothing else goes as well."""
    kept: list[int] = []
    below, emptied = 0, False  # level of the block kept last; whether some went since
    for place in reversed(range(len(blocks))):
        kind = blocks[place].kind
        level = BODY if kind in (TEXT, CODE) else kind
        if place in gone or (emptied and level < BODY and below <= level):
            emptied = True
            continue
        kept.append(place)
        below, emptied = level, False
    return kept[::-1]


PARAGRAPHS = Stage(
    "paragraphs",
    find_repeated,
    RepeatedParagraphs,
    {"documents": Documents},
    section="paragraphs",
    dataset="repeated_paragraphs",
)
TRIM = Stage(
    "trim",
    trim,
    Documents,
    {"documents": Documents, "repeated": RepeatedParagraphs},
    dataset="trimmed_documents",
)
