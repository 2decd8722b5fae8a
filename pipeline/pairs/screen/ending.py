"""Rule on how a response ends: a reply may be cut short without its server saying so."""

import re

from pipeline.pairs.answer_text import FENCE
from pipeline.pairs.screen.candidate import Candidate, Finding
from pipeline.pairs.weak_english.evidence import ITEM, TABLE, sentences
from pipeline.settings import ScreenSettings
from pipeline.text.fences import fenced
from pipeline.text.terms import terms
from pipeline.text.words import UNSPACED, words

ENDS = (
    ".!?\u2026\u3002\uff0e\uff01\uff1f\uff61\u0964\u0965\u06d4\u061f\u0589"
    "\u1362\u1367\u17d4\u104a\u104b\u0f0d"
)
"""Ends of sentences: Latin, Chinese and Japanese, Hindi, Urdu, Arabic, Armenian, Amharic, Khmer,
Burmese, Tibetan."""
BEHIND_END = "\"'\u2019\u201d\u00bb\u300d\u300f)]}\uff09*_` "
"""What may stand behind the end of a sentence, and closes it as well."""
NO_ENDS = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")
"""Thai, Lao, Tibetan, Burmese, Khmer: sentences need no mark there."""
EARLIER_END = re.compile(
    rf"[^\W\d_]{{3}}[.!?][{re.escape(BEHIND_END)}]*\s+[\"'(*_]*[^\W\d_a-z]|[{ENDS[4:]}]"
)
"""A sentence that ends inside a paragraph, no abbreviation."""
ADDRESS = re.compile(r"://|^www\.|@|^[/~\\]|[\\/]|\w\.\w{2,5}$")
"""A last word that takes no full stop: an address, a path, a file."""
HANGING = re.compile(
    r"(?:\b(?:and|or|but|nor|the|a|of|than|because|if|when|which|whose|while|into|between|via|"
    r"und|oder|der|das|eine|et|ou|le|les|el|los)|[,(]|\w-|\s[\u2013\u2014-])$"
)
"""A word or sign that something must follow; not "5 A", nor "Schalten Sie die Pumpe ein"."""
SHORT = 60  # characters of a line below which it was not wrapped but ends on purpose
TAIL = 4  # words that are looked for at the ends of the source's sentences
SHORT_ANSWER = 3  # words from which a response may have been cut
SENTENCE = 10  # words from which a paragraph without a mark at its end is a sentence that was cut


def unfinished(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a response that ends in the middle: of a sentence, a list, a table, a code block."""
    ending = cut_at(pair.response, pair.grounded)
    if ending and _ends_in(pair.source, ending):
        return None
    if not ending and pair.grounded and not ends(pair.response):
        ending = _goes_on(pair)
    return Finding("unfinished", 0, 1, ending[-40:]) if ending else None


def cut_at(text: str, prose: bool = True) -> str:
    """Return the last line of a text that goes on behind it, '' for one that is finished.

    An open code block is unfinished, and so is whatever ends in a word such as "and". Items, rows
    and short lines need a mark at their end only where all those before have one, a paragraph when
    it is as long as a sentence or has some before; a poem or query (no ``prose``) never does.
    """
    text = text.rstrip()
    lines = text.split("\n")
    last = lines[-1].strip()
    for start, end in fenced(text):
        if end == len(text):
            closed = FENCE.fullmatch(last) and "\n" in text[start:].strip()
            return "" if closed else last
    if not last or last.startswith("#"):
        return ""
    if HANGING.search(last) and not UNSPACED.search(last):
        return last
    if not prose or NO_ENDS.search(last[-1]) or lines[-1].startswith(("    ", "\t")):
        return ""
    paragraph, before = _last_paragraph(lines)
    if TABLE.match(last):
        return last if before and before[-1].endswith("|") and not last.endswith("|") else ""
    if ends(last):
        return ""
    if before:
        return last if len(before) > 1 and all(map(ends, before)) else ""
    count = len(words(paragraph)) / (2 if UNSPACED.search(paragraph) else 1)
    return last if count >= SENTENCE or EARLIER_END.search(paragraph) else ""


def _goes_on(pair: Candidate) -> str:
    """Return a response that the chunk goes on with, or that ends in a word that asks for more."""
    said = terms(pair.response)
    if len(said) >= SHORT_ANSWER and said[-1] in pair.words.links:
        return pair.response
    if len(said) < SENTENCE / 2:
        return ""
    tail = " ".join(said[-TAIL:])
    for line in re.split(rf"[{re.escape(ENDS)},;:\n\uff0c\u3001\u060c]\s*", pair.source):
        if f" {tail} " in f" {' '.join(terms(line)[:-1])} ":
            return pair.response
    return ""


def _ends_in(source: str, ending: str) -> bool:
    tail = words(ending)[-TAIL:]
    return any(words(sentence)[-TAIL:] == tail for sentence in sentences(source))


def _last_paragraph(lines: list[str]) -> tuple[str, list[str]]:
    """Return the last paragraph or item as one line, and the items or short lines before it."""
    parts: list[list[str]] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if not before.strip() or ITEM.match(line):
            parts.append([])
        parts[-1].append(line.strip())
    joined = [" ".join(part) for part in parts]
    if ITEM.match(joined[-1]):
        return joined[-1], [part for part in joined[:-1] if ITEM.match(part)] or [""]
    if len(parts[-1]) > 1 and len(parts[-1][-2]) < SHORT:
        return parts[-1][-1], parts[-1][:-1]
    return joined[-1], []


def ends(line: str) -> bool:
    """Whether a line ends as a sentence does, or in something that needs no mark."""
    bare = line.rstrip(BEHIND_END)
    return bare.endswith(tuple(ENDS)) or bare != line or bool(ADDRESS.search(line.split(" ")[-1]))
