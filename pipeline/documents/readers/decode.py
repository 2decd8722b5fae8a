"""From bytes to text: by the byte-order mark, as UTF-8, as UTF-16 without its mark, by a guess."""

import codecs
import re
from contextlib import suppress

from pipeline.documents.readers.reading import ReadFailure, failing_as

MARKS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its first half
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
WRONG_SHARE = 2
"""Characters beyond ASCII for each wrong byte, from which a file is UTF-8 with wrong bytes in it.
Of other encodings at most one pair of bytes in six happens to be UTF-8 too."""
_WRONG, _RIGHT = re.compile("[\udc80-\udcff]+"), re.compile("[^\0-\x7f\udc80-\udcff]+")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
MOSTLY_ZERO = 0.5  # of the high bytes of UTF-16 in Western languages; in others spaces alone are
SHORTEST_WIDE = 20  # bytes from which zeros at every second place are no accident
_SEVEN_BITS = ("iso2022_", "hz")  # names of encodings that write with ASCII bytes begin so


def decode(data: bytes, declared: str | None = None) -> str:
    """Decode a text file; line ends become line feeds.

    An encoding that the file itself declares is tried when its bytes are not UTF-8, or at once
    when it writes with seven bits.

    Raises:
        ReadFailure: ``empty_file``, ``binary_file`` (it holds NUL bytes), ``undecodable``.
    """
    return re.sub(r"\r\n?", "\n", _decode(data, declared))


def _decode(data: bytes, declared: str | None) -> str:
    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    for mark, encoding in MARKS:
        if data.startswith(mark):
            with failing_as("undecodable", f"; it has the mark of {encoding}"):
                return data.removeprefix(codecs.BOM_UTF8).decode(encoding)
    if declared and data.isascii() and _codec(declared).startswith(_SEVEN_BITS):
        # Bytes that are ASCII, and yet other letters.
        return data.decode(declared, "replace")
    if zeros := data.count(0):
        if (wide := _unmarked_utf16(data)) is not None:
            return wide
        raise ReadFailure("binary_file", f"{zeros} NUL bytes found; expected text", zeros, 0)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
    wrong, right = (sum(map(len, signs.findall(text))) for signs in (_WRONG, _RIGHT))
    if WRONG_SHARE * wrong <= right:
        return _WRONG.sub(_western, text)
    if declared:
        with suppress(UnicodeError, LookupError):  # it declares wrongly, or what nobody knows
            return data.decode(declared)
    from pipeline.documents.readers.encodings import guess  # few files need a model of languages

    guessed = guess(data)
    if guessed is None:
        raise ReadFailure(
            "undecodable", "neither UTF-8 nor another encoding reads as text; save it as UTF-8"
        )
    return guessed


def _unmarked_utf16(data: bytes) -> str | None:
    """Return the text of UTF-16 without its mark, whose every second byte is mostly zero."""
    high, low = data[0::2].count(0), data[1::2].count(0)
    mostly = max(high, low) >= MOSTLY_ZERO * len(data) / 2 and not min(high, low)
    if mostly and len(data) >= SHORTEST_WIDE:
        with suppress(UnicodeDecodeError):
            text = data.decode("utf-16-be" if high else "utf-16-le")
            return None if _CONTROL.search(text) else text
    return None


def _western(wrong: re.Match[str]) -> str:
    """Return the letter of Windows-1252 for one byte, the usual sign of a loss for several."""
    data = wrong[0].encode("utf-8", "surrogateescape")
    return data.decode("cp1252", "replace") if len(data) == 1 else "\ufffd"


def _codec(name: str) -> str:
    with suppress(LookupError):
        return codecs.lookup(name).name
    return ""


def encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON may escape but no table holds: it is UTF-8."""
    try:
        text.encode()  # far sooner than a look at each character
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
