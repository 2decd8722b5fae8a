"""Which kinds of pairs are asked of which chunk: shares, spread evenly over each document."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

from pipeline.core.cache import digest
from pipeline.pairs.chunk_order import Chunk, Part
from pipeline.text.function_words import content

GOLDEN = 0.6180339887498949
"""Steps of the golden ratio, modulo 1, fall evenly on [0, 1) however many there are (Kronecker)."""


def kinds_of_chunks(
    document: Sequence[Chunk],
    wanted: Sequence[int],
    shares: Mapping[str, float],
    once: Collection[str] = (),
) -> list[Counter[str]]:
    """Return how many pairs of each kind are asked of each chunk of a document.

    It depends on the document's texts alone, so another document changes nothing.

    Args:
        document: its chunks in reading order.
        wanted: pairs of each chunk.
        shares: kind -> share, of any sum; the first one stands in where another cannot be.
        once: kinds that a chunk can give one pair of at the most.
    """
    names = [name for name, share in shares.items() if share > 0]
    edges = list(accumulate(shares[name] for name in names))
    place = int(digest([chunk.text for chunk in document])[:12], 16) / 16**12
    found = []
    for count in wanted:
        kinds: Counter[str] = Counter()
        for _ in range(count):
            at = place % 1 * edges[-1]
            kind = next(name for name, edge in zip(names, edges, strict=True) if at < edge)
            kinds[names[0] if kind in once and kinds[kind] else kind] += 1
            place += GOLDEN
        found.append(kinds)
    return found


def parts_of(document: Sequence[Chunk], wanted: Sequence[int]) -> list[Part]:
    """Return the chunks of a document of which pairs are wanted."""
    return [Part(chunk, count) for chunk, count in zip(document, wanted, strict=True) if count]


def parts_with_another(document: Sequence[Chunk], wanted: Sequence[int]) -> list[Part]:
    """Return the chunks of which pairs are wanted, each with the chunk that shares most with it.

    The measure is the share of their content words that both have (Jaccard); of equals the nearest
    before or behind. A document of one chunk has none: its questions rest on that chunk.
    """
    parts = parts_of(document, wanted)
    if not parts or len(document) < 2:
        return parts
    terms = [content(chunk.text) for chunk in document]
    places = {chunk.chunk_id: place for place, chunk in enumerate(document)}

    def with_nearest(part: Part) -> Part:
        own = places[part.chunk.chunk_id]

        def likeness(place: int) -> tuple[float, int]:
            both = terms[own] & terms[place]
            return len(both) / max(1, len(terms[own] | terms[place])), -abs(own - place)

        others = (place for place in range(len(document)) if place != own)
        return Part(part.chunk, part.wanted, document[max(others, key=likeness)])

    return [with_nearest(part) for part in parts]
