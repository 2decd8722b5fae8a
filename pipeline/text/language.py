"""Which language a document is in, by py3langid."""

import re
from collections import Counter
from collections.abc import Collection
from functools import cache
from typing import Any, NamedTuple

from pipeline.text.fences import prose_of

WINDOWS = 4
"""Places of a long text that are looked at, from its start to its end."""
WINDOW, WIDE_WINDOW = 250, 1_000
"""Characters of one place, and of one when the first look leaves a doubt."""
SURE = 0.9
"""Probability from which the first look is enough. On 1,200 translated texts in 91 languages
(message catalogues of more than 8,000 characters) the two looks name the language of 95.1 %, as
does the wide one for each text; the first 20,000 characters of 94.4 %, for 20 times the cost."""
_MARKUP = re.compile(r"`[^`\n]*`|https?://\S+|\]\([^)\n]{0,500}\)|<[^<>\n]{0,500}>|[|#*_>\[\]-]+")
PROSE_FROM = 20
"""Words of prose, headings aside, below which fenced code is looked at too: it may be the page."""
_HEADING = re.compile(r"^#{1,6}[ \t].*$", re.MULTILINE)
PRIOR = 50.0
"""Odds of a language that a corpus is said to be in against any other, before its text is looked
at. It matters for short texts alone: a list of parts in English, names in Latin."""
ALSO = {"ary": "ar", "arz": "ar", "wuu": "zh", "yue": "zh", "nn": "no", "sdh": "ku", "no": "nb"}
"""Language that the identifier tells apart -> that of a corpus as which it counts: the one that it
is in (ISO 639-3; written Arabic is half "Moroccan" to it), or Bokmal, which it calls Norwegian."""
RANKED = 3
"""Languages of a doubtful text that are named."""
NO_LANGUAGE = "zxx"
"""ISO 639-2: no linguistic content."""


class Language(NamedTuple):
    """The best guess and its normalised probability."""

    code: str
    """ISO 639-1."""
    probability: float


def identify(text: str, expected: Collection[str] = ()) -> Language:
    """Return the language of a Markdown text; code, links and markup are not looked at.

    The expected ones (ISO 639-1) are likelier beforehand, by :data:`PRIOR`. A text of codes and
    numbers alone has none: ``zxx`` with probability 0.
    """
    return judged(text, expected)[1][0]


def judged(text: str, expected: Collection[str] = ()) -> tuple[str, list[Language]]:
    """Return the passage that :func:`identify` looks at, and the likeliest or the sure language."""
    prose = prose_of(text)
    if len(prose) < len(text) and len(_HEADING.sub("", prose).split()) < PROSE_FROM:
        prose = text
    passage = _passage(prose, WINDOW)
    found = _likeliest(passage, expected)
    if found[0].probability < SURE and len(prose) > WINDOWS * WINDOW:
        passage = _passage(prose, WIDE_WINDOW)
        found = _likeliest(passage, expected)
    return passage, found


def _passage(prose: str, window: int) -> str:
    if len(prose) > WINDOWS * window:
        step = (len(prose) - window) // (WINDOWS - 1)
        prose = " ".join(prose[n * step : n * step + window] for n in range(WINDOWS))
    return " ".join(_MARKUP.sub(" ", prose).split())


def _likeliest(passage: str, expected: Collection[str]) -> list[Language]:
    code, probability = _identifier().classify(passage)
    if code == NO_LANGUAGE:
        return [Language(NO_LANGUAGE, 0.0)]
    code = _known_as(code, expected)
    if probability >= SURE and (not expected or code in expected):
        return [Language(code, float(probability))]
    odds: Counter[str] = Counter()
    for each, p in _identifier().rank(passage):
        known = _known_as(each, expected)
        odds[known] += float(p) * (PRIOR if known in expected else 1) * (each != NO_LANGUAGE)
    total = sum(odds.values())
    return [Language(each, weight / total) for each, weight in odds.most_common(RANKED)]


def _known_as(code: str, expected: Collection[str]) -> str:
    also = ALSO.get(code, code)
    return str(also if also in expected and code not in expected else code)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # imports numpy; settings do not

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
