"""Source code and configuration: the file as it stands, in a fence that names its language."""

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Reading, whole
from pipeline.text.fences import block_of

LANGUAGES = {
    "python": ".py", "c": ".c .h", "java": ".java", "bash": ".sh .bash", "sql": ".sql",
    "javascript": ".js", "typescript": ".ts", "go": ".go", "rust": ".rs", "cpp": ".cpp .cc .hpp",
    "csharp": ".cs", "ruby": ".rb", "php": ".php", "kotlin": ".kt", "swift": ".swift",
    "scala": ".scala", "lua": ".lua", "perl": ".pl", "r": ".r", "powershell": ".ps1",
    "yaml": ".yaml .yml", "toml": ".toml", "ini": ".ini .cfg",
}  # fmt: skip
"""Name of a language, as fences have it -> extensions of its files."""


def read(data: bytes, language: str) -> Reading:
    """Read a file of code, its comments included; it raises what :func:`.decode.decode` does."""
    return fenced(decode(data), language)


def fenced(text: str, language: str) -> Reading:
    """Return code as a document that is one fence; a ReadFailure without text: ``empty_file``."""
    return whole("", block_of(text.strip("\n"), language) if text.strip() else text)
