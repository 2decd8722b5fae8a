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


def lines_of(row: dict[str, Any]) -> list[str]:
    """Return the line of a row of :func:`screens`, under a heading where a new part begins."""
    about, name = next(iter(row.items()))
    shares = [f"{row[key]:.3f}" if row[key] is not None else "-" for key in ("precision", "recall")]
    kept = f"{row['good'] - row['good_rejected']:>4} of {row['good']:>3} good stay"
    gone = f"{row['bad_rejected']:>4} of {row['bad']:>3} bad go"
    return [f"{about:<7} {name:<21} {kept} {gone}   precision {shares[0]:>5} recall {shares[1]:>5}"]
