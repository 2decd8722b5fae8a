"""Reading what a server sends back: a chat completion, or an error in its own words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.pairs.teachers import thinking
from pipeline.pairs.teachers.teacher import CUT_IN_THOUGHT, ENDED, NO_ROOM, REFUSED, Reply

NATURAL = {
    "", "stop", "stop_sequence", "stop_token", "end_turn", "end_of_turn", "end", "eos",
    "eos_token", "complete", "completed", "finished", "done", "null", "none",
}  # fmt: skip
"""Finish reasons of a reply that ended by itself, in small letters; all others cut it."""
OUT_OF_ROOM = {NO_ROOM, "max_tokens", "max_output_tokens", "max_completion_tokens"}
THOUGHTS = ("reasoning_content", "reasoning", "thinking")  # fields of a message that hold thoughts
WORDS = ("error", "message", "detail", "error_description", "errors", "msg", "title")  # best first


@dataclass(frozen=True, slots=True)
class Completion(Reply):
    """A reply without its thoughts."""

    thinks: bool  # whether the model thought before it answered


class ServerError(Exception):
    """The server says that something failed: its words, and the HTTP status that fits."""

    def __init__(self, answer: Any, status: int) -> None:
        super().__init__(words(answer))
        self.status = status
        self.answer = answer


def read(answer: Any, asked: str, stop: tuple[str, ...] = ()) -> Completion:
    """Read the parsed body of a chat completion: what was asked, and what ends a text, counts.

    Raises:
        ServerError: it is an error with the status of a success, or one choice is.
        ValueError: it is neither.
    """
    body = _fields(answer)
    choices = body.get("choices")
    if not choices and (body.get("error") or body.get("object") == "error"):
        raise ServerError(answer, _status(answer, 400))
    if not isinstance(choices, list) or not choices:
        raise ValueError("no choices")
    usage = _fields(body.get("usage"))
    hidden = _count(_fields(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    asked_tokens, tokens = (_count(usage.get(f"{of}_tokens")) for of in ("prompt", "completion"))
    found = [_choice(choice, asked, stop, hidden > 0) for choice in choices]
    texts, reasons, thinks = zip(*found, strict=True)
    return Completion(texts, asked_tokens, tokens, reasons, any(thinks))


def _choice(choice: Any, asked: str, stop: tuple[str, ...], thinks: bool) -> tuple[str, str, bool]:
    """Return text and finish reason of a choice, and whether the model thought."""
    if not isinstance(choice, dict):
        raise ValueError("a choice is no object")
    if choice.get("error"):
        raise ServerError(choice["error"], _status(choice["error"], 500))
    message = _fields(choice.get("message"))
    content = message.get("content", choice.get("text"))
    said = thinking.said(_text(content), asked)
    text, reason = said.text, finish(choice.get("finish_reason"))
    thinks |= said.thought or any(message.get(field) for field in THOUGHTS)
    thinks |= isinstance(content, list) and any(map(_is_thought, content))
    if not text.strip():
        if message.get("refusal"):
            return readable(str(message["refusal"])), REFUSED, thinks
        thinks |= reason == NO_ROOM
    begin = len(text) - len(text.lstrip())
    ends = [place for mark in stop if (place := text.find(mark, begin)) >= 0]
    if ends:
        return text[: min(ends)], ENDED, thinks
    if thinks and (reason == NO_ROOM or (reason == ENDED and not text.strip())):
        reason = CUT_IN_THOUGHT
    return text, reason, thinks


def finish(reason: Any) -> str:
    """Return a server's finish reason as a reply has it."""
    said = readable(str(reason or "")).lower()
    return ENDED if said in NATURAL else NO_ROOM if said in OUT_OF_ROOM else said


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(_text(part) for part in content)
    if isinstance(content, dict):
        return "" if _is_thought(content) else _text(content.get("text"))
    return readable(content) if isinstance(content, str) else ""


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and bool(re.search("think|reason", str(part.get("type"))))


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    try:
        return max(0, int(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def _status(answer: Any, otherwise: int) -> int:
    code = _count(error_of(answer).get("code"))
    return code if 400 <= code < 600 else otherwise


def error_of(answer: Any) -> dict[str, Any]:
    """Return the fields of an error, of which programs read type and code."""
    found = answer[0] if isinstance(answer, list) and answer else answer  # Google's is in a list
    return _fields(_fields(found).get("error")) or _fields(found)


def words(answer: Any) -> str:
    """Return a server's words about an error on one line: of its JSON, or of its page."""
    text = re.sub(r"<[^<>]+>", " ", answer) if isinstance(answer, str) else _words(answer)
    return readable(" ".join(text.split()))


def _words(answer: Any) -> str:
    if isinstance(answer, list):
        return "; ".join(filter(None, map(_words, answer)))
    if not isinstance(answer, Mapping):
        return "" if answer is None else str(answer)
    found = next((said for field in WORDS if (said := _words(answer.get(field)))), "")
    if isinstance(answer.get("loc"), list):  # pydantic's errors, of FastAPI and Mistral
        found = f"{'.'.join(map(str, answer['loc']))}: {found}"
    metadata = answer.get("metadata")  # OpenRouter: what the provider behind it said
    raw = _words(metadata.get("raw")) if isinstance(metadata, Mapping) else ""
    return f"{found}: {raw}" if raw else found


def readable(text: str) -> str:
    """Return text without NUL and lone surrogates, halves of a character that no file can hold."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")
