"""The price of a generation: requests, tokens, money and time, foreseen, told and limited."""

import math
import time
from collections.abc import Sequence
from operator import itemgetter

from pipeline.core.progress import advance, announce
from pipeline.pairs.chunk_order import Unit
from pipeline.pairs.teachers.replies import Usage
from pipeline.settings import BudgetSettings

PASS = 0.84  # share of the candidates that passes the screens: 256 of the 303 of the samples
MOST_PASS = 0.95
"""Share of the candidates that passes the screens at the most. A target above it is out of reach:
all chunks are asked then, document by document, in batches that no target changes."""
PROMPT_TOKENS = 120  # of a strong teacher's request beside its chunk


def cost_of(read: float, written: float, budget: BudgetSettings) -> float:
    """Return the price of so many tokens."""
    return (read * budget.price_read + written * budget.price_written) / 1_000_000


class Forecast:
    """What is to come of a generation, how far it is, and whether its budget lasts.

    ``target`` pairs are wanted; where they can be reached it is ``limited`` by them. Behind the
    chunks come ``more`` requests. A budget that is set may end it (``budgeted``).
    """

    def __init__(
        self, units: Sequence[Unit], target: int, budget: BudgetSettings, more: int
    ) -> None:
        self._target, self._budget = target, budget
        self._chunks, self._candidates = len(units), sum(unit.pairs for unit in units)
        self.limited = 0 < target < MOST_PASS * self._candidates
        self.budgeted = any((budget.tokens, budget.cost, budget.minutes))
        self._all = sum(unit.requests for unit in units)
        self._tokens = sum(unit.tokens for unit in units)
        self._share = min(1.0, target / PASS / self._candidates) if self.limited else 1.0
        self._done, self._asked, self._more = 0.0, 0, more
        self._began = time.monotonic()

    @property
    def pairs(self) -> int:
        """How many pairs will pass, about."""
        return self._target if self.limited else round(PASS * self._candidates)

    def announce(self) -> None:
        """Say what will be asked, and how to change it."""
        tokens = self._share * self._tokens
        line = f"generate: about {self._total():,} requests"
        line += f", {tokens:,.0f} tokens to read" if tokens else ""
        if price := cost_of(tokens, 0, self._budget):
            line += f" for {price:,.2f}"
        chunks = f"all {self._chunks:,} chunks ({self._candidates:,} candidates)"
        fewer = "a smaller generate.target asks less"
        if self.limited:
            line += (
                f", until {self._target:,} pairs pass; {fewer}, a larger one or 0 up to {chunks}"
            )
        else:
            line += f" for {chunks}; {fewer}"
        announce(line)
        advance(0, self._total(), "requests")

    def price(self, usage: Usage) -> str:
        """Return what all takes if it goes on as it began, as people read it.

        Of the teacher's usage so far, replies from the cache have their tokens and no time.
        """
        budget, share = self._budget, self._total() / max(1.0, self._done)
        read, written = share * usage.read, share * usage.written
        parts = [f"about {self._total():,} requests"]
        if read or written:
            parts.append(f"{read:,.0f} tokens read and {written:,.0f} written")
        if budget.price_read or budget.price_written:
            parts.append(f"{cost_of(read, written, budget):,.2f} at the prices of [budget]")
        return ", ".join([*parts, f"{share * self._minutes():,.1f} min"])

    def advance(self, units: Sequence[Unit], passed: int) -> None:
        """Tell that chunks were asked, and how many pairs pass by now."""
        self._done += sum(unit.requests for unit in units)
        self._asked += len(units)
        pairs = f", {passed:,} of {self._target:,} pairs" if self._target else ""
        if self.limited and passed:
            self._share = min(1.0, self._done * self._target / passed / self._all)
        advance(round(self._done), self._total(), f"requests{pairs}")

    def end(self) -> None:
        """Tell that all is done."""
        done = round(self._done) + self._more
        advance(done, done, "requests")

    def room(self, usage: Usage) -> tuple[float, str]:
        """Return how many chunks more the budget lasts for, and the setting that limits it.

        By what a chunk took so far; before any was asked, one.
        """
        spent = {
            "tokens": usage.read + usage.written,
            "cost": cost_of(usage.read, usage.written, self._budget),
            "minutes": self._minutes(),
        }
        left = [(math.inf, "")]
        for name, used in spent.items():
            limit = getattr(self._budget, name)
            each = used / self._asked if self._asked else limit
            if limit and each:
                left.append(((limit - used) / each, f"budget.{name}"))
        return min(left, key=itemgetter(0))

    def _minutes(self) -> float:
        return (time.monotonic() - self._began) / 60

    def _total(self) -> int:
        return max(round(self._done), round(self._share * self._all)) + self._more
