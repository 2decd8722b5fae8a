"""Which language a document is in, by py3langid."""

import re
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
"""Words of prose below which fenced code is looked at too: a page may be one fixed block."""

PRIOR = 50.0
"""Odds of a language that a corpus is said to be in against any other, before its text is looked
at. It matters for short texts alone: a list of parts in English, names in Latin."""

NO_LANGUAGE = "zxx"
"""ISO 639-2: no linguistic content."""


class Language(NamedTuple):
    """The best guess and its normalised probability."""

    code: str
    """ISO 639-1."""
    probability: float


def identify(text: str, expected: Collection[str] = ()) -> Language:
    """Return the language of a Markdown text; code, links and markup are not looked at.

    A text of codes and numbers alone has none: ``zxx`` with probability 0.

    Args:
        text: Markdown.
        expected: languages (ISO 639-1) that are likelier beforehand, by :data:`PRIOR`.
    """
    prose = prose_of(text)
    if len(prose) < len(text) and len(prose.split()) < PROSE_FROM:
        prose = text
    found = _classify(prose, WINDOW, expected)
    if found.probability < SURE and len(prose) > WINDOWS * WINDOW:
        found = _classify(prose, WIDE_WINDOW, expected)
    return found


def _classify(prose: str, window: int, expected: Collection[str]) -> Language:
    if len(prose) > WINDOWS * window:
        step = (len(prose) - window) // (WINDOWS - 1)
        prose = " ".join(prose[n * step : n * step + window] for n in range(WINDOWS))
    prose = " ".join(_MARKUP.sub(" ", prose).split())
    code, probability = _identifier().classify(prose)
    if code == NO_LANGUAGE:
        return Language(NO_LANGUAGE, 0.0)
    if expected and (probability < SURE or code not in expected):
        ranked = [(code, p * (PRIOR if code in expected else 1)) for code, p in _ranked(prose)]
        code, probability = max(ranked, key=lambda each: each[1])
        probability /= sum(p for _, p in ranked)
    return Language(str(code), float(probability))


def _ranked(prose: str) -> list[tuple[str, float]]:
    return [(str(code), float(p)) for code, p in _identifier().rank(prose) if code != NO_LANGUAGE]


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # imports numpy; settings do not

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
