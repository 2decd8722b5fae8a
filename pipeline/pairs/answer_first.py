"""Answer-first pairs: what makes a weak teacher useful.

The response is a sentence of the chunk, so it is grounded by construction, and the teacher only
finds the question. Several are sampled; those that do not lead back to the sentence go (round
trip), and of the rest the one wins under which the teacher finds the sentence likeliest, weighted
by what the sentence adds to the question (else one that gives the answer away would win).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop
from pipeline.pairs.chunk_order import Chunk, Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.writing import Writing
from pipeline.pairs.teachers.teacher import Messages, Reply, Request, Teacher
from pipeline.pairs.weak_english import questions
from pipeline.pairs.weak_english.evidence import NAME, evidence, retrieval_rank, sentences
from pipeline.pairs.weak_english.stems import stems
from pipeline.pairs.weak_english.words import ARTICLES
from pipeline.text.function_words import function_words

VERSION = "answer-first/1"  # of the prompt, for people: raise it when its words change
QUESTION_TOKENS = 18
"""Longer questions are seldom good, and the longest row decides how long a batch takes."""
READY = 1.5
"""Weight of a question that needs no words of the teacher: of 60 chosen ones read by eye about half
of the sampled ones were clumsy, and few of the ready ones."""
ENGLISH = 0.15  # least share of English function words from which a question is begun in English


@dataclass(slots=True)
class _Question:
    text: str
    rank: int
    new: float  # share of the answer's content words that the question does not have
    ready: bool  # whether the rules alone made it: such a question is well formed
    score: float | None = None

    @property
    def worth(self) -> float:
        """What it is chosen by: likelihood gained, times new words, more if well formed."""
        gained = 1.0 if self.score is None else self.score
        return gained * self.new * (READY if self.ready else 1.0)


@dataclass(slots=True)
class _Candidate:
    chunk: Chunk
    answer: str
    all_sentences: list[str]
    requests: list[Request]
    ready: list[str]  # questions that the rules could finish by themselves
    found: list[_Question] = field(default_factory=list)
    failures: list[questions.Parsed] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePart(Part):
    """A chunk with the sentences that are its answers."""

    evidence: list[str]
    all_sentences: list[str]
    names: frozenset[str]  # of the whole document


def answer_first(kind: str, parts: Sequence[EvidencePart], writing: Writing) -> Harvest:
    """Make pairs of some chunks with a weak teacher; none changes what is asked about another."""
    harvest = Harvest(asked={part.chunk.chunk_id for part in parts if part.evidence})
    for part in parts:
        if not part.evidence:
            excerpt = " ".join(part.chunk.text.split())
            harvest.drops.append(Drop(part.chunk.chunk_id, "no_evidence", excerpt, 0, 1))
    candidates = [_candidate(part, answer, writing) for part in parts for answer in part.evidence]
    requests = [request for candidate in candidates for request in candidate.requests]
    replies = iter(writing.teacher.complete(requests, writing.settings.seed))
    for candidate in candidates:
        found = list(islice(replies, len(candidate.requests)))
        _read(candidate, found)
        failed = [reply.texts[0] for reply in found if reply.failed]
        harvest.raw += (candidate.raw or failed)[:1]
    _score(candidates, writing.teacher)
    for candidate in candidates:
        best = max(
            (q for q in candidate.found if q.rank == 1),
            key=lambda q: (q.worth, -len(q.text), q.text),
            default=None,
        )
        if best is None:
            harvest.drops.append(_drop(candidate))
        else:
            answer, chunk = candidate.answer, candidate.chunk
            more = {"evidence": answer, "prompt_version": VERSION, "score": best.score}
            harvest.pairs.append(writing.pair(kind, chunk, best.text, answer, **more))
    return harvest


def evidence_parts(document: Sequence[Chunk], wanted: Sequence[int]) -> list[EvidencePart]:
    """Choose the evidence sentences of a document, whose chunks may share some."""
    texts = [sentences(chunk.text) for chunk in document]
    everything = list(chain(*texts))
    ordinary = {word for sentence in everything for word in sentence.split() if word.islower()}
    names = frozenset(
        name
        for sentence in everything
        for name in NAME.findall(sentence)
        if name.lower() not in ordinary
    )
    taken: set[str] = set()
    parts = []
    for chunk, text, count in zip(document, texts, wanted, strict=True):
        chosen = evidence(text, count, frozenset(taken))
        taken.update(chosen)
        if count:
            part = EvidencePart(chunk, count, evidence=chosen, all_sentences=text, names=names)
            parts.append(part)
    return parts


def _candidate(part: EvidencePart, answer: str, writing: Writing) -> _Candidate:
    count = writing.settings.questions_per_answer
    words = [word.lower() for word in answer.split()]
    stop = function_words("en").common_stop
    english = sum(word in stop for word in words) / len(words) >= ENGLISH
    begun = stems(answer, part.names - ARTICLES, count) if english else []
    beginnings = [stem.text for stem in begun] or [""]
    requests = []
    for place, beginning in enumerate(beginnings):
        # Divide what is wanted among the beginnings; the first ones get the rest.
        samples = count // len(beginnings) + (place < count % len(beginnings))
        more = {"samples": samples, "stop": ("?", "\n")}
        messages = _prompt(part.chunk.topic, answer, beginning)
        requests.append(writing.request(messages, QUESTION_TOKENS, **more))
    ready = [f"{stem.text}?" for stem in begun if stem.complete]
    return _Candidate(part.chunk, answer, part.all_sentences, requests, ready)


def _prompt(topic: str, answer: str, beginning: str) -> Messages:
    """Ask for the question to an answer that is given; no examples, a weak teacher parrots them.

    Title, section and one sentence are all it sees: a whole chunk costs ten times the time, and
    the question strays to other sentences.
    """
    prompt = (
        "Write the question for this entry of an FAQ. The question must not contain the answer."
        f"\n\nTopic: {topic}\nAnswer: {answer}"
    )
    return (("user", prompt), ("assistant", f"Question: {beginning}"))


def _read(candidate: _Candidate, replies: Sequence[Reply]) -> None:
    for request, reply in zip(candidate.requests, replies, strict=True):
        beginning = request.messages[-1][1].removeprefix("Question: ")
        if reply.failed:
            candidate.failures.append(questions.Parsed("", "request_failed"))
        else:
            candidate.raw += [
                beginning + _closed(text, end)
                for text, end in zip(reply.texts, reply.finish_reasons, strict=True)
            ]
    answer, seen = candidate.answer, set[str]()
    for place, text in enumerate(candidate.ready + candidate.raw):
        parsed = questions.parse(text)
        if parsed.question:
            parsed = questions.check(parsed.question, answer, candidate.chunk.topic)
        if not parsed.question:
            candidate.failures.append(parsed)
        elif parsed.question not in seen:
            seen.add(parsed.question)
            rank = retrieval_rank(parsed.question, answer, candidate.all_sentences)
            ready = place < len(candidate.ready)
            new = questions.new_share(parsed.question, answer)
            candidate.found.append(_Question(parsed.question, rank, new, ready))


def _closed(text: str, finish_reason: str) -> str:
    """Put back the question mark that ended a reply as a stop string."""
    text = text.rstrip()
    cut = finish_reason != "stop" or text.endswith((".", "!", "?", ":", ";", '"'))
    return text if cut else f"{text}?"


def _score(candidates: Sequence[_Candidate], teacher: Teacher) -> None:
    """Give each question the nats a token by which it makes its answer likelier."""
    rows: list[tuple[Messages, str]] = []
    scored: list[tuple[_Question, int, int]] = []
    for candidate in candidates:
        returning = [question for question in candidate.found if question.rank == 1]
        texts = ["", *(question.text for question in returning)] if returning else []
        scored += [(q, len(rows), len(rows) + n) for n, q in enumerate(returning, start=1)]
        rows += [((("user", text),), candidate.answer) for text in texts]
    losses = teacher.answer_losses(rows) if rows else None
    if losses:
        for question, alone, asked in scored:
            question.score = losses[alone] - losses[asked]


def _drop(candidate: _Candidate) -> Drop:
    answer, chunk_id = candidate.answer, candidate.chunk.chunk_id
    counts = Counter(failure.reason for failure in candidate.failures)
    failure = min(
        candidate.failures,
        key=lambda failure: (-counts[failure.reason], failure.reason),
        default=questions.Parsed("", "unparsable"),
    )
    if candidate.found:
        rank = min(question.rank for question in candidate.found)
        failure = questions.Parsed("", "round_trip_failed", rank, 1)
    identity = short_id(chunk_id, answer, VERSION)
    excerpt = f"{answer} | {' | '.join(candidate.raw)}"
    return Drop(identity, failure.reason, excerpt, failure.value, failure.threshold, chunk_id)
