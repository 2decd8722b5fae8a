"""Plain text: as it stands."""

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.markdown import first_heading
from pipeline.documents.readers.reading import Reading, whole

LONGEST_TITLE = 80
"""Characters: the width of a terminal."""

END = frozenset(".,;:!?")


def read(data: bytes) -> Reading:
    """Read a text file; its first line is the title when it looks like one.

    That is: underlined, or of at most 80 characters without the end mark of a sentence, and not
    the only line.

    Raises:
        ReadFailure: See :func:`pipeline.documents.readers.decode.decode`.
    """
    text = decode(data)
    lines = text.lstrip().split("\n", 2)
    titled = len(lines) > 1 and len(lines[0]) <= LONGEST_TITLE and lines[0].rstrip()[-1:] not in END
    return whole(first_heading("\n".join(lines[:2])) or (lines[0] if titled else ""), text)
