"""What a server takes of a request: fields that it refuses are renamed or left out.

OpenAI's reasoning models refuse ``max_tokens`` and ``temperature``, Claude ``temperature`` beside
``top_p``, Mistral ``seed``, Groq ``n``, Gemma's template a system role.
"""

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from pipeline.pairs.teachers.completion import words

SYSTEM = "system"
RENAMED = {"max_tokens": "max_completion_tokens"}
FIELDS = (*RENAMED, *RENAMED.values(), "temperature", "top_p", "seed", "n", "stop",
          "response_format")  # fmt: skip
"""What a request may go without: the room too, once it is refused under both names."""
UNSUPPORTED = re.compile(
    r"\bun(?:supported|known|expected|recogni[sz]ed)|\bnot (?:be )?(?:supported|allowed|permitted|"
    r"available|enabled|accepted)|(?:\bnot|n't) support|\bdeprecated"
    r"|\bextra[_ ](?:inputs|fields|forbid)|\bcannot both\b"
    r"|\bonly (?:one|use|be|the default|[\d.]+)|\bonly .{0,40}\bsupported"
    r"|\binvalid (?:param|arg|field|value|temperature|top_p)|\bmust (?:be|alternate)\b",
    re.IGNORECASE,
)
TOO_LONG = re.compile(r"context|too (?:large|long|many|high|big)|at most|exceed", re.IGNORECASE)
ROLES = re.compile(
    r"\broles?\b|\bsystem (?:role|message|prompt|instruction)|\bdeveloper instruction",
    re.IGNORECASE,
)


def suited(body: Mapping[str, Any], refused: Set[str]) -> dict[str, Any]:
    """Return a request without what the server refuses."""
    named = {RENAMED.get(n, n) if n in refused else n: value for n, value in body.items()}
    kept = {name: value for name, value in named.items() if name not in refused}
    if SYSTEM in refused:
        kept["messages"] = _folded(body["messages"])
    return kept


def refused_fields(answer: Any, body: Mapping[str, Any]) -> set[str]:
    """Name what an error complains of, among the fields of the request that can be spared.

    The error is its parsed body, or its text.
    """
    said = words(answer)
    sent = [name for name in FIELDS if name in body]
    complains = UNSUPPORTED.search(said) is not None
    # Not a backslash before it: n of a line end.
    spoken = {name for name in sent if re.search(rf"(?<![\w\\]){name}(?!\w)", said)}
    if {"temperature", "top_p"} <= spoken and re.search(r"\bboth\b|\bonly one\b", said):
        return {"top_p"}
    named = {name for name in _named(answer) if name in sent} or (spoken if complains else set())
    if not complains or TOO_LONG.search(said):
        named -= {*RENAMED, *RENAMED.values()}  # the limit itself is wanted: it is too high
    if "max_tokens" in named:
        named -= {"max_completion_tokens"}
    if named or not any(message["role"] == SYSTEM for message in body["messages"]):
        return named
    return {SYSTEM} if complains and ROLES.search(said) else set()


def _named(answer: Any) -> Iterator[str]:
    """Yield the fields that an error names: OpenAI's ``param``, those of pydantic's ``loc``."""
    for item in answer if isinstance(answer, list) else ():
        yield from _named(item)
    if isinstance(answer, dict):
        yield str(answer.get("param") or "")
        place = answer.get("loc")
        yield from map(str, place if isinstance(place, list) else [])
        for name in ("error", "detail", "message"):
            yield from _named(answer.get(name))


def _folded(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put what the system role says before the first turn of the user."""
    told = [message["content"] for message in messages if message["role"] == SYSTEM]
    rest = [dict(message) for message in messages if message["role"] != SYSTEM]
    first = next(message for message in rest if message["role"] == "user")
    first["content"] = "\n\n".join([*told, first["content"]])
    return rest
