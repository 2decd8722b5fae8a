"""Source code and configuration: the file as it stands, in a fence that names its language."""

import re
from functools import partial

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Reading, whole

LANGUAGES = {
    ".py": "python",
    ".c": "c",
    ".h": "c",
    ".java": "java",
    ".sh": "bash",
    ".bash": "bash",
    ".sql": "sql",
    ".js": "javascript",
    ".ts": "typescript",
    ".go": "go",
    ".rs": "rust",
    ".cpp": "cpp",
    ".cc": "cpp",
    ".hpp": "cpp",
    ".cs": "csharp",
    ".rb": "ruby",
    ".php": "php",
    ".kt": "kotlin",
    ".swift": "swift",
    ".scala": "scala",
    ".lua": "lua",
    ".pl": "perl",
    ".r": "r",
    ".ps1": "powershell",
}
"""Extension -> name of the language, as fences have it."""


def read(data: bytes, language: str) -> Reading:
    """Read a file of code; comments and docstrings stay where they explain it.

    Raises:
        ReadFailure: See :func:`pipeline.documents.readers.decode.decode`, or ``empty_file``.
    """
    return fenced(decode(data), language)


def fenced(text: str, language: str) -> Reading:
    """Return code as a document that is one fence.

    Raises:
        ReadFailure: ``empty_file``.
    """
    if not text.strip():
        return whole("", text)
    longest = max(map(len, re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return whole("", f"{fence}{language}\n{text.strip(chr(10))}\n{fence}")


def readers() -> dict[str, tuple[tuple[str, ...], partial[Reading]]]:
    """Return for each language its extensions and what reads it."""
    return {
        language: (
            tuple(suffix for suffix, name in LANGUAGES.items() if name == language),
            partial(read, language=language),
        )
        for language in LANGUAGES.values()
    }
