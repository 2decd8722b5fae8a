"""Documents for the tests of deduplication: made of words drawn with a fixed seed."""

import random

from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from schemas.documents import Documents

VOCABULARY = [
    f"{stem}{ending}"
    for stem in ("valv", "pump", "prob", "zon", "vent", "relay", "mist")
    for ending in ("e", "es", "ing", "ed", "er", "ers", "able", "ist", "ory", "ment")
]


def prose(seed: int, length: int = 120) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choices(VOCABULARY, k=length))


def edited(text: str, changes: int, seed: int = 0) -> str:
    words = text.split()
    for place in random.Random(seed).sample(range(len(words)), changes):
        words[place] = "changed" + "abcdefghij"[place % 10] * (1 + place // 10)
    return " ".join(words)


def corpus(texts: dict[str, str]) -> DataFrame[Documents]:
    """Return one document a source."""
    return table(
        Documents,
        (
            {
                "doc_id": short_id(source, text),
                "source": source,
                "format": "text",
                "title": source,
                "text": text,
                "span_start": 0,
                "span_end": len(text),
                "language": "en",
            }
            for source, text in texts.items()
        ),
    )
