"""Alpha spending: what each look at one test set may cost, so that all together err rarely.

Ten looks at 2.5 % each would let a challenger no better win with 22 %. Of the allowed error look
``k`` gets ``6 / (pi k)^2``: a Bonferroni bound over a series that sums to one, as in Foster and
Stine 2008, "alpha-investing", without its returns.
"""

from collections.abc import Collection, Mapping, Sequence
from math import pi

from pipeline.evaluate.results import Looks

LITTLE = 0.1
"""Share of the error left from which fresh test rows are due: after the sixth look."""
SAME = 0.5
"""Share of the test rows that an earlier look had, from which it was a look at this test set."""


def looks(number: int, confidence: float, ways: int = 1) -> Looks:
    """Return what a look, from 1, may spend; ``ways``: arms of the challenger looked at."""
    share = 6 / (pi * number) ** 2
    left = 1 - sum(6 / (pi * look) ** 2 for look in range(1, number + 1))
    return Looks(number, 1 - (1 - confidence) * share / ways, left, left < LITTLE)


def earlier(
    rows: Sequence[Mapping[str, object]], test_set: str, pairs: Collection[str], model: str
) -> int:
    """Return how many other models the journal has before this one on these test rows."""
    asked = set(pairs)
    models: list[object] = []
    for row in rows:
        seen = row.get("pairs")
        known = len(asked.intersection(seen)) if isinstance(seen, list) else 0
        same = row.get("test_set") == test_set or (known and known >= SAME * len(asked))
        if same and row.get("model") not in models:
            models.append(row.get("model"))
    return models.index(model) if model in models else len(models)
