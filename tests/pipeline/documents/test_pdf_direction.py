"""Letters of right-to-left text, placed as a page shows them, come in the order they are read."""

import random

import pytest

from pipeline.documents.readers.pdf_direction import SPACE, mirrored, reading_order
from pipeline.documents.readers.pdf_type import Box

SHOWN = {
    "\u05d4\u05d1\u05e7\u05e8 \u05e4\u05d5": "\u05d5\u05e4 \u05e8\u05e7\u05d1\u05d4",
    "\u05e7\u05d5 12.5, \u05d5": "\u05d5 ,12.5 \u05d5\u05e7",
    "\u0642\u0648 2020-11-29 \u0648": "\u0648 29-11-2020 \u0648\u0642",
    "\u05e7\u05d5 2020-11-29 \u05d5": "\u05d5 2020-11-29 \u05d5\u05e7",
    9 * "\u05d5" + " USB hub": "USB hub " + 9 * "\u05d5",
    "\u05e7\u05d5\u05d5\u05d5 3 bar": "bar 3 \u05d5\u05d5\u05d5\u05e7",
    "\u06a9\u0631\u062f \u06f1\u06f2 \u062f\u0631": "\u0631\u062f \u06f1\u06f2 \u062f\u0631\u06a9",
    "the word \u05e7\u05d5 \u05d5 is": "the word \u05d5 \u05d5\u05e7 is",
    "\u05e7\u05d5 50% \u05d5": "\u05d5 50% \u05d5\u05e7",
}
"""What is read, and what the page shows from left to right."""


@pytest.mark.parametrize(("read", "shown"), SHOWN.items())
def test_letters_are_read_from_the_places_where_they_stand(read: str, shown: str):
    places = [place for place, sign in enumerate(shown) if sign != " "]
    random.Random(7).shuffle(places)  # a file may name them in any order
    line = "".join(shown[place] for place in places)
    order = reading_order(line, [Box(6.0 * at, 0, 6.0 * at + 6, 9) for at in places])
    assert "".join(" " if place == SPACE else line[place] for place in order) == read


def test_brackets_open_and_close_as_their_spaces_tell():
    assert mirrored(") \u05d5( )\u05d5( \u05d5, )3( \u05d5(x) \u00bb\u05d5\u00ab.") == (
        ") \u05d5) (\u05d5) \u05d5, (3) \u05d5(x) \u00ab\u05d5\u00bb."
    )
