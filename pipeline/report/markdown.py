"""Markdown that keeps its tables whatever a cell says."""

import re
from collections.abc import Sequence

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~$&!@])|(:)(?=//)|(?<=www)(\.)", re.IGNORECASE)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; text of documents must be escaped before."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def escape(text: str) -> str:
    """Return text of a document on one line without meaning as Markdown, HTML or an address."""
    return _MARKS.sub(lambda found: f"\\{found.group()}", " ".join(text.split()))


def _cell(text: str) -> str:
    barred = re.sub(r"(?<!\\)\|", r"\\|", text)
    return " ".join(re.sub(r"(?<!\\)<", "&lt;", barred).split())
