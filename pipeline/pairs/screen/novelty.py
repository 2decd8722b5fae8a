"""Rules on a pair beside the others: conflicts, repeated questions, novelty."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rapidfuzz import process
from rapidfuzz.distance import Indel

from pipeline.pairs.screen.form import Candidate, Finding
from pipeline.pairs.screen.grounding import content
from pipeline.settings import ScreenSettings
from pipeline.text.words import words

SURROGATES = range(0xD800, 0xE000)
"""Code points that are no characters and cannot stand for a word."""


class Encoder:
    """Writes each word as one character, so that rapidfuzz compares words at its full speed.

    ROUGE-L F1 is ``2 LCS / (m + n)``: rapidfuzz's normalized Indel similarity of the words.
    """

    def __init__(self) -> None:
        self._signs: dict[str, str] = {}

    def encode(self, text: str) -> str:
        """Return the words of a text as a string of one character each."""
        return "".join(self._sign(word) for word in words(text))

    def _sign(self, word: str) -> str:
        sign = self._signs.get(word)
        if sign is None:
            number = len(self._signs) + 1
            number += len(SURROGATES) if number >= SURROGATES.start else 0
            sign = self._signs[word] = chr(number)
        return sign


class Kept:
    """The pairs kept so far, and what a further one is compared with."""

    def __init__(self, seeds: Iterable[tuple[str, str]], settings: ScreenSettings) -> None:
        """Start from seed tasks, as ``(seed_task_id, instruction)``."""
        self._settings = settings
        self._encoder = Encoder()
        self._seeds = [(seed_id, self._encoder.encode(text)) for seed_id, text in seeds]
        self._ids: list[str] = [seed_id for seed_id, _ in self._seeds]
        self._instructions: list[str] = [text for _, text in self._seeds]
        self._grounded: dict[int, Candidate] = {}
        self._by_document: dict[str, list[tuple[Candidate, set[str]]]] = defaultdict(list)

    def add(self, pair: Candidate, doc_id: str) -> None:
        """Keep a pair."""
        if pair.grounded:
            self._grounded[len(self._ids)] = pair
            self._by_document[doc_id].append((pair, _question(pair)))
        self._ids.append(pair.pair_id)
        self._instructions.append(self._encoder.encode(pair.instruction))

    def repeats(self, pair: Candidate, doc_id: str) -> tuple[Finding, str] | None:
        """Return what a pair repeats, with the id of the seed task or kept pair.

        A self-instruct task must be new among all seed tasks and kept pairs. A question about a
        document must be new among those about the same document; among the others it may be
        alike as long as its response is not: "What does alarm A17 mean?" is no copy of A18.
        """
        if not pair.grounded:
            return self._low_novelty(pair)
        return self._near_duplicate_question(pair, doc_id) or self._same_pair(pair)

    def _low_novelty(self, pair: Candidate) -> tuple[Finding, str] | None:
        limit = self._settings.max_rouge_l
        best = process.extractOne(
            self._encoder.encode(pair.instruction),
            self._instructions,
            scorer=Indel.normalized_similarity,
            score_cutoff=limit,
        )
        if best is None or best[1] <= limit:
            return None
        return Finding("low_novelty", best[1], limit), self._ids[best[2]]

    def _near_duplicate_question(self, pair: Candidate, doc_id: str) -> tuple[Finding, str] | None:
        limit = self._settings.max_question_similarity
        asked = _question(pair)
        alike = [
            (_dice(asked, other), kept.pair_id)
            for kept, other in self._by_document[doc_id]
            if _codes(asked) == _codes(other)
        ]
        similarity, pair_id = max(alike, default=(0.0, ""), key=lambda one: (one[0], one[1]))
        if similarity <= limit:
            return None
        return Finding("near_duplicate_question", similarity, limit), pair_id

    def _same_pair(self, pair: Candidate) -> tuple[Finding, str] | None:
        limit = self._settings.max_rouge_l
        hits = process.extract(
            self._encoder.encode(pair.instruction),
            self._instructions,
            scorer=Indel.normalized_similarity,
            score_cutoff=limit,
            limit=None,
        )
        response = self._encoder.encode(pair.response)
        for _, similarity, place in hits:
            kept = self._grounded.get(place)
            if kept is None or _codes(_question(kept)) != _codes(_question(pair)):
                continue
            both = min(
                similarity,
                Indel.normalized_similarity(response, self._encoder.encode(kept.response)),
            )
            if both > limit:
                return Finding("low_novelty", both, limit), kept.pair_id
        return None


def conflicts(pairs: Sequence[Candidate]) -> dict[str, tuple[Finding, str]]:
    """Return the pairs that answer the same instruction and input differently.

    Of grounded pairs the first in the given order stays; of self-instruct tasks with an input
    none does, as in Self-Instruct: nobody knows which one is right.

    Returns:
        Finding and the id of another pair of the same question, by ``pair_id``.
    """
    groups: dict[tuple[bool, str, str], list[Candidate]] = defaultdict(list)
    for pair in pairs:
        if pair.grounded or pair.input.strip():
            key = (pair.grounded, " ".join(words(pair.instruction)), " ".join(words(pair.input)))
            groups[key].append(pair)
    found: dict[str, tuple[Finding, str]] = {}
    for group in groups.values():
        answers = len({" ".join(words(pair.response)) for pair in group})
        if answers < 2:
            continue
        finding = Finding("conflicting_answers", answers, 1)
        for pair in group[1:]:
            found[pair.pair_id] = finding, group[0].pair_id
        if not group[0].grounded:
            found[group[0].pair_id] = finding, group[1].pair_id
    return found


def _question(pair: Candidate) -> set[str]:
    return content(pair.instruction)


def _codes(stems: set[str]) -> set[str]:
    """Return the words with a digit: two questions about other numbers are two questions."""
    return {word for word in stems if any(map(str.isdigit, word))}


def _dice(one: set[str], other: set[str]) -> float:
    """Return the share of common words of two sets, ``2 |A and B| / (|A| + |B|)``."""
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 0.0
