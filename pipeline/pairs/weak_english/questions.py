"""Reading a question out of a reply, and the rules that reject a bad one."""

import json
import re
from collections import Counter
from typing import NamedTuple

from pipeline.pairs.answer_text import json_in, texts_in, tidy
from pipeline.pairs.weak_english.evidence import NAME, content_words, word_stems
from pipeline.pairs.weak_english.words import GENERIC, PATTERNS
from pipeline.text.function_words import function_words, language_of
from pipeline.text.terms import QUESTION, folded, word_count

MIN_WORDS, MAX_WORDS = 4, 40
LEAST_LETTERS = 12  # a question in another script may have fewer words but no fewer letters
MIN_NEW = 0.2  # least share of the answer's content words that the question does not tell already
MIN_NEW_WITHOUT_NUMBERS = 0.35  # the same where the question has all its numbers already
MIN_KNOWN = 0.6  # least share of the question's content words in title, section or answer
LABEL = re.compile(
    r"^(?:\(?\d{1,2}(?:[.)](?!\d)|:(?=\s))\s*|[-*•>#]+(?!\d)\s*"
    r"|\**(?:question|q)\s*\d*\**\s*[:.)-]\**\s*)+",
    re.IGNORECASE,
)
NUMBER = re.compile(r"(?<![\w.-])-?\d[\d.,:]*\d|(?<![\w.-])\d")
NO_ORDER = re.compile(r"<<<|>>>|^\w+\s*:\s|:$")  # what is left of a prompt, or a label


class Parsed(NamedTuple):
    """A question, or '' and the reason why there is none."""

    question: str
    reason: str
    value: float | None = None
    threshold: float | None = None


def lines(reply: str) -> list[str]:
    """Return the lines of a reply that may each be a question; of a JSON list its texts."""
    text = tidy(reply)
    try:
        value = json.loads(json_in(text))
    except (ValueError, RecursionError):
        value = None
    found = [said for said in texts_in(value) if QUESTION.search(said)]
    return found or [line for line in text.splitlines() if line.strip()]


def parse(reply: str, *, orders: bool = False) -> Parsed:
    """Read one question out of a line of reply.

    Strict: one line, it ends with a question mark of any script, 4 to 40 words, and does not speak
    about the text. What a model adds behind the question mark is cut off. With ``orders`` a line
    without a question mark counts too, as in "Sum it up in a line."
    """
    line = tidy(reply).split("\n", 1)[0]
    line = LABEL.sub("", line).strip().strip("\"'“”*`").strip()
    mark = QUESTION.search(line)
    if not mark and (not orders or NO_ORDER.search(line)):
        return Parsed("", "unparsable")
    question = " ".join(line[: mark.end() if mark else None].split())
    words = word_count(question)
    short = words < MIN_WORDS and (question.isascii() or len(question) < LEAST_LETTERS)
    if short or words > MAX_WORDS:
        limit = MIN_WORDS if words < MIN_WORDS else MAX_WORDS
        return Parsed("", "question_length", words, limit)
    if PATTERNS["about_the_text"].search(question):
        return Parsed("", "mentions_the_text")
    stop = function_words(language_of(question)).stop
    said = (word for word in content_words(question) if folded(word) not in stop)
    if max(Counter(said).values(), default=0) > 2:
        return Parsed("", "repeats_itself")
    return Parsed(question[0].upper() + question[1:], "")


def check(question: str, answer: str, topic: str) -> Parsed:
    """Reject a question that gives its answer away, or knows more than answer and topic tell."""
    told, asked = set(word_stems(answer)), set(word_stems(question))
    numbers, asked_numbers = set(NUMBER.findall(answer)), set(NUMBER.findall(question))
    share = new_share(question, answer)
    least = MIN_NEW_WITHOUT_NUMBERS if numbers and numbers <= asked_numbers else MIN_NEW
    if share < least:
        return Parsed("", "answer_in_question", share, least)
    known = told.union(word_stems(topic), (word[:6] for word in GENERIC))
    known_share = len(asked & known) / max(1, len(asked))
    context = f"{answer} {topic}".lower()
    strange = [n for n in NAME.findall(question) if n.lower() not in context]
    new = asked_numbers - numbers - set(NUMBER.findall(topic)) or strange
    if new or known_share < MIN_KNOWN:
        return Parsed("", "question_not_grounded", known_share, 1.0 if new else MIN_KNOWN)
    return Parsed(question, "")


def new_share(question: str, answer: str) -> float:
    """Return the share of the answer's content words that are not in the question."""
    told = set(word_stems(answer))
    return len(told.difference(word_stems(question))) / max(1, len(told))
