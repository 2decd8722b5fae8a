"""Sentences with personal data and secrets, marked ``[[KIND:value]]``, and such without.

Written for these tests. Numbers are from the ranges kept for examples where there are such
ranges, and made up with a right checksum elsewhere; no key was ever issued.
"""

import re
from pathlib import Path

_FILE = Path(__file__).with_suffix(".txt")
_MARK = re.compile(r"\[\[([A-Z]+):(.*?)\]\]")


def cases() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return sentences with the kinds and values that are to be found, in order."""
    lines = filter(None, _FILE.read_text("utf-8").splitlines())
    return [(_MARK.sub(r"\2", line), _MARK.findall(line)) for line in lines]
