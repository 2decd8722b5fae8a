"""Splits, seed tasks, pairs from candidate to settled, reviews, and training examples."""

from typing import ClassVar

import pandera.polars as pa
import polars as pl

from schemas.base import ID, TURNS, Table

SPLITS = ["train", "validation", "test"]


class GoldRows(Table):
    """A question with an answer that an expert wrote, and what of the corpus answers it."""

    pair_id: str = pa.Field(str_matches=ID, unique=True)
    question: str
    input: str
    answer: str
    doc_id: str  # empty: no document was named, and none was found
    chunk_id: str  # the chunk of the document with most of its words; empty when none has any


class Splits(Table, version=3):
    """One row a surviving document, or one a chunk; decided before any pair is generated."""

    class Config(Table.Config):
        """A document has one row, or one for each of its chunks."""

        unique: ClassVar = ["doc_id", "chunk_id"]

    doc_id: str  # empty: a gold row without a document
    chunk_id: str  # empty: the whole document; of a gold row without a document its ``pair_id``
    unit_id: str = pa.Field(str_matches=ID)  # of the document or section, the same in each run
    cluster_id: str = pa.Field(str_matches=ID)  # of the family that shares content
    split: str = pa.Field(isin=SPLITS)

    @classmethod
    def upgrade(cls, frame: pl.DataFrame, version: int) -> pl.DataFrame | None:
        """Version 1 had documents as a whole alone, version 2 no families."""
        added = {"chunk_id": pl.lit("")} if version == 1 else {}
        return frame.with_columns(unit_id="cluster_id", **added) if version in (1, 2) else None


ORIGINS = ["gold", "grounded", "self_instruct", "rows", "traffic"]
KINDS = [
    "fact", "how_to", "comparison", "summary", "conversation", "not_in_documents", "extraction",
    "classification", "rewriting", "self_instruct",
]  # fmt: skip


class SeedTasks(Table):
    """A task written by a person to start self-instruct from."""

    seed_task_id: str = pa.Field(unique=True)
    name: str
    instruction: str = pa.Field(str_length={"min_value": 3})
    input: str
    output: str = pa.Field(str_length={"min_value": 1})
    is_classification: bool


class Pairs(Table, version=2):
    """An instruction with its response and where it came from."""

    pair_id: str = pa.Field(str_matches=ID, unique=True)  # hash of its content, document, origin
    instruction: str
    input: str
    response: str
    evidence: str  # the sentence of the chunk that the response rests on; empty when there is none
    chunk_id: str  # empty for self-instruct and gold pairs
    doc_id: str  # empty for self-instruct pairs
    seed_task_id: str  # those in the prompt, joined by spaces; empty for the other origins
    generator: str  # name of the teacher, or of the file for gold pairs
    prompt_version: str
    origin: str = pa.Field(isin=ORIGINS)
    kind: str = pa.Field(isin=["", *KINDS])  # kind of task; empty for what a person wrote
    history: TURNS  # type: ignore[valid-type]  # turns before the instruction; mostly none
    other_chunk_id: str  # a second chunk that the response rests on; mostly empty
    score: float = pa.Field(nullable=True)  # nats a token that the question adds to the response

    @classmethod
    def upgrade(cls, frame: pl.DataFrame, version: int) -> pl.DataFrame | None:
        """Version 1 had facts, self-instruct tasks and gold rows of one turn."""
        if version != 1:
            return None
        kinds = {"grounded": "fact", "self_instruct": "self_instruct", "gold": ""}
        return frame.with_columns(
            kind=pl.col("origin").replace_strict(kinds, return_dtype=pl.String),
            history=pl.lit([], TURNS),
            other_chunk_id=pl.lit(""),
        )


class ScreenedPairs(Pairs):
    """A pair that passed every screen, with the split of its document."""

    split: str = pa.Field(isin=SPLITS)
    cluster_id: str  # of its document; a self-instruct pair is a cluster of its own


STATUSES = ["gold", "accepted", "edited", "unreviewed"]


class SettledPairs(ScreenedPairs, version=3):
    """A pair that may be used, and on whose word."""

    status: str = pa.Field(isin=STATUSES)
    original_instruction: str = pa.Field(nullable=True)  # the teacher's, when it was edited
    original_response: str = pa.Field(nullable=True)  # the teacher's, when it was edited
    reviewer: str = pa.Field(nullable=True)

    @classmethod
    def upgrade(cls, frame: pl.DataFrame, version: int) -> pl.DataFrame | None:
        """Earlier versions had edited responses alone."""
        earlier = super().upgrade(frame, version) if version == 1 else frame
        if earlier is None:
            return None
        return earlier.with_columns(original_instruction=pl.lit(None, pl.String))


class Examples(Table):
    """A training or test row: chat messages that end with the response."""

    pair_id: str = pa.Field(str_matches=ID, unique=True)
    doc_id: str
    cluster_id: str
    split: str = pa.Field(isin=SPLITS)
    origin: str = pa.Field(isin=[*ORIGINS, "replay"])  # replay: by the base model; train alone
    status: str = pa.Field(isin=STATUSES)
    messages: TURNS  # type: ignore[valid-type]


VERDICTS = ["accept", "edit", "reject", "skip"]
FLAGS = [
    "not_grounded", "wrong", "unclear_question", "incomplete", "duplicate", "unsafe",
    "personal_data",
]  # fmt: skip


class Reviews(Table, version=2):
    """One decision of one reviewer on one pair; a skip is an abstention, never a reject."""

    pair_id: str = pa.Field(str_matches=ID)
    verdict: str = pa.Field(isin=VERDICTS)
    edited_instruction: str = pa.Field(nullable=True)  # with ``edit`` only; null when it stays
    edited_response: str = pa.Field(nullable=True)  # with ``edit`` only; null when it stays
    flags: pl.List(pl.String)  # type: ignore[valid-type]  # of FLAGS; one or more with ``reject``
    note: str
    reviewer: str = pa.Field(str_length={"min_value": 1})
    seconds: float = pa.Field(nullable=True)  # in front of the reviewer; null where not measured
    decided_at: str  # UTC, ISO 8601

    @classmethod
    def upgrade(cls, frame: pl.DataFrame, version: int) -> pl.DataFrame:
        """Version 1 had edited responses alone, and no times."""
        return frame.with_columns(
            edited_instruction=pl.lit(None, pl.String), seconds=pl.lit(None, pl.Float64)
        )
