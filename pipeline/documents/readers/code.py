"""Source code and configuration: the file as it stands, in a fence that names its language."""

import re

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Reading, whole

LANGUAGES = {
    "python": ".py", "c": ".c .h", "java": ".java", "bash": ".sh .bash", "sql": ".sql",
    "javascript": ".js", "typescript": ".ts", "go": ".go", "rust": ".rs", "cpp": ".cpp .cc .hpp",
    "csharp": ".cs", "ruby": ".rb", "php": ".php", "kotlin": ".kt", "swift": ".swift",
    "scala": ".scala", "lua": ".lua", "perl": ".pl", "r": ".r", "powershell": ".ps1",
    "yaml": ".yaml .yml", "toml": ".toml", "ini": ".ini .cfg",
}  # fmt: skip
"""Name of a language, as fences have it -> extensions of its files."""


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
    fence = "`" * (1 + max(map(len, re.findall("`{3,}", text)), default=2))
    return whole("", f"{fence}{language}\n{text.strip(chr(10))}\n{fence}")
