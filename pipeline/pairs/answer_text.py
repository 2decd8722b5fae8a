"""The answer in a reply: its lines, lists and code as they are, without what is no part of it."""

import json
import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from pipeline.documents.clean.line_joining import normalise

CONTROL_TOKEN = re.compile(
    r"<\|[^\s<>|]{1,40}\|>"  # <|im_end|>, <|eot_id|>, <|END_OF_TURN_TOKEN|>, <|im:end|>
    r"|<\uff5c[^\s<>]{1,40}\uff5c>"  # DeepSeek: full-width bars
    r"|<\|[a-z_]{1,20}>|<[a-z_]{1,20}\|>"  # Gemma 4: <|turn>, <turn|>
    r"|\[\|[a-z]{1,20}\|\]"  # EXAONE: [|endofturn|]
    r"|(?i:</?(?:s|bos|eos|bos_token|eos_token|pad|unk|sep|cls|mask|sop|eop|eot|eom|eoa|eoh)>)"
    r"|(?i:<(?:start|end|begin)_of_\w{1,20}>|<(?:im_(?:start|end)|endoftext|seed:[be]os)>)"
    r"|<(?:unused_?|extra_id_|reserved_)\d+>|<0x[0-9A-F]{2}>"
    r"|(?i:</?(?:think|thinking|thought|reasoning|answer)>)"
    r"|(?i:\[/?INST\]|<</?SYS>>)|\[/?(?:SYSTEM_PROMPT|THINK|AVAILABLE_TOOLS|TOOL_CALLS)\]"
    r"|\[(?:BOS|EOS|PAD|UNK|SEP|CLS|MASK|EOT|[gs]MASK)\]"
)  # a token that steers a chat model, of any family: in a text it is a leftover of a template
_TOKEN = f"(?:{CONTROL_TOKEN.pattern})"
_ROLE = r"(?:[ \t]*(?:assistant|model|user|system|analysis|final)(?=\s*(?:\Z|\n|[<\[])))?"
_BEFORE = re.compile(rf"\A(?:\s*{_TOKEN}{_ROLE})+")
_BEHIND = re.compile(rf"(?<!\s)(?:\s*{_TOKEN}{_ROLE})+\s*\Z")
_UNPRINTABLE = re.compile(r"\x1b\[[\d;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")  # terminal colours
_PREFACE = re.compile(
    r"\A\s*(?:(?:sure|certainly|of course|okay|here(?:'s| is| are))\b[^\n]{0,120}:\s*\n"
    r"|[*_]*(?:final )?answer[*_]*:[*_]*\s+)",
    re.IGNORECASE,
)  # what a teacher says to whoever asks it: "Here is the answer:" on a line, "**Answer:**"
FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[ \t]*(?P<label>[^`\s]*)[^`]*")  # of a code block
NO_CODE = ("", "text", "txt", "plain", "plaintext", "markdown", "md")  # around an answer
ANSWER_KEYS = ("answer", "response", "text", "output")


def tidy(reply: str) -> str:
    """Return an answer out of a reply: lines, lists and code keep their form.

    Off go control tokens at both ends (one in the middle is left for the screens to name), control
    characters, a preface, a fence around it that is no code, JSON and white space around it.
    Outside code blocks, characters and white space become those of a cleaned document.
    """
    text = _UNPRINTABLE.sub("", "\n".join(reply.splitlines()))
    text = _PREFACE.sub("", _BEHIND.sub("", _BEFORE.sub("", text)))
    return dedent(normalise(_unwrapped(text.strip("\n")))).strip()


def json_in(text: str) -> str:
    """Return what may be JSON in a text: from the first bracket or brace to the last one."""
    start = min((place for place in map(text.find, "[{") if place >= 0), default=0)
    return text[start : max(text.rfind("]"), text.rfind("}")) + 1]


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value in order, those of nested lists and objects too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts_in(part)


def _unwrapped(text: str) -> str:
    """Take off a fence around the whole text, or one that has no other end, and JSON around it."""
    lines = text.rstrip().split("\n")
    fences = [place for place, line in enumerate(lines) if FENCE.fullmatch(line)]
    if fences and (_surrounds(lines) or len(fences) == 1):
        first, last = FENCE.fullmatch(lines[0]), FENCE.fullmatch(lines[-1])
        if first and first["label"].lower() in (*NO_CODE, "json"):
            body = "\n".join(lines[1 : -1 if last and len(lines) > 1 else None])
            return _answer_in_json(body) or (text if first["label"].lower() == "json" else body)
        if last and len(fences) == 1 and not last["label"]:
            return "\n".join(lines[:-1])
    return _answer_in_json(text) or text


def _surrounds(lines: list[str]) -> bool:
    """Whether the first and the last line are the two ends of one fence, with blocks inside."""
    last = FENCE.fullmatch(lines[-1])
    if len(lines) < 2 or not FENCE.fullmatch(lines[0]) or last is None or last["label"]:
        return False
    inside = False
    for fence in filter(None, map(FENCE.fullmatch, lines[1:-1])):
        if bool(fence["label"]) == inside:
            return False
        inside = not inside
    return not inside


def _answer_in_json(text: str) -> str:
    if not text.lstrip().startswith("{"):
        return ""
    try:
        fields = list(json.loads(text).items())
    except (ValueError, RecursionError):
        return ""
    is_answer = len(fields) == 1 and fields[0][0].lower() in ANSWER_KEYS
    return fields[0][1] if is_answer and isinstance(fields[0][1], str) else ""
