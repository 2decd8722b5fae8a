"""Thoughts of a reasoning model, told from its answer.

A server without a parser leaves them in the text: between tags, of which the opening one often
stands in the prompt, or in the channels of gpt-oss (harmony). Only those before the answer count.
"""

import re
from typing import NamedTuple

_NAME = r"(?:[\w:]*think(?:ing)?|thoughts?|reasoning|reflection|scratchpad)"
# Square brackets (Magistral) only as they are written there: [Thinking] may begin an answer.
_OPENING = (
    rf"(?:<\|?(?:begin_of_|start_)?{_NAME}\|?>|(?-i:\[THINK\])|◁{_NAME}▷"
    r"|<\|channel>thought|<\|inner_prefix\|>|<unused94>thought)"
)
_CLOSING = (
    rf"(?:</{_NAME}>|<\|(?:/|end_of_|end_){_NAME}\|>|(?-i:\[/THINK\])|◁/{_NAME}▷"
    r"|<channel\|>|<\|inner_suffix\|>|<unused95>)"
)
OPENING = re.compile(_OPENING, re.IGNORECASE)
CLOSING = re.compile(rf"{_CLOSING}(?:\s*{_CLOSING})*", re.IGNORECASE)
LEADING = re.compile(
    # U+FF5C is DeepSeek's bar.
    rf"\s*(?:<[|\uff5c][^<>|\uff5c]*[|\uff5c]>\s*(?:assistant\s*)?)*(?P<tag>{_OPENING})",
    re.IGNORECASE,
)  # a tag that opens the text, behind what is left of a chat template at most
WRAPPED = re.compile(
    r"\s*<(answer|output|response)>(.*?)(?:</\1>\s*)?"
    r"|\s*<\|(?:start_response|begin_of_solution)\|>(.*?)(?:<\|end_(?:response|of_solution)\|>\s*)?",
    re.IGNORECASE | re.DOTALL,
)  # how some models set the answer apart behind their thoughts
CHANNELS = re.compile(r"\s*(?:<\|start\|>assistant\s*)?<\|channel\|>")
FINAL = re.compile(r"<\|channel\|>\s*final\b.*?<\|message\|>", re.DOTALL)
END_OF_MESSAGE = re.compile(r"<\|(?:return|end|call|start)\|>")
BARE_FINAL = re.compile(r"\s*(?:analysis|commentary).*?assistantfinal", re.DOTALL)
BARE_ANALYSIS = re.compile(r"\s*analysis[A-Z][a-z']* [A-Za-z]")
"""Channels without their control tokens: ``analysisWe need ...assistantfinalThe valve ...``."""


class Said(NamedTuple):
    """What a model said, without what it thought."""

    text: str  # as it came when there are no thoughts; empty when they never end
    thought: bool  # whether thoughts stood before it; an empty block is none


def said(text: str, asked: str = "") -> Said:
    """Take the thoughts out of a reply.

    A tag that occurs in what was ``asked`` may belong to the answer: it counts only where it ends
    a line, as chat templates write it.
    """
    if CHANNELS.match(text):
        finals = list(FINAL.finditer(text))
        if not finals:
            return Said("", True)
        answer = END_OF_MESSAGE.split(text[finals[-1].end() :], maxsplit=1)[0]
        return Said(answer.strip(), bool(CHANNELS.sub("", text[: finals[-1].start()]).strip()))
    if bare := BARE_FINAL.match(text):
        return Said(text[bare.end() :].strip(), True)
    if BARE_ANALYSIS.match(text):
        return Said("", True)
    rest, blocks = text, []
    while (opening := LEADING.match(rest)) and _counts(opening["tag"], rest, opening.end(), asked):
        closing = _closing(rest, opening.end(), asked)
        if closing is None:
            return Said("", True)
        blocks.append(rest[opening.end() : closing.start()])
        rest = rest[closing.end() :]
    closing = _closing(rest, 0, asked)
    before = rest[: closing.start()] if closing else ""
    # Else it was opened by these words, or stands in a code block.
    if closing and not OPENING.search(before) and before.count("```") % 2 == 0:
        blocks.append(before)
        rest = rest[closing.end() :]
    if not blocks:
        return Said(text, False)
    if wrapped := WRAPPED.fullmatch(rest):
        rest = wrapped[2] or wrapped[3] or ""
    return Said(rest.strip(), any(block.strip() for block in blocks))


def _closing(text: str, start: int, asked: str) -> re.Match[str] | None:
    """Return the first closing tag that is no word of a text about tags."""
    for tag in CLOSING.finditer(text, start):
        if text[tag.start() - 1 : tag.start()] != "`" and _counts(tag[0], text, tag.end(), asked):
            return tag
    return None


def _counts(tag: str, text: str, end: int, asked: str) -> bool:
    return tag.lower() not in asked.lower() or not text[end:].split("\n", 1)[0].strip()
