"""What a model answered on the frozen test set, lost on held-out rows, and still can do."""

import pandera.polars as pa
import polars as pl

from schemas.base import ID, Table

BEHAVIOUR_KINDS = ["instruction", "harmful", "benign"]


class BehaviourScores(Table):
    """One answer with what is said of it; a column is null where it does not apply."""

    id: str = pa.Field(unique=True)
    kind: str = pa.Field(isin=BEHAVIOUR_KINDS)
    answer: str
    followed: bool = pa.Field(nullable=True)  # instructions: whether all checks of the item hold
    refused: bool = pa.Field(nullable=True)  # requests: whether the answer declines in words
    refusal_margin: float = pa.Field(nullable=True)  # requests: nats a token for refusing


ARMS = [
    "base", "few_shot", "retrieval", "chain_of_thought", "champion", "challenger",
    "challenger_retrieval", "placebo", "larger",
]  # fmt: skip
"""In the order of every table: the base model and what a prompt makes of it, then adapters."""


class Answers(Table, version=3):
    """One answer of one arm, with its scores; null is what is not defined for a row or arm."""

    arm: str = pa.Field(isin=ARMS)
    pair_id: str = pa.Field(str_matches=ID)
    doc_id: str
    cluster_id: str  # resampling unit of the bootstrap
    answer: str
    thoughts: str  # what chain of thought wrote before its answer; empty for the other arms
    retrieved: str  # chunks in the prompt, joined by spaces; empty for an arm without retrieval
    prompt_tokens: int = pa.Field(gt=0)
    completion_tokens: int = pa.Field(gt=0)  # written, thoughts and end-of-turn included
    response_tokens: int = pa.Field(gt=0)  # tokens of the reference response, end-of-turn included
    response_bytes: int = pa.Field(gt=0)  # UTF-8 bytes of the reference response
    loss: float = pa.Field(ge=0, nullable=True)
    """Of the reference response, nats a token; null for a larger model, which does not say, and for
    chain of thought: behind thoughts the likelihood is a sum over all thoughts."""
    bits_per_byte: float = pa.Field(ge=0, nullable=True)  # the same in bits a UTF-8 byte
    log_prob: float = pa.Field(le=0, nullable=True)
    """Mean of the tokens written, nats a token: how sure the model was; null for a larger model."""
    rouge_l: float = pa.Field(ge=0, le=1)
    token_f1: float = pa.Field(ge=0, le=1)
    chrf: float = pa.Field(ge=0, le=1)
    exact_match: float = pa.Field(isin=[0.0, 1.0])
    correct: float = pa.Field(ge=0, le=1, nullable=True)
    """Share of the reference's key facts stated, 0 when something wrong is; null in version 2."""
    grounded: float = pa.Field(isin=[0.0, 1.0], nullable=True)
    """1 when all the answer says stands in its source; null without a source or any content."""
    refusal_right: float = pa.Field(isin=[0.0, 1.0], nullable=True)  # 1: declines as the reference
    refusal_wrong: float = pa.Field(isin=[0.0, 1.0], nullable=True)  # 1: declines for no reason
    stopped: float = pa.Field(isin=[0.0, 1.0])  # 1 when it ended before the token limit
    repetition: float = pa.Field(ge=0, le=1)  # share of word 4-grams that repeat an earlier one
    length_ratio: float = pa.Field(ge=0)  # words of the answer over words of the reference
    found_document: float = pa.Field(isin=[0.0, 1.0], nullable=True)
    """1 when a chunk in the prompt is of the row's own document; null without retrieval."""

    @classmethod
    def upgrade(cls, frame: pl.DataFrame, version: int) -> pl.DataFrame | None:
        """Version 2 had no correctness."""
        return frame.with_columns(correct=pl.lit(None, pl.Float64)) if version == 2 else None


class AnswerTimings(Table):
    """How long one batch of answers took; no part of a data set's content."""

    rows: int = pa.Field(gt=0)
    prompt_tokens: int = pa.Field(gt=0)
    completion_tokens: int = pa.Field(gt=0)
    first_token_seconds: float = pa.Field(ge=0)  # until each row has its first token
    seconds: float = pa.Field(ge=0)  # until the last token; no scoring of references


class GeneralScores(Table):
    """How well a model does on one general text or question (the forgetting check)."""

    id: str = pa.Field(unique=True)
    kind: str = pa.Field(isin=["text", "question"])
    tokens: int = pa.Field(gt=0)  # scored; of a question in all its choices, end-of-turn included
    loss: float = pa.Field(ge=0)  # nats a token, of the text or the right choice
    correct: float = pa.Field(isin=[0.0, 1.0], nullable=True)  # null for texts


class HeldOutLosses(Table):
    """Loss of one reference response under one model; nothing is decoded."""

    pair_id: str = pa.Field(str_matches=ID, unique=True)
    split: str = pa.Field(isin=["validation", "test"])
    cluster_id: str  # resampling unit of the bootstrap
    tokens: int = pa.Field(gt=0)  # tokens of the reference response, end-of-turn included
    loss: float = pa.Field(ge=0)  # of the reference response, nats a token
