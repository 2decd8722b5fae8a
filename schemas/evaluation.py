"""What a model answered on the frozen test set, row by row."""

import pandera.polars as pa

from schemas.base import ID, Table

ARMS = ["base", "few_shot", "champion", "challenger"]


class Answers(Table):
    """One answer of one arm, with its scores."""

    arm: str = pa.Field(isin=ARMS)
    pair_id: str = pa.Field(str_matches=ID)
    doc_id: str = pa.Field()
    cluster_id: str = pa.Field()
    """Resampling unit of the bootstrap."""
    answer: str = pa.Field()
    response_tokens: int = pa.Field(gt=0)
    """Tokens of the reference response, end-of-turn included."""
    loss: float = pa.Field(ge=0)
    """Mean negative log-likelihood of the reference response, nats a token."""
    rouge_l: float = pa.Field(ge=0, le=1)
    token_f1: float = pa.Field(ge=0, le=1)
    exact_match: float = pa.Field(isin=[0.0, 1.0])
    stopped: float = pa.Field(isin=[0.0, 1.0])
    """1 when the answer ended by itself before the token limit."""


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
