"""Settings of the budget: what a generation may take."""

from typing import Annotated

from pydantic import Field

from pipeline.settings.base import Section

Limit = Annotated[float, Field(ge=0)]


class BudgetSettings(Section):
    """What the pairs of a data set may take; what is reached first ends the generation.

    It ends with the pairs that it has; a larger budget goes on from there. 0 is no limit. Tokens of
    kept replies count as well: the limits are of the data set, whatever a run had to ask anew.
    """

    tokens: Annotated[int, Field(ge=0)] = 0
    """Read and written."""
    cost: Limit = 0
    """In the currency of the prices."""
    minutes: Limit = 0
    """Of the clock."""
    price_read: Limit = 0
    """Of a million tokens of requests, as the provider says it."""
    price_written: Limit = 0
    """Of a million tokens of replies."""
