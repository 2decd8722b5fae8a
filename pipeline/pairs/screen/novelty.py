"""Rules on a pair beside the others: conflicts, repeated questions, novelty."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count

from rapidfuzz import process
from rapidfuzz.distance import Indel

from pipeline.pairs.screen.candidate import Candidate, Finding
from pipeline.settings import ScreenSettings
from pipeline.text.function_words import content
from pipeline.text.terms import terms
from pipeline.text.words import words

FIRST_SIGN = 0xE000  # the code points before it, surrogates, are no characters


class KeptPairs:
    """Pairs kept so far, and the seed tasks: what a further pair is compared with."""

    def __init__(
        self,
        seeds: Iterable[tuple[str, str]],
        settings: ScreenSettings,
        candidates: Sequence[Candidate] = (),
    ) -> None:
        """Take id and instruction of each seed, and all pairs to be compared, the best first."""
        self.settings = settings
        self.conflicts = _conflicts(candidates)
        self._signs: dict[str, str] = defaultdict(map(chr, count(FIRST_SIGN)).__next__)
        tasks = dict(seeds)
        self.ids = list(tasks)
        self.instructions = list(map(self.encode, tasks.values()))
        self.answered: dict[int, Candidate] = {}  # by place: their answers count as well
        self.by_document: dict[str, list[tuple[Candidate, frozenset[str]]]] = defaultdict(list)

    def add(self, pair: Candidate) -> None:
        """Keep a pair."""
        if pair.grounded or pair.of_people:
            self.answered[len(self.ids)] = pair
        if pair.grounded:
            self.by_document[pair.doc_id].append((pair, _asked(pair)))
        self.ids.append(pair.pair_id)
        self.instructions.append(self.encode(pair.instruction))

    def encode(self, text: str) -> str:
        """Return a sign for each word: normalized Indel similarity of these is ROUGE-L F1."""
        return "".join(self._signs[word] for word in words(text))


def conflicting_answers(pair: Candidate, kept: KeptPairs) -> Finding | None:
    """Reject a pair whose question another one answers differently; the best grounded one stays."""
    return kept.conflicts.get(pair.pair_id)


def near_duplicate_question(pair: Candidate, kept: KeptPairs) -> Finding | None:
    """Reject a question like one about the same document with the same numbers and codes."""
    limit = kept.settings.max_question_similarity
    asked = _asked(pair)
    alike = [
        (2 * len(asked & other) / max(1, len(asked) + len(other)), earlier.pair_id)  # Dice
        for earlier, other in kept.by_document[pair.doc_id]
        if _codes(asked) == _codes(other)
    ]
    similarity, pair_id = max(alike, default=(0.0, ""))
    if similarity > limit:
        return Finding("near_duplicate_question", similarity, limit, related_id=pair_id)
    return None


def low_novelty(pair: Candidate, kept: KeptPairs) -> Finding | None:
    """Reject a pair like any seed task or kept pair (ROUGE-L F1, Self-Instruct)."""
    limit = kept.settings.max_rouge_l
    hits = process.extract(
        kept.encode(pair.instruction),
        kept.instructions,
        scorer=Indel.normalized_similarity,
        score_cutoff=limit,
        limit=None if pair.grounded or pair.of_people else 1,
    )
    for _, similarity, place in hits:
        # Such may be alike, as long as their numbers or their responses are not.
        if pair.grounded or pair.of_people:
            other = kept.answered.get(place)
            if other is None or _codes(_asked(other)) != _codes(_asked(pair)):
                continue
            responses = kept.encode(pair.response), kept.encode(other.response)
            similarity = min(similarity, Indel.normalized_similarity(*responses))
        if similarity > limit:
            return Finding("low_novelty", similarity, limit, related_id=kept.ids[place])
    return None


def _conflicts(pairs: Sequence[Candidate]) -> dict[str, Finding]:
    groups: dict[tuple[bool, str, str], list[Candidate]] = defaultdict(list)
    for pair in pairs:
        if pair.grounded or pair.input.strip():
            key = (pair.grounded, " ".join(words(pair.instruction)), " ".join(words(pair.input)))
            groups[key].append(pair)
    found: dict[str, Finding] = {}
    for group in groups.values():
        answers = len({" ".join(words(pair.response)) for pair in group})
        if answers > 1:
            finding = Finding("conflicting_answers", answers, 1, related_id=group[0].pair_id)
            found |= {pair.pair_id: finding for pair in group[1:]}
            if not group[0].grounded:
                found[group[0].pair_id] = finding._replace(related_id=group[1].pair_id)
    return found


def _asked(pair: Candidate) -> frozenset[str]:
    """Return what a pair asks: the words of its subject, its question words and its numbers."""
    said = terms(pair.instruction)
    asked = pair.words.questions.intersection(said)
    return content(pair.instruction, pair.language) | asked | _codes(frozenset(said))


def _codes(stems: frozenset[str]) -> set[str]:
    """Return the words with a digit: two questions about other numbers are two questions."""
    return {word for word in stems if any(map(str.isdigit, word))}
