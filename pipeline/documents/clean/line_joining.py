"""Text repair that leaves code alone: mojibake, Unicode, white space, dead links."""

import re
import unicodedata
from functools import partial

from pipeline.documents.left_out import leave_out, words
from pipeline.text.fences import Split, outside_code, without_comments
from pipeline.text.markdown import FRONT_MATTER

_INVISIBLE = re.compile(
    "[\u00ad\u200e\u200f\u2060\ufeff\ufffe\x00-\x08\x0b-\x1f\x7f]"
    "|(?<![\u0600-\u08ff\u0900-\u109f\u1780-\u18af\ua840-\uabff\ufb50-\ufdff\ufe70-\ufefc])\u200c"
    "|(?<![\u0e00-\u109f\u1780-\u17ff\u1950-\u1aaf\ua980-\uaadf])\u200b"
)
"""Soft hyphen, zero-width characters, direction marks, control characters. What belongs to the
spelling stays: the joiner (emoji, Indic clusters), the non-joiner of Arabic or Indic script, the
zero-width space of Khmer, Thai, Lao or Burmese, where it is between words."""
_WIDE = re.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f]+")
"""Letters and digits as wide as ideographs, and katakana half as wide; not punctuation, which
Chinese and Japanese write wide."""
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_RUNS = re.compile(r"(?<=\S)[ \t]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_CAPITALS = re.compile(
    r"(?:\A|(?<=\n\n))(?=[^a-z\n]{4,80}\n)(?=[^\n]*[A-Z]{3})[A-Z0-9][^\n]*[^.,;\n]$", re.MULTILINE
)
_COLUMNS = re.compile(r"[^\s.!?:] {2,}\S|[.!?:] {3,}\S|\S\t+\S")
"""A gap between columns: wider than the two spaces that some put behind a sentence."""
_SPAN = re.compile(r"`[^`\n]*`")
_LOOKS_LIKE_MARK = re.compile(r"#{1,6}\s|\[[^\]\n]+\]:")
_RULE = re.compile(r"(?:=+|-+)[ \t]*")
_RELATIVE_LINK = re.compile(
    r"\[(?<!!\[)((?:[^\[\]\n]++|\n(?!\n)){1,500})\]"
    r"\((?!https?://)[^()\s]{0,500}(?:[ \t]+\"[^\"\n]{0,200}\")?\)"
)
_WIKI_LINK = re.compile(
    r"(?<!\w)(!?)\[\[(?:[^\[\]\n|]{1,300}\|)?([^\[\]\n|\s][^\[\]\n|]{0,300})\]\](?!\()"
)
"""A link of a wiki, ``[[page|label]]``, and what ``![[file]]`` shows in its place."""


def strip_metadata(text: str) -> str:
    """Take the YAML front matter and the comments out of a Markdown text."""
    if front := FRONT_MATTER.match(text):
        leave_out("metadata", words(front[0]))
        text = text[front.end() :]
    without = without_comments(text)
    leave_out("comments", words(text) - words(without))
    return without


def normalise(text: str) -> str:
    """Repair mojibake and normalise characters (NFC) and white space outside code.

    ftfy mends wrongly decoded characters and straightens quotation marks; HTML entities stay, since
    a document may write about them, and so does the indent of a line. Of spaces one is left, of any
    kind, of blank lines one, of invisible characters none.
    """
    return whole(normalised(text))


def normalised(text: str, *, fences_only: bool = False) -> Split:
    """Return a text as :func:`normalise` does, its prose still apart from its code."""
    # Markdown turns a line end after two spaces into a break; as text it is a line end.
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    split = Split(text, fences_only=fences_only)
    split.change(_mend)
    return split


def whole(split: Split) -> str:
    """Return a text as one, without blank lines around it."""
    return split.text().strip("\n").rstrip()


def _mend(text: str) -> str:
    lines = (_RUNS.sub(" ", _mend_characters(line)).rstrip(" \t") for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines))


def _mend_characters(line: str) -> str:
    """Mend a line by ftfy and NFC; of ASCII there are only invisible signs to take out."""
    if line.isascii() and "\x1b" not in line:  # an escape may begin the colour of a terminal
        return _INVISIBLE.sub("", line)
    from ftfy import TextFixerConfig, fix_text

    config = TextFixerConfig(unescape_html=False, fix_character_width=False, normalization=None)
    line = _WIDE.sub(lambda run: unicodedata.normalize("NFKC", run[0]), fix_text(line, config))
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", _SPACES.sub(" ", line)))


def plain_to_markdown(text: str) -> str:
    """Return a plain text as Markdown: what only looks like a mark is escaped, columns are fenced.

    Short lines in capitals after a blank line become ``##``, the first line ``#``.
    """
    blocks = re.split(r"(\n(?:[ \t]*\n)+)", text)
    blocks[::2] = map(_plain_block, blocks[::2])

    def heading(line: re.Match[str]) -> str:
        return f"{'##' if line.start() else '#'} {line[0]}\n"

    return outside_code("".join(blocks), partial(_CAPITALS.sub, heading))


def _plain_block(block: str) -> str:
    lines = block.split("\n")
    gaps = sum(_COLUMNS.search(_SPAN.sub("`", line)) is not None for line in lines)
    if len(lines) > 1 and 2 * gaps > len(lines):
        return f"```\n{block}\n```" if "```" not in block else block
    for number, line in enumerate(lines):
        if _LOOKS_LIKE_MARK.match(line):
            code_below = number + 1 < len(lines) and lines[number + 1].startswith(("    ", "\t"))
            lines[number] = f"\\{line}" + "\n" * code_below
        elif number and _RULE.fullmatch(line) and (number > 1 or len(line) != len(lines[0])):
            lines[number] = f"\n{line}"
    return "\n".join(lines)


def unlink(prose: str) -> str:
    """Turn relative links in prose into their text: their targets are not part of a corpus."""
    return _RELATIVE_LINK.sub(r"\1", _WIKI_LINK.sub(_label, prose))


def _label(link: re.Match[str]) -> str:
    """Return the text of a wiki's link; "[[0]]" is none."""
    if link[1]:
        leave_out("embedded", 1, link[2])
        return ""
    return link[2].rstrip() if any(map(str.isalpha, link[2])) else link[0]
