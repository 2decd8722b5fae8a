"""Checks of whether an answer does what its instruction asked for, by rule.

Verifiable instructions as in IFEval (Zhou et al. 2023): no model judges, the same answer always
gives the same result. An item names one or more checks with their argument; all must hold.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+\S")
SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")
FENCE = re.compile(r"^```(?:json)?\s*\n(.*?)\n?```$", re.DOTALL)


def follows(answer: str, checks: Mapping[str, Any]) -> bool:
    """Return whether an answer holds all checks; an empty one holds none.

    Args:
        answer: what the model wrote, without special tokens.
        checks: argument by name, names from :data:`CHECKS`.
    """
    text = answer.strip()
    return bool(text) and all(CHECKS[name][1](text, wanted) for name, wanted in checks.items())


def _words(text: str) -> list[str]:
    return WORD.findall(text)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _plain(text: str) -> str:
    """Lower case, without full stop or quotation marks around it."""
    return text.strip(" \t\n.!\"'").lower()


def _has_words(text: str, wanted: int) -> bool:
    return len(_words(text)) == wanted


def _at_most_words(text: str, wanted: int) -> bool:
    return len(_words(text)) <= wanted


def _has_sentences(text: str, wanted: int) -> bool:
    ends = list(SENTENCE_END.finditer(text))
    return len(ends) == wanted and ends[-1].end() == len(text)


def _lists(text: str, wanted: int) -> bool:
    lines = _lines(text)
    return len(lines) == wanted and all(ITEM.match(line) for line in lines)


def _has_comma_items(text: str, wanted: int) -> bool:
    items = [item.strip(" .") for item in text.split(",")]
    return len(_lines(text)) == 1 and len(items) == wanted and all(items)


def _has_lines(text: str, wanted: list[str]) -> bool:
    return _lines(text) == wanted


def _is_case(text: str, wanted: str) -> bool:
    return text.isupper() if wanted == "upper" else text.islower()


def _starts(text: str, wanted: str) -> bool:
    return text.startswith(wanted)


def _ends(text: str, wanted: str) -> bool:
    return text.endswith(wanted) or text.rstrip(".!").endswith(wanted)


def _is(text: str, wanted: str) -> bool:
    return text == wanted or text == f"{wanted}."


def _is_one_of(text: str, wanted: list[str]) -> bool:
    return _plain(text) in wanted


def _has_all(text: str, wanted: list[str]) -> bool:
    found = {word.lower() for word in _words(text)}
    return all(word in found or f"{word}s" in found for word in wanted)


def _has_none(text: str, wanted: list[str]) -> bool:
    return not {word.lower() for word in _words(text)} & set(wanted)


def _is_number(text: str, wanted: bool) -> bool:
    return bool(re.fullmatch(r"\d+\.?", text)) == wanted


def _is_quoted(text: str, wanted: bool) -> bool:
    return bool(re.fullmatch(r"[\"“][^\"“”]+[\"”]", text)) == wanted


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
    "words": (int, _has_words),
    "max_words": (int, _at_most_words),
    "sentences": (int, _has_sentences),
    "list_items": (int, _lists),
    "comma_items": (int, _has_comma_items),
    "lines": (list, _has_lines),
    "case": (str, _is_case),
    "starts_with": (str, _starts),
    "ends_with": (str, _ends),
    "equals": (str, _is),
    "one_of": (list, _is_one_of),
    "contains": (list, _has_all),
    "excludes": (list, _has_none),
    "number": (bool, _is_number),
    "quoted": (bool, _is_quoted),
    "json_keys": (list, _has_keys),
}
"""Check by name: the type of its argument, and the rule."""
