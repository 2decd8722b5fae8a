"""Number facts: the numbers, signs and operators that tell one page from another like it.

Shingles read every number as one word. Pages of a template (error codes, price lists) have the same
shingles and say different things: a *copy with edits* loses facts as it loses words; a *sibling*
loses them although its words stay.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from pipeline.dedup.arrays import Hashes, Rows, Texts, utf8

_DATES = (  # by their shape: 2020-10-03, 3.10.2020, 3 October 2020, October 3, 2020, or kanji
    r"(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?",
    r"\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d",
    r"\d\d?[^\s\d]{0,2}[ \t](?:\p{L}{2,3}[ \t])?\p{L}+[.,]{0,2}[ \t](?:de[ \t])?(?:19|20)\d\d",
    r"[ \t]\d\d?(?:st|nd|rd|th)?,[ \t](?:19|20)\d\d",
    r"(?:19|20)\d\d ?[年년] ?\d\d? ?[月월] ?\d\d? ?[日일]",
)
_TIME = r"(?:(?:,?[ \t]+(?:at[ \t]+)?|T)\d\d?:\d\d(?::\d\d(?:\.\d+)?)?)?"  # of a time stamp
_PAGE_NAMES = "[Pp]age|Seite|[Pp][aá]gina|[Ss]ide|[Ss]ida|[Ss]trona|[Сс]траница"  # noqa: RUF001
_PAGE = rf"(?:{_PAGE_NAMES})[ \t]\d+(?:[ \t]?(?:of|von|de|di|z|из|/)[ \t]?\d+)?"
_MARKS = r"(?m:^[ \t]*(?:>[> \t]*|[-=+:|*_~# \t]+$|\d{1,3}[.)][ \t]))"
"""Quote marks, rules of Markdown and plain tables, numbers of list items."""
_TAG = r"</?[A-Za-z][^<>\n]{0,200}>"  # of HTML, or an address in Markdown
_ADDRESS = r"\]\([^()\s]{0,500}\)|https?://[^\s<>()\]]+"
"""Where a link leads; other formats do not show it."""
STAMPS = "|".join((*(date + _TIME for date in _DATES), _PAGE, _MARKS, _TAG, _ADDRESS))
"""What carries digits, signs and words and is no fact: when and on which page a text was printed,
the marks of its layout, and addresses."""

_DECIMALS = r"(?:[.,:]\p{Nd}[\p{L}\p{Nd}]*)*"

FACTS = "|".join(  # numbers with their sign, names such as C++ and C#, and operators
    (
        r"(?:^|[\s(\[|,:=`*\"'])[-+\x{2212}±]\p{Nd}[\p{L}\p{Nd}_]*" + _DECIMALS,
        r"[\p{L}_]*\p{Nd}[\p{L}\p{Nd}_]*" + _DECIMALS,  # 4.2.1, A17, 10:30
        r"\p{L}[\p{L}\p{Nd}]*(?:\+\+|#)",
        r"[-+*/%&|^!:]?[<>=]+|[≤≥≠\x{D7}÷]|&&|[ \t]\+[ \t]",
    )
)

UNEXPLAINED = 0.01  # chance below which the words that differ do not explain how many facts do


class Facts(NamedTuple):
    """The facts of texts as hashes."""

    values: Hashes  # sorted within each text; odd ones are words with letters (A17)
    bounds: Rows  # where those of each text begin, and the end of the last
    plain: Texts  # the texts without what carries no facts
    tell: bool  # whether facts and names tell texts apart


def fact_hashes(texts: pl.Series, tell: bool) -> Facts:
    """Return the numbers, signs and operators of texts, without dates, page numbers and marks.

    None where facts do not ``tell`` texts apart. Hashes of polars change with it: never stored.
    """
    if not tell:
        nowhere = np.zeros(len(texts) + 1, np.int64)
        return Facts(np.empty(0, np.uint64), nowhere, utf8(texts), False)
    stripped = texts.str.replace_all(STAMPS, " ")
    found = stripped.str.extract_all(FACTS)
    bounds = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(found.list.len().to_numpy(), out=bounds[1:])
    flat = found.explode(empty_as_null=False) if len(texts) else pl.Series([], dtype=pl.String)
    bare = flat.str.strip_chars(" \t\r\n([|,:=`*\"'").str.replace_all("\u2212", "-", literal=True)
    worded = bare.str.contains(r"\p{L}").to_numpy().astype(np.uint64)
    hashes = (bare.str.to_lowercase().hash().to_numpy() & ~np.uint64(1)) | worded
    rows = np.repeat(np.arange(len(texts)), np.diff(bounds))
    return Facts(hashes[np.lexsort((hashes, rows))], bounds, utf8(stripped), True)
