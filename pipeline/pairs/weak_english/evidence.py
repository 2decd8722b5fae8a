"""Evidence: the sentences of a chunk that can stand alone as the answer to a question.

A sentence qualifies when a reader who sees nothing else understands it and learns something from
it; of those, the most informative are taken, spread over the chunk.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

import sentencex

from pipeline.pairs.weak_english.words import IMPERATIVES, PATTERNS
from pipeline.text.bm25 import bm25
from pipeline.text.fences import prose_of
from pipeline.text.function_words import function_words

MIN_WORDS, MAX_WORDS = 8, 40
HEADING = re.compile(r"^\s{0,3}#{1,6}\s|^\s*[=\-_*]{3,}\s*$")
CAPITALS = re.compile(r"^[^a-z.!?]*[A-Z]{2}[^a-z.!?]*$")  # a heading of plain text: no full stop
TABLE = re.compile(r"^\s*\||\|.*\|")
ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
QUOTE = re.compile(r"^\s*>+\s?")
MARKUP: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),  # images
    (re.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),  # links keep their words
    (re.compile(r"`+([^`]+)`+"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=\S)([^_]+?)(?<=\S)_(?!\w)"), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>])"), r"\1"),  # escaped punctuation
    (re.compile(r"\s+"), " "),
)
FIRST_PERSON = re.compile(r"\bI\b|\b(?:my|mine|myself)\b", re.IGNORECASE)
PLACEHOLDER = re.compile(r"<[A-Z]+_\d+>")
NUMBER = re.compile(r"(?<![\w-])\d")  # the digits of a name such as X-200 are part of the name
NAME = re.compile(r"(?<=\s)(?:[A-Z][\w/-]*|[\w-]*[a-z][A-Z]\w*)")  # not first in a sentence
CODE = re.compile(r"(?:[A-Z][a-z]+ )?[A-Z][\w-]*\d")  # ``X-20 sensors``, ``Error E26``
LINK = re.compile(r"https?://|www\.", re.IGNORECASE)
AFTER_UNIT = re.compile(r"(?<=\d )([^\s\d.]{1,5}\.) +(?=[A-Z])")
"""A sentence ends behind a number and its unit, which sentencex takes for an abbreviation."""
UNFIT = (
    *(PATTERNS[name] for name in ("leans_on_context", "points_elsewhere", "to_the_model")),
    *(FIRST_PERSON, PLACEHOLDER, LINK),
)
WORD = re.compile(r"\w+(?:[-'./:,]\w+)*")


def plain(text: str) -> str:
    """Return one line of text without inline Markdown; numbers and words stay as they are."""
    for pattern, replacement in MARKUP:
        text = pattern.sub(replacement, text)
    return text.strip()


def sentences(text: str) -> list[str]:
    """Return the sentences of a chunk of Markdown in order, as plain text.

    Headings, tables and fenced code are left out; each list item is a paragraph of its own.
    """
    found: list[str] = []
    for paragraph in _paragraphs(text):
        for segment in sentencex.segment("en", plain(paragraph)):
            found += [s.strip() for s in AFTER_UNIT.sub(r"\1\n", segment).split("\n") if s.strip()]
    return found


def content_words(text: str) -> list[str]:
    """Return the lower-case words of a text that carry meaning, repeats included.

    A hyphen joins the parts of a code (``X-200``), not those of a word (``warm-up``).
    """
    words: list[str] = []
    for word in WORD.findall(text.lower()):
        words += [word] if re.search(r"\d", word) else word.split("-")
    known = function_words("en")
    silent = known.common_stop | known.questions
    return [word for word in words if word not in silent]


def stands_alone(sentence: str) -> bool:
    """Whether a sentence is complete, declarative, informative and says what it is about."""
    words = sentence.split()
    return (
        MIN_WORDS <= len(words) <= MAX_WORDS
        and sentence.endswith(".")
        and not sentence.endswith("..")
        and (sentence[0].isupper() or sentence[0].isdigit())
        and sentence.count("(") == sentence.count(")")
        and sentence.count('"') % 2 == 0
        and not any(rule.search(sentence) for rule in UNFIT)
        and bool(NUMBER.search(sentence) or NAME.search(sentence))
    )


def evidence(all_sentences: Sequence[str], quota: int, taken: frozenset[str]) -> list[str]:
    """Choose at most ``quota`` sentences of a chunk, in reading order; none of those ``taken``.

    The chunk is cut into ``quota`` parts of equal length and the best sentence of each is taken,
    so that the tail is covered; what is left goes to the best of the rest.
    """
    frequency = Counter(w for s in all_sentences for w in set(content_words(s)))
    position: dict[str, int] = {}
    for number, sentence in enumerate(all_sentences):
        if sentence not in taken and stands_alone(sentence):
            position.setdefault(sentence, number)
    information = {text: _information(text, frequency, len(all_sentences)) for text in position}
    ranked = sorted(position, key=lambda text: (-information[text], position[text]))
    chosen: list[str] = []
    for part in range(quota):
        low, high = (edge * len(all_sentences) / quota for edge in (part, part + 1))
        chosen += [text for text in ranked if low <= position[text] < high][:1]
    chosen += [text for text in ranked if text not in chosen][: quota - len(chosen)]
    return sorted(chosen, key=position.__getitem__)


def retrieval_rank(question: str, answer: str, all_sentences: Sequence[str]) -> int:
    """Return the rank, from 1, at which a question finds its answer among a chunk's sentences.

    By BM25 over :func:`word_stems`, with the idf of this chunk. Of equals the answer is the last,
    so a question that shares no word with it never ranks first.
    """
    others = [sentence for sentence in all_sentences if sentence != answer]
    scores_of = bm25([word_stems(sentence) for sentence in (answer, *others)], k1=1.2)
    own, *rest = scores_of(sorted(set(word_stems(question))))
    return 1 + sum(score >= own for score in rest) if own else len(all_sentences)


def best_sentence(answer: str, all_sentences: Sequence[str]) -> str:
    """Return the first sentence that shares most content words (Dice) with an answer, or ''."""
    said = set(word_stems(answer))

    def overlap(sentence: str) -> float:
        there = set(word_stems(sentence))
        return 2 * len(said & there) / max(1, len(said) + len(there))

    best = max(all_sentences, key=overlap, default="")
    return best if overlap(best) else ""


def word_stems(text: str) -> list[str]:
    """Return the content words of a text cut to six characters, repeats included."""
    return [word[:6] for word in content_words(text)]


def _information(sentence: str, frequency: Counter[str], total: int) -> float:
    """Numbers and names first, a named subject most of all; then words rare in the chunk."""
    words = set(content_words(sentence))
    # fsum: the order of a set differs between processes, and a plain sum of floats with it.
    rarity = math.fsum(math.log(1 + total / frequency[w]) for w in words)
    rarity /= 1 + math.log(1 + total)
    pointers = len(re.findall(r"\b(?:this|these|those|that time|it|they)\b", sentence, re.I))
    return (
        2.0 * min(2, len(NUMBER.findall(sentence)))
        + 1.0 * min(2, len(set(NAME.findall(sentence))))
        + (1.5 if NAME.search(" " + " ".join(sentence.split()[1:5])) or CODE.match(sentence) else 0)
        + rarity / max(4, len(words)) * 4
        - 1.5 * pointers
        - (2.0 if sentence.split(" ", 1)[0].lower() in IMPERATIVES else 0.0)
    )


def _paragraphs(text: str) -> list[str]:
    """Return paragraphs and list items; headings, tables, rules and code are left out."""
    paragraphs: list[list[str]] = [[]]
    for line in prose_of(text).splitlines():
        title = HEADING.match(line) or CAPITALS.match(line.strip())
        if not line.strip() or title or TABLE.search(line):
            paragraphs.append([])
        elif ITEM.match(line):
            paragraphs.append([ITEM.sub("", line)])
        else:
            paragraphs[-1].append(QUOTE.sub("", line).strip())
    return [" ".join(lines) for lines in paragraphs if lines]
