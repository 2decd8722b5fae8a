"""Markdown, plain text and source code: as they stand."""

import re

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Reading, fenced, whole
from pipeline.text.fences import prose_of
from pipeline.text.markdown import FRONT_MATTER

_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
LONGEST_TITLE = 80  # characters of the title of a plain text: the width of a terminal
END = frozenset(".,;:!?")
LANGUAGES = {
    "python": ".py", "c": ".c .h", "java": ".java", "bash": ".sh .bash", "sql": ".sql",
    "javascript": ".js", "typescript": ".ts", "go": ".go", "rust": ".rs", "cpp": ".cpp .cc .hpp",
    "csharp": ".cs", "ruby": ".rb", "php": ".php", "kotlin": ".kt", "swift": ".swift",
    "scala": ".scala", "lua": ".lua", "perl": ".pl", "r": ".r", "powershell": ".ps1",
    "yaml": ".yaml .yml", "toml": ".toml", "ini": ".ini .cfg",
}  # fmt: skip
"""Name of a language, as fences have it -> extensions of its files."""


def read(data: bytes) -> Reading:
    """Read Markdown, named by its first heading or front matter; raises as :mod:`.decode` does."""
    text = decode(data)
    return whole(first_heading(text) or _named(text), text)


def read_plain(data: bytes) -> Reading:
    """Read a text file; its first line is the title when it looks like one.

    That is: underlined, or of at most 80 characters without the end mark of a sentence, and not
    the only line. It raises as :mod:`.decode` does.
    """
    text = decode(data)
    lines = text.lstrip().split("\n", 2)
    titled = len(lines) > 1 and len(lines[0]) <= LONGEST_TITLE and lines[0].rstrip()[-1:] not in END
    return whole(first_heading("\n".join(lines[:2])) or (lines[0] if titled else ""), text)


def read_code(data: bytes, language: str) -> Reading:
    """Read a file of code with its comments as one fence; raises as :mod:`.decode` does."""
    return fenced(decode(data), language)


def first_heading(text: str) -> str:
    """Return the first heading outside code fences, ``""`` when there is none."""
    front = FRONT_MATTER.match(text)
    lines = prose_of(text[front.end() if front else 0 :]).split("\n")
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if heading := _HEADING.match(line):
            return heading[2]
        titled = line.strip() and not line.lstrip().startswith(("-", "|", ">", "#"))
        if titled and _UNDERLINE.match(below):
            return line.strip()
    return ""


def _named(text: str) -> str:
    front = FRONT_MATTER.match(text)
    named = front and re.search(
        r"""^[ \t]*["']?title["']?[ \t]*[:=][ \t]*(.+?),?[ \t]*$""", front[0], re.MULTILINE
    )
    return named[1].strip("\"'") if named else ""
