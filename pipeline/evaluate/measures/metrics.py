"""How close an answer is to its reference, whether it withholds, and whether it goes in circles.

Exact match and token F1 follow SQuAD (Rajpurkar et al. 2016), with Unicode's punctuation as in
MLQA; ROUGE-L is the F1 of common subsequences (Lin 2004), chrF of characters (Popovic 2015).
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from rapidfuzz.distance import Indel

from pipeline.pairs.screen.form import refuses
from pipeline.text.function_words import language_of

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WORDS = re.compile(r"\w+")
NGRAM = 4  # words of the n-grams that :func:`repetition` counts


def normalise(text: str) -> str:
    """Return the text as SQuAD compares it: ``The U.S. Army!`` becomes ``us army``."""
    kept = "".join(
        char
        for char in text.lower()
        if char not in string.punctuation and not unicodedata.category(char).startswith("P")
    )
    return " ".join(_ARTICLES.sub(" ", kept).split())


def exact_match(answer: str, reference: str) -> float:
    """Return 1.0 when both are equal after :func:`normalise`, else 0.0."""
    return float(normalise(answer) == normalise(reference))


def token_f1(answer: str, reference: str) -> float:
    """Return the F1 of the normalised words (with repeats); 1.0 where neither side has any."""
    found, wanted = normalise(answer).split(), normalise(reference).split()
    if not found or not wanted:
        return float(found == wanted)
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted))


def rouge_l(answer: str, reference: str) -> float:
    """Return ROUGE-L F1, ``2 LCS / (m + n)``, on lower-case words: their Indel similarity."""
    return float(Indel.normalized_similarity(_words(answer), _words(reference)))


def chrf(answer: str, reference: str) -> float:
    """Return sacrebleu's sentence chrF2 in 0..1: character 6-grams, recall counts twice."""
    from sacrebleu.metrics.chrf import CHRF  # reports need the names of metrics alone

    return min(1.0, float(CHRF().sentence_score(answer, [reference]).score) / 100)


def withholds(text: str) -> bool:
    """Tell whether a text, in English or its own language, says that it has no answer."""
    return bool(refuses(text) or refuses(text, language_of(text)))


def repetition(answer: str) -> float:
    """Return one minus distinct-4 (Li et al. 2016) of an answer: the share of repeated 4-grams."""
    words = _words(answer)
    grams = list(zip(*(words[start:] for start in range(NGRAM)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def length_ratio(answer: str, reference: str) -> float:
    """Return words of the answer over words of the reference; a wordless reference counts one."""
    return len(_words(answer)) / max(1, len(_words(reference)))


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.lower())


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric on the shelf: the mean of a column of Answers."""

    name: str
    title: str
    unit: str  # for the reader of a report: what is measured, and which direction is better
    higher_is_better: bool = True
    measure: Callable[[str, str], float] | None = None
    """Of answer and reference; None for one that takes the model or the documents as well."""
    column: str = ""  # of Answers; empty: the metric's name
    weight: str | None = None  # column that weighs the rows
    plotted: bool = False  # whether the page has a plot of it


METRICS = {metric.name: metric for metric in (
    Metric("correct", "Correct", "facts of the reference stated, higher is better", plotted=True),
    Metric("loss", "Loss", "nats a token, lower is better", False, None, "", "response_tokens",
           plotted=True),
    Metric("bits_per_byte", "Bits a byte", "of the reference, lower is better", False, None, "",
           "response_bytes"),
    Metric("token_f1", "Token F1", "shared words, higher is better", measure=token_f1,
           plotted=True),
    Metric("rouge_l", "ROUGE-L", "overlap with reference, higher is better", measure=rouge_l,
           plotted=True),
    Metric("chrf", "chrF", "shared letters, higher is better", measure=chrf, plotted=True),
    Metric("exact_match", "Exact match", "share of answers, higher is better",
           measure=exact_match),
    Metric("grounded", "Grounded", "stands in the document, higher is better", plotted=True),
    Metric("refusal_right", "Refusal right", "declines as the reference, higher is better"),
    Metric("refusal_wrong", "Refusal wrong", "declines for no reason, lower is better", False),
    Metric("stop_rate", "Stop rate", "ends by itself, higher is better", column="stopped",
           plotted=True),
    Metric("repetition", "Repetition", "repeated 4-grams, lower is better", False,
           lambda answer, _: repetition(answer)),
    Metric("length_ratio", "Length ratio", "words over the reference's, 1 is right", False,
           length_ratio),
    Metric("retrieval_hit", "Retrieval hit", "right document found, higher is better",
           column="found_document"),
)}  # fmt: skip
"""By name, in the order of a report."""
