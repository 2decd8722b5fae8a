"""Alpha spending: what each look at one test set may cost, so that all together err rarely.

A scheduled retrain tests model after model on the same frozen rows; ten looks at 2.5 % each would
let a challenger no better win with 22 %. Of the error that is allowed, look ``k`` gets
``6 / (pi k)^2``, so that any number of looks stay within it (a Bonferroni bound over a series that
sums to one, as in Foster and Stine 2008, "alpha-investing", without its returns).
"""

from collections.abc import Collection, Mapping, Sequence
from math import pi

from pipeline.evaluate.results import Looks

LITTLE = 0.1
"""Share of the error left from which fresh test rows are due: after the sixth look."""

SAME = 0.5
"""Share of the test rows that an earlier look had, from which it was a look at this test set."""


def looks(number: int, confidence: float, ways: int = 1) -> Looks:
    """Return what a look may spend.

    Args:
        number: of the look, from 1.
        confidence: of all looks together.
        ways: how many arms of the challenger are looked at, the better of which counts.
    """
    share = 6 / (pi * number) ** 2
    left = 1 - sum(6 / (pi * look) ** 2 for look in range(1, number + 1))
    return Looks(number, 1 - (1 - confidence) * share / ways, left, left < LITTLE)


def earlier(
    rows: Sequence[Mapping[str, object]], test_set: str, pairs: Collection[str], model: str
) -> int:
    """Return how many other models were looked at on these test rows before this one.

    Args:
        rows: of the journal of looks: ``model``, ``test_set``, and ``pairs`` of that set.
        test_set: content of the test set of now.
        pairs: ids of the test rows of now.
        model: content of the model; the same model again is no new look.
    """
    asked = set(pairs)
    models: list[object] = []
    for row in rows:
        seen = row.get("pairs")
        known = len(asked.intersection(seen)) if isinstance(seen, list) else 0
        same = row.get("test_set") == test_set or (known and known >= SAME * len(asked))
        if same and row.get("model") not in models:
            models.append(row.get("model"))
    return models.index(model) if model in models else len(models)
