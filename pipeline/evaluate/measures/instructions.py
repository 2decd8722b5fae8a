"""Checks of an answer by rule, as in IFEval (Zhou et al. 2023); all of an item must hold."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+\S")
SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")
FENCE = re.compile(r"^```(?:json)?\s*\n(.*?)\n?```$", re.DOTALL)


def follows(answer: str, checks: Mapping[str, Any]) -> bool:
    """Return whether an answer holds all checks; an empty one holds none."""
    text = answer.strip()
    return bool(text) and all(CHECKS[name][1](text, wanted) for name, wanted in checks.items())


def _words(text: str) -> list[str]:
    return WORD.findall(text)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _lower(text: str) -> set[str]:
    return {word.lower() for word in _words(text)}


def _has_sentences(text: str, wanted: int) -> bool:
    ends = list(SENTENCE_END.finditer(text))
    return len(ends) == wanted and ends[-1].end() == len(text)


def _lists(text: str, wanted: int) -> bool:
    lines = _lines(text)
    return len(lines) == wanted and all(ITEM.match(line) for line in lines)


def _has_comma_items(text: str, wanted: int) -> bool:
    items = [item.strip(" .") for item in text.split(",")]
    return len(_lines(text)) == 1 and len(items) == wanted and all(items)


def _has_keys(text: str, wanted: list[str]) -> bool:
    """Whether it is one JSON object with these keys and no others; a code fence is allowed."""
    fenced = FENCE.match(text)
    try:
        value = json.loads(fenced.group(1) if fenced else text)
    except json.JSONDecodeError:
        return False
    return isinstance(value, dict) and sorted(value) == sorted(wanted)


Check = Callable[[str, Any], bool]
CHECKS: dict[str, tuple[type, Check]] = {
    "words": (int, lambda text, count: len(_words(text)) == count),
    "max_words": (int, lambda text, most: len(_words(text)) <= most),
    "sentences": (int, _has_sentences),
    "list_items": (int, _lists),
    "comma_items": (int, _has_comma_items),
    "lines": (list, lambda text, lines: _lines(text) == lines),
    "case": (str, lambda text, case: text.isupper() if case == "upper" else text.islower()),
    "starts_with": (str, lambda text, start: text.startswith(start)),
    "ends_with": (str, lambda text, end: text.endswith(end) or text.rstrip(".!").endswith(end)),
    "equals": (str, lambda text, same: text in (same, f"{same}.")),
    "one_of": (list, lambda text, choices: text.strip(" \t\n.!\"'").lower() in choices),
    "contains": (list, lambda text, words: all({w, f"{w}s"} & _lower(text) for w in words)),
    "excludes": (list, lambda text, words: not _lower(text) & set(words)),
    "number": (bool, lambda text, yes: bool(re.fullmatch(r"\d+\.?", text)) == yes),
    "quoted": (bool, lambda text, yes: bool(re.fullmatch(r"[\"“][^\"“”]+[\"”]", text)) == yes),
    "json_keys": (list, _has_keys),
}
"""Check by name: the type of its argument, and the rule."""
