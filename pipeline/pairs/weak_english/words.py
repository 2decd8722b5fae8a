"""English for the rules, in ``words.toml``: lists of words, and patterns."""

import re
import tomllib
from pathlib import Path

_WRITTEN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
_LISTS = {name: frozenset(text.split()) for name, text in _WRITTEN["words"].items()}
PATTERNS = {
    name: re.compile(text.replace("\n", ""), re.IGNORECASE)
    for name, text in _WRITTEN["patterns"].items()
}
VERBS = _LISTS["verbs"]
NOUNS_TOO = _LISTS["nouns_too"]
COUNTS = _LISTS["counts"]
LASTING = _LISTS["lasting"]
MOMENTARY = _LISTS["momentary"]
PREPOSITIONAL = _LISTS["prepositional"]
PARTICIPLES = _LISTS["participles"]
ADJECTIVES = _LISTS["adjectives"]
ARTICLES = _LISTS["articles"]
AUXILIARIES = _LISTS["auxiliaries"]
ADVERBS = _LISTS["adverbs"]
GENERIC = _LISTS["generic"]
IMPERATIVES = _LISTS["imperatives"]
