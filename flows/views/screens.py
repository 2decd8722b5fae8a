"""Figures of the screens on labelled pairs, for `show screens`."""

from typing import Any

from pipeline.pairs.screen.figures import figures, labelled
from pipeline.settings import ScreenSettings


def screens(settings: ScreenSettings) -> list[dict[str, Any]]:
    """Return precision and recall of each screen on the pairs that are held out.

    First all screens together, on the pairs that rules were mended on as well; then each screen,
    kind of fault and kind of task.
    """
    pairs = labelled()
    mended_on = figures([pair for pair in pairs if not pair.held_out], settings)[0]
    held_out = figures([pair for pair in pairs if pair.held_out], settings)
    return [mended_on | {"set": "mended on"}, held_out[0] | {"set": "held out"}, *held_out[1:]]


def line_of(row: dict[str, Any]) -> str:
    """Return a row of :func:`screens` as a line."""
    about, name = next(iter(row.items()))
    parts = [f"{about:<7} {name:<21}"]
    if row["good"]:
        parts.append(f"{row['good'] - row['good_rejected']:>4} of {row['good']:>3} good stay")
    if row["bad"]:
        parts.append(f"{row['bad_rejected']:>4} of {row['bad']:>3} bad go")
    if about in ("set", "screen"):
        parts.append(f"  precision {row['precision']:.3f}  recall {row['recall']:.3f}")
    return " ".join(parts)
