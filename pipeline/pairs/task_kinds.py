"""The kinds of tasks that pairs are made of: one object each, for prompts, report and ledger.

A kind more is a function in a module of :mod:`pipeline.pairs.kinds` with its prompt file, an entry
of :data:`TASK_KINDS`, and its name among the kinds of a pair (``schemas/pairs.py``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import NamedTuple

from pipeline.core.errors import SettingsError
from pipeline.pairs.answer_first import answer_first, evidence_parts
from pipeline.pairs.chunk_order import Chunk, Part, parts_of, parts_with_another
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds import question_first
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.kinds.given_instruction import given_instruction
from pipeline.pairs.teachers.teacher import Strength
from pipeline.settings import GenerateSettings


class ChunkWriter(NamedTuple):
    """How pairs of one kind are made of chunks."""

    write: Callable[..., Harvest]  # gets the name of the kind, parts, Writing
    requests: Callable[[int, GenerateSettings], float] = lambda count, settings: 1 + count
    """How many requests so many pairs of a chunk take, about."""
    parts: Callable[[Sequence[Chunk], Sequence[int]], Sequence[Part]] = parts_of
    """Gets the chunks of a document and how many pairs are wanted of each."""
    chunks: int = 1  # chunks that a request shows the teacher; 0: a sentence

    def fits(self, document: Sequence[Chunk]) -> bool:
        """Tell whether a document has the chunks of which a pair is made."""
        return self.parts is not parts_with_another or len(document) > 1


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A kind of task, and all that is known of it."""

    about: str  # what a pair of it is, for the report
    strong: ChunkWriter | None = None  # None: it is made of seed tasks alone
    weak: ChunkWriter | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)  # why it may fail -> a line about it
    once: bool = False  # whether a chunk gives one pair of it at the most
    given: bool = False  # whether the user gives its instruction, in [task]

    def writer(self, strength: Strength) -> ChunkWriter | None:
        """Return how a teacher of a strength makes it of chunks; None: it cannot."""
        return self.weak if strength == "weak" else self.strong


def _evolving(count: int, settings: GenerateSettings) -> float:
    return 1 + count * (1 + settings.evolve)


_GIVEN = ChunkWriter(given_instruction, lambda count, settings: 1.1 * count)

TASK_KINDS = {
    "fact": TaskKind(
        "a question about a chunk, with an answer that stands in it",
        ChunkWriter(partial(question_first.answered, evolves=True), _evolving),
        ChunkWriter(
            answer_first,
            lambda count, settings: count * settings.questions_per_answer,
            evidence_parts,
            chunks=0,
        ),
        reasons={
            "no_evidence": "no sentence of the chunk can stand alone as an answer",
            "round_trip_failed": "no question leads back to the sentence it was asked for",
            "answer_in_question": "the question gives its answer away",
            "question_not_grounded": "the question brings in what the chunk does not say",
        },
    ),
    "how_to": TaskKind(
        "how something is done: steps, commands, code",
        ChunkWriter(partial(question_first.answered, orders=True, evolves=True), _evolving),
    ),
    "comparison": TaskKind(
        "a question that needs two passages of a document",
        ChunkWriter(
            partial(question_first.answered, orders=True), parts=parts_with_another, chunks=2
        ),
    ),
    "summary": TaskKind(
        "a summary of a passage that stands in the question",
        ChunkWriter(partial(question_first.answered, orders=True, with_text=True)),
    ),
    "conversation": TaskKind(
        "several turns about a chunk, of which the last is the pair",
        ChunkWriter(question_first.conversation, lambda count, settings: 1 + question_first.TURNS),
        once=True,
    ),
    "not_in_documents": TaskKind(
        "a question near to a chunk that no document answers, with a refusal",
        ChunkWriter(question_first.abstention, chunks=1 + question_first.PASSAGES // 2),
        reasons={"answered_after_all": "the documents do answer the question"},
    ),
    "extraction": TaskKind(
        "data of a passage, as JSON that follows a schema", _GIVEN, once=True, given=True
    ),
    "classification": TaskKind("the label of a passage", _GIVEN, once=True, given=True),
    "rewriting": TaskKind("a passage in the user's style", _GIVEN, once=True, given=True),
    "self_instruct": TaskKind(
        "a task like the seed tasks, answered by the teacher without a document",
        reasons={
            "like_another_task": "the task is nearly one that is there already",
            "not_for_text": "the task needs pictures, sound, files or the web",
            "judged_wrong": "the teacher does not stand by its answer",
        },
    ),
}  # value of ``kind`` of its pairs, and name of its prompt file -> kind of task

GENERATE_REASONS = {
    "request_failed": "the request failed after all retries",
    "cut_short": "the reply was cut before its end",
    "refused": "the teacher refused to answer",
    "unparsable": "the reply is not what was asked for",
    "nothing_of_the_kind": "the text has nothing for a pair of this kind",
    "not_answerable": "the teacher says that the chunk does not answer the question",
    "question_length": "the question has fewer than 4 or more than 40 words",
    "mentions_the_text": "the question speaks of the text that it was made from",
    "repeats_itself": "the question says a word three times",
    "duplicate_pair": "two chunks that overlap gave the same pair",
} | dict(chain.from_iterable(kind.reasons.items() for kind in TASK_KINDS.values()))
"""Reason -> line for a reader of the report: those of several kinds, then those of one."""


def shares_of(brief: Brief, settings: GenerateSettings, strength: Strength) -> dict[str, float]:
    """Return the share of each kind that a teacher writes of chunks, the first one for facts.

    A weak teacher writes facts alone. Kinds whose instruction the user gives need one.

    Raises:
        SettingsError: a share is of no kind, or no kind is left.
    """
    known = {name: kind for name, kind in TASK_KINDS.items() if kind.strong}
    if unknown := sorted(settings.kinds.keys() - known.keys()):
        raise SettingsError(
            f"generate.kinds: {', '.join(unknown)} found; expected names among "
            f"{', '.join(known)}; mend the name"
        )
    shares = {
        name: share
        for name, share in settings.kinds.items()
        if share > 0
        and known[name].writer(strength)
        and (not known[name].given or getattr(brief.task, name))
    }
    if not shares:
        raise SettingsError(
            f"generate.kinds: no kind is left that a {strength} teacher writes; expected one above "
            "0, such as fact = 1; kinds of an instruction need it in [task]"
        )
    return {"fact": shares.pop("fact"), **shares} if "fact" in shares else shares
