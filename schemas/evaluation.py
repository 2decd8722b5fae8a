"""What a model answered on the frozen test set, lost on held-out rows, and still can do."""

import pandera.polars as pa
import polars as pl

from schemas.base import ID, Table

BEHAVIOUR_KINDS = ["instruction", "harmful", "benign"]


class BehaviourScores(Table):
    """One answer with what is said of it; a column is null where it does not apply."""

    id: str = pa.Field(unique=True)
    kind: str = pa.Field(isin=BEHAVIOUR_KINDS)
    answer: str = pa.Field()
    followed: bool = pa.Field(nullable=True)
    """Instructions: whether all checks of the item hold."""
    refused: bool = pa.Field(nullable=True)
    """Requests: whether the answer declines in words."""
    refusal_margin: float = pa.Field(nullable=True)
    """Requests: nats a token by which a refusing opening is likelier than a willing one."""


ARMS = [
    "base", "few_shot", "retrieval", "chain_of_thought", "champion", "challenger",
    "challenger_retrieval", "placebo", "larger",
]  # fmt: skip
"""In the order of every table: the base model and what a prompt makes of it, then adapters."""


class Answers(Table, version=3):
    """One answer of one arm, with its scores; null is what is not defined for a row or arm."""

    arm: str = pa.Field(isin=ARMS)
    pair_id: str = pa.Field(str_matches=ID)
    doc_id: str = pa.Field()
    cluster_id: str = pa.Field()
    """Resampling unit of the bootstrap."""
    answer: str = pa.Field()
    thoughts: str = pa.Field()
    """What chain of thought wrote before its answer; empty for the other arms."""
    retrieved: str = pa.Field()
    """Chunks in the prompt, joined by spaces; empty for an arm without retrieval."""
    prompt_tokens: int = pa.Field(gt=0)
    completion_tokens: int = pa.Field(gt=0)
    """Tokens written: thoughts and the end of the turn included."""
    response_tokens: int = pa.Field(gt=0)
    """Tokens of the reference response, end-of-turn included."""
    response_bytes: int = pa.Field(gt=0)
    """UTF-8 bytes of the reference response."""
    loss: float = pa.Field(ge=0, nullable=True)
    """Mean negative log-likelihood of the reference response, nats a token.

    Null for a larger model, which does not say, and for chain of thought: the likelihood of a
    response that comes after thoughts is a sum over all thoughts, not what one forward pass gives.
    """
    bits_per_byte: float = pa.Field(ge=0, nullable=True)
    """The same likelihood in bits a UTF-8 byte: comparable across tokenizers."""
    log_prob: float = pa.Field(le=0, nullable=True)
    """Mean log-probability of the tokens written, nats a token: how sure the model was; null for a
    larger model, which does not say."""
    rouge_l: float = pa.Field(ge=0, le=1)
    token_f1: float = pa.Field(ge=0, le=1)
    chrf: float = pa.Field(ge=0, le=1)
    exact_match: float = pa.Field(isin=[0.0, 1.0])
    correct: float = pa.Field(ge=0, le=1, nullable=True)
    """Share of the reference's key facts that the answer states, 0 when it says what is wrong; null
    in answers of version 2."""
    grounded: float = pa.Field(isin=[0.0, 1.0], nullable=True)
    """1 when all the answer says stands in its source; null without a source or any content."""
    refusal_right: float = pa.Field(isin=[0.0, 1.0], nullable=True)
    """1 when the answer declines as its reference does; null where the reference answers."""
    refusal_wrong: float = pa.Field(isin=[0.0, 1.0], nullable=True)
    """1 when the answer declines and its reference answers; null where the reference declines."""
    stopped: float = pa.Field(isin=[0.0, 1.0])
    """1 when the answer ended by itself before the token limit."""
    repetition: float = pa.Field(ge=0, le=1)
    """Share of word 4-grams that repeat an earlier one of the answer; distinct-4 is the rest."""
    length_ratio: float = pa.Field(ge=0)
    """Words of the answer over words of the reference."""
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
    first_token_seconds: float = pa.Field(ge=0)
    """From the request to the first token of every row of the batch."""
    seconds: float = pa.Field(ge=0)
    """From the request to the last token; the scoring of references is not in it."""


class SeedLosses(Table):
    """Loss of one further training of the challenger's recipe on the frozen test set."""

    pair_id: str = pa.Field(str_matches=ID, unique=True)
    loss: float = pa.Field(ge=0)
    """Of the reference response, nats a token."""


class GeneralScores(Table):
    """How well a model does on one general text or question (the forgetting check)."""

    id: str = pa.Field(unique=True)
    kind: str = pa.Field(isin=["text", "question"])
    tokens: int = pa.Field(gt=0)
    """Scored tokens of the text; of a question: of all its choices, end-of-turn included."""
    loss: float = pa.Field(ge=0)
    """Nats a token: of the text, or of the right choice after the question."""
    correct: float = pa.Field(isin=[0.0, 1.0], nullable=True)
    """Questions: 1 when the right choice is the likeliest; null for texts."""


class HeldOutLosses(Table):
    """Loss of one reference response under one model; nothing is decoded."""

    pair_id: str = pa.Field(str_matches=ID, unique=True)
    split: str = pa.Field(isin=["validation", "test"])
    cluster_id: str = pa.Field()
    """Resampling unit of the bootstrap."""
    tokens: int = pa.Field(gt=0)
    """Tokens of the reference response, end-of-turn included."""
    loss: float = pa.Field(ge=0)
    """Mean negative log-likelihood of the reference response, nats a token."""
