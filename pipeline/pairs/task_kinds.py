"""The kinds of tasks that pairs are made of: one object each, for prompts, report and ledger.

A kind more is a function in a module of this package, an entry of :data:`TASK_KINDS`, and its
name among the origins of a pair (``schemas/pairs.py``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.pairs.answer_first import answer_first, evidence_parts
from pipeline.pairs.chunk_order import Chunk, Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.question_first import parts_of, question_first
from pipeline.pairs.self_instruct import self_instruct
from pipeline.pairs.teachers.teacher import Strength
from pipeline.settings import GenerateSettings


class ChunkWriter(NamedTuple):
    """How pairs are made of chunks."""

    parts: Callable[[Sequence[Chunk], Sequence[int]], Sequence[Part]]
    """Gets the chunks of a document and how many pairs are wanted of each."""
    write: Callable[..., Harvest]
    """Gets parts, the section ``generate`` and a teacher."""
    requests: Callable[[int, GenerateSettings], int]
    """How many requests so many pairs of a chunk take, about."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A kind of task, and all that is known of it."""

    name: str
    """Origin of its pairs."""
    about: str
    """What a pair of it is, for the report."""
    reasons: Mapping[str, str]
    """Why a candidate may become no pair -> a line for a reader of the report."""
    of_chunks: Mapping[Strength, ChunkWriter] = field(default_factory=dict)
    """How it is made of chunks, by the strength of the teacher; empty: of seed tasks alone."""
    of_seeds: Callable[..., Harvest] | None = None
    """How it is made of seed tasks: gets them, the section ``generate`` and a teacher."""


_REPLIES = {
    "request_failed": "the request failed after all retries",
    "cut_short": "the reply was cut before its end",
    "refused": "the teacher refused to answer",
    "unparsable": "the reply is not what was asked for",
}

TASK_KINDS: dict[str, TaskKind] = {
    kind.name: kind
    for kind in (
        TaskKind(
            "grounded",
            "a question about a chunk, with an answer that stands in it",
            _REPLIES
            | {
                "no_evidence": "no sentence of the chunk can stand alone as an answer",
                "not_answerable": "the teacher says that the chunk does not answer the question",
                "round_trip_failed": "no question leads back to the sentence it was asked for",
                "question_length": "the question has fewer than 4 or more than 40 words",
                "mentions_the_text": "the question speaks of the text that it was made from",
                "repeats_itself": "the question says a word three times",
                "answer_in_question": "the question gives its answer away",
                "question_not_grounded": "the question brings in what the chunk does not say",
                "duplicate_pair": "two chunks that overlap gave the same pair",
            },
            of_chunks={
                "weak": ChunkWriter(
                    evidence_parts,
                    answer_first,
                    lambda count, settings: count * settings.questions_per_answer,
                ),
                "strong": ChunkWriter(parts_of, question_first, lambda count, settings: count + 1),
            },
        ),
        TaskKind(
            "self_instruct",
            "a task like the seed tasks, answered by the teacher without a document",
            _REPLIES,
            of_seeds=self_instruct,
        ),
    )
}
"""Name -> kind of task."""

GENERATE_REASONS = {
    reason: line for kind in TASK_KINDS.values() for reason, line in kind.reasons.items()
}
"""Reason -> line, of all kinds."""
