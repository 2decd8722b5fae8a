"""How a model behaves on general instructions and on harmful and harmless requests."""

import pandera.polars as pa

from schemas.base import Table

KINDS = ["instruction", "harmful", "benign"]


class BehaviourScores(Table):
    """One answer with what is said of it; a column is null where it does not apply."""

    id: str = pa.Field(unique=True)
    kind: str = pa.Field(isin=KINDS)
    answer: str = pa.Field()
    followed: bool = pa.Field(nullable=True)
    """Instructions: whether all checks of the item hold."""
    refused: bool = pa.Field(nullable=True)
    """Requests: whether the answer declines in words."""
    refusal_margin: float = pa.Field(nullable=True)
    """Requests: nats a token by which a refusing opening is likelier than a willing one."""
