"""From bytes to text: by the byte-order mark, as UTF-8, as UTF-16 without its mark, by a guess."""

import codecs
import re

from pipeline.documents.readers.reading import ReadFailure

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

MOSTLY_ZERO = 0.5
"""Share of zeros among the high bytes of UTF-16 in a language of the West: spaces alone give it to
others."""

SHORTEST_WIDE = 20
"""Bytes from which zeros at every second place are no accident."""

_SEVEN_BITS = frozenset(
    {
        *("iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_3"),
        *("iso2022_jp_ext", "iso2022_kr", "hz"),
    }
)
"""Encodings of mails that write other scripts with ASCII bytes."""


def decode(data: bytes, declared: str | None = None) -> str:
    """Decode a text file; line ends become line feeds.

    Args:
        data: The whole file.
        declared: Encoding that the file itself names (the meta element of HTML); tried when
            the bytes are not UTF-8, or at once when it writes with seven bits.

    Raises:
        ReadFailure: ``empty_file``, ``binary_file`` (it holds NUL bytes), ``undecodable``.
    """
    return re.sub(r"\r\n?", "\n", _decode(data, declared))


def _decode(data: bytes, declared: str | None) -> str:
    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    for mark, encoding in MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) if encoding == "utf-8" else 0 :].decode(encoding)
            except UnicodeDecodeError as error:
                raise ReadFailure("undecodable", f"{encoding} by its mark, but {error}") from error
    if declared and data.isascii() and _codec(declared) in _SEVEN_BITS:
        # Bytes that are ASCII, and yet other letters.
        return data.decode(declared, "replace")
    zeros = data.count(0)
    if zeros:
        wide = _unmarked_utf16(data)
        if wide is None:
            raise ReadFailure("binary_file", f"{zeros} NUL bytes found; expected text", zeros, 0)
        return wide
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
    wrong, right = (sum(map(len, signs.findall(text))) for signs in (_WRONG, _RIGHT))
    if WRONG_SHARE * wrong <= right:
        return _WRONG.sub(_western, text)
    if declared:
        try:
            return data.decode(declared)
        except (UnicodeError, LookupError):
            pass  # it declares wrongly, or what nobody knows
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
    if (
        len(data) < SHORTEST_WIDE
        or len(data) % 2
        or max(high, low) < MOSTLY_ZERO * len(data) / 2
        or min(high, low)
    ):
        return None
    try:
        text = data.decode("utf-16-be" if high else "utf-16-le")
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def _western(wrong: re.Match[str]) -> str:
    """Return the letter of Windows-1252 for one byte, the usual sign of a loss for several."""
    data = wrong[0].encode("utf-8", "surrogateescape")
    return data.decode("cp1252", "replace") if len(data) == 1 else "\ufffd"


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""
