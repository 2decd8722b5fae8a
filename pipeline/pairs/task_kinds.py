"""The kinds of tasks that pairs are made of: one object each, for prompts, report and ledger.

A kind more is a function in a module of :mod:`pipeline.pairs.kinds` with its prompt file, an entry
of :data:`TASK_KINDS`, and its name among the kinds of a pair (``schemas/pairs.py``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from pipeline.core.errors import SettingsError
from pipeline.pairs.answer_first import answer_first, evidence_parts
from pipeline.pairs.chunk_order import Chunk, Part, parts_of, parts_with_another
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.abstention import PASSAGES, abstention
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.kinds.conversation import TURNS, conversation
from pipeline.pairs.kinds.given_instruction import given_instruction
from pipeline.pairs.kinds.question_first import question_first
from pipeline.pairs.kinds.self_instruct import self_instruct
from pipeline.pairs.teachers.teacher import Strength
from pipeline.settings import GenerateSettings


class ChunkWriter(NamedTuple):
    """How pairs of one kind are made of chunks."""

    write: Callable[..., Harvest]
    """Gets parts and :class:`.kinds.writing.Writing`."""
    requests: Callable[[int, GenerateSettings], float]
    """How many requests so many pairs of a chunk take, about."""
    parts: Callable[[Sequence[Chunk], Sequence[int]], Sequence[Part]] = parts_of
    """Gets the chunks of a document and how many pairs are wanted of each."""
    chunks: int = 1
    """Chunks that a request shows the teacher; 0: a sentence."""

    def fits(self, document: Sequence[Chunk]) -> bool:
        """Tell whether a document has the chunks of which a pair is made."""
        return self.parts is not parts_with_another or len(document) > 1


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A kind of task, and all that is known of it."""

    name: str
    """Value of ``kind`` of its pairs, and name of its prompt file."""
    about: str
    """What a pair of it is, for the report."""
    reasons: Mapping[str, str]
    """Why a candidate may become no pair -> a line for a reader of the report."""
    of_chunks: Mapping[Strength, ChunkWriter] = field(default_factory=dict)
    """How it is made of chunks, by the strength of the teacher; empty: of seed tasks alone."""
    of_seeds: Callable[..., Harvest] | None = None
    """How it is made of seed tasks: gets them and :class:`.kinds.writing.Writing`."""
    once: bool = False
    """Whether a chunk gives one pair of it at the most."""
    given: bool = False
    """Whether the user gives its instruction, in the setting of ``[task]`` with its name."""


_REPLIES = {
    "request_failed": "the request failed after all retries",
    "cut_short": "the reply was cut before its end",
    "refused": "the teacher refused to answer",
    "unparsable": "the reply is not what was asked for",
}
_QUESTIONS = _REPLIES | {
    "nothing_of_the_kind": "the text has nothing for a pair of this kind",
    "not_answerable": "the teacher says that the chunk does not answer the question",
    "question_length": "the question has fewer than 4 or more than 40 words",
    "mentions_the_text": "the question speaks of the text that it was made from",
    "repeats_itself": "the question says a word three times",
    "duplicate_pair": "two chunks that overlap gave the same pair",
}
_OF_TEXT = _REPLIES | {"nothing_of_the_kind": _QUESTIONS["nothing_of_the_kind"]}


def _asked(
    name: str, about: str, writer: ChunkWriter, weak: ChunkWriter | None = None, **more: str
) -> TaskKind:
    writers: dict[Strength, ChunkWriter] = {"strong": writer}
    if weak:
        writers["weak"] = weak
    return TaskKind(name, about, _QUESTIONS | more, writers)


def _given(name: str, about: str) -> TaskKind:
    writer = ChunkWriter(partial(given_instruction, name), lambda count, settings: 1.1 * count)
    return TaskKind(name, about, _OF_TEXT, {"strong": writer}, once=True, given=True)


def _one_by_one(count: int, settings: GenerateSettings) -> float:
    return 1 + count * (1 + settings.evolve)


TASK_KINDS: dict[str, TaskKind] = {
    kind.name: kind
    for kind in (
        _asked(
            "fact",
            "a question about a chunk, with an answer that stands in it",
            ChunkWriter(partial(question_first, "fact", evolves=True), _one_by_one),
            ChunkWriter(
                lambda parts, writing: answer_first(parts, writing.settings, writing.teacher),
                lambda count, settings: count * settings.questions_per_answer,
                evidence_parts,
                chunks=0,
            ),
            no_evidence="no sentence of the chunk can stand alone as an answer",
            round_trip_failed="no question leads back to the sentence it was asked for",
            answer_in_question="the question gives its answer away",
            question_not_grounded="the question brings in what the chunk does not say",
        ),
        _asked(
            "how_to",
            "how something is done: steps, commands, code",
            ChunkWriter(partial(question_first, "how_to", orders=True, evolves=True), _one_by_one),
        ),
        _asked(
            "comparison",
            "a question that needs two passages of a document",
            ChunkWriter(
                partial(question_first, "comparison", orders=True),
                lambda count, settings: 1 + count,
                parts_with_another,
                chunks=2,
            ),
        ),
        _asked(
            "summary",
            "a summary of a passage that stands in the question",
            ChunkWriter(
                partial(question_first, "summary", orders=True, with_text=True),
                lambda count, settings: 1 + count,
            ),
        ),
        TaskKind(
            "conversation",
            "several turns about a chunk, of which the last is the pair",
            _QUESTIONS,
            {"strong": ChunkWriter(conversation, lambda count, settings: 1 + TURNS)},
            once=True,
        ),
        _asked(
            "not_in_documents",
            "a question near to a chunk that no document answers, with a refusal",
            ChunkWriter(abstention, lambda count, settings: 1 + count, chunks=1 + PASSAGES // 2),
            answered_after_all="the documents do answer the question",
        ),
        _given("extraction", "data of a passage, as JSON that follows a schema"),
        _given("classification", "the label of a passage"),
        _given("rewriting", "a passage in the user's style"),
        TaskKind(
            "self_instruct",
            "a task like the seed tasks, answered by the teacher without a document",
            _REPLIES
            | {
                "like_another_task": "the task is nearly one that is there already",
                "not_for_text": "the task needs pictures, sound, files or the web",
                "judged_wrong": "the teacher does not stand by its answer",
            },
            of_seeds=self_instruct,
        ),
    )
}
"""Name -> kind of task."""

GENERATE_REASONS = {
    reason: line for kind in TASK_KINDS.values() for reason, line in kind.reasons.items()
}
"""Reason -> line, of all kinds."""


def shares_of(brief: Brief, settings: GenerateSettings, strength: Strength) -> dict[str, float]:
    """Return the share of each kind that a teacher writes of chunks, the first one for facts.

    A weak teacher writes facts alone. Kinds whose instruction the user gives need one.

    Raises:
        SettingsError: a share is of no kind, or no kind is left.
    """
    known = {name: kind for name, kind in TASK_KINDS.items() if kind.of_chunks}
    if unknown := sorted(settings.kinds.keys() - known.keys()):
        raise SettingsError(
            f"generate.kinds: {', '.join(unknown)} found; expected names among "
            f"{', '.join(known)}; mend the name"
        )
    shares = {
        name: share
        for name, share in settings.kinds.items()
        if strength in known[name].of_chunks
        and share > 0
        and (not known[name].given or getattr(brief.task, name))
    }
    if not shares:
        raise SettingsError(
            f"generate.kinds: no kind is left that a {strength} teacher writes; expected one above "
            "0, such as fact = 1; kinds of an instruction need it in [task]"
        )
    return {"fact": shares.pop("fact"), **shares} if "fact" in shares else shares
