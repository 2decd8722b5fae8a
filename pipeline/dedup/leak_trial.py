"""A trial of the leak check before it is believed: copies are planted, and all must be found."""

import textwrap
from collections.abc import Callable, Sequence

from pipeline.core.errors import TrainingError
from pipeline.dedup.row_copies import SHORT, HeldOut, Row, row

SAMPLE = 32  # held-out rows of which copies are planted: shortest, longest, and some between
WIDTH = 24  # characters of a line of a re-wrapped copy: nearly each line ends inside a sentence

BEFORE, BEHIND = "Here is what somebody wrote about it. ", " That is all there is to say here."


def prove(held_out: Sequence[Row], check: HeldOut) -> int:
    """Plant copies of a sample of held-out rows; return how many, all of which were found.

    A TrainingError names row and copy of one that was not.
    """
    rows = sorted((one for one in held_out if one.text), key=lambda one: (len(one.text), one.id))
    step = max(1, -(-len(rows) // SAMPLE))
    sample = [*rows[::step], *rows[-1:]]
    planted = 0
    for one in sample:
        for name, copy in COPIES.items():
            text = copy(one.written)
            if name == "inside another text" and len(one.text) < SHORT:
                continue  # so few words stand in many a text
            planted += 1
            suspect = row("planted", "train", (), text)
            if not any(hit.kind == "text" and hit.value > 0.9 for hit in check.hits(suspect)):
                raise TrainingError(
                    f"leak check: a {name} copy of {one.id} was planted and not found; expected "
                    "each planted copy to be found; this is a bug, please report it with that row"
                )
    return planted


def rewrapped(text: str) -> str:
    """Return a text on short lines, words hyphenated at their ends, in capitals, without commas."""
    lines = textwrap.wrap(text, WIDTH, break_on_hyphens=False, break_long_words=False)
    parted = []
    for line in lines:
        first, _, last = line.rpartition(" ")
        middle = len(last) // 2
        # A word is parted as a typesetter does, inside a run of letters.
        if last.isalpha() and middle > 1:
            line = f"{first} {last[:middle]}-\n{last[middle:]}"
        parted.append(line)
    # Capitals, but for letters that are no longer the same in small ones.
    capitals = (
        sign.upper() if sign.upper().casefold() == sign.casefold() else sign
        for sign in "\n".join(parted)
    )
    return "".join(capitals).replace(", ", " -- ")


COPIES: dict[str, Callable[[str], str]] = {
    "verbatim": str,
    "re-wrapped": rewrapped,
    "inside another text": lambda text: BEFORE + rewrapped(text) + BEHIND,
}
