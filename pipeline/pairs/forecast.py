"""The price of a generation: requests, tokens, money and time, foreseen, told and limited."""

import math
import time
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from pipeline.core.progress import advance, announce
from pipeline.pairs.teachers.replies import Usage
from pipeline.settings import BudgetSettings

PASS = 0.84
"""Share of the candidates that passes the screens: 256 of the 303 of the samples."""
PROMPT_TOKENS = 120
"""Of a strong teacher's request beside its chunk."""


class Work(NamedTuple):
    """What asking one chunk takes, about."""

    pairs: int
    requests: float
    tokens: float
    """To read; 0 where a request does not hold the chunk."""


def cost_of(read: float, written: float, budget: BudgetSettings) -> float:
    """Return the price of so many tokens."""
    return (read * budget.price_read + written * budget.price_written) / 1_000_000


class Forecast:
    """What is to come of a generation, how far it is, and whether its budget lasts."""

    def __init__(
        self, work: Sequence[Work], target: int, budget: BudgetSettings, *, limited: bool, more: int
    ) -> None:
        """Count the work of all chunks that may be asked, and ``more`` requests at the end.

        ``target`` pairs are wanted; where they can be reached it is ``limited`` by them.
        """
        self._target, self._limited, self._budget = target, limited, budget
        self._chunks, self._candidates = len(work), sum(item.pairs for item in work)
        self._all = sum(item.requests for item in work)
        self._tokens = sum(item.tokens for item in work)
        self._share = min(1.0, target / PASS / self._candidates) if limited else 1.0
        self._done, self._asked, self._more = 0.0, 0, more
        self._began = time.monotonic()

    @property
    def budgeted(self) -> bool:
        """Whether a budget may end it."""
        return any((self._budget.tokens, self._budget.cost, self._budget.minutes))

    @property
    def pairs(self) -> int:
        """How many pairs will pass, about."""
        return self._target if self._limited else round(PASS * self._candidates)

    def announce(self) -> None:
        """Say what will be asked, and how to change it."""
        line = f"generate: about {self._total():,} requests"
        if self._tokens:
            line += f", {self._share * self._tokens:,.0f} tokens to read"
        if price := cost_of(self._share * self._tokens, 0, self._budget):
            line += f" for {price:,.2f}"
        chunks = f"all {self._chunks:,} chunks ({self._candidates:,} candidates)"
        if self._limited:
            line += (
                f", until {self._target:,} pairs pass; a smaller generate.target asks less, a "
                f"larger one or 0 up to {chunks}"
            )
        else:
            line += f" for {chunks}; a smaller generate.target asks less"
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
        minutes = (time.monotonic() - self._began) * share / 60
        return ", ".join([*parts, f"{minutes:,.1f} min"])

    def advance(self, work: Sequence[Work], passed: int) -> None:
        """Tell that chunks were asked, and how many pairs pass by now."""
        self._done += sum(item.requests for item in work)
        self._asked += len(work)
        pairs = f", {passed:,} of {self._target:,} pairs" if self._target else ""
        if self._limited and passed:
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
        budget, minutes = self._budget, (time.monotonic() - self._began) / 60
        spent = {
            "budget.tokens": (usage.read + usage.written, budget.tokens),
            "budget.cost": (cost_of(usage.read, usage.written, budget), budget.cost),
            "budget.minutes": (minutes, budget.minutes),
        }
        left = [(math.inf, "")]
        for setting, (used, limit) in spent.items():
            each = used / self._asked if self._asked else limit
            if limit and each:
                left.append(((limit - used) / each, setting))
        return min(left, key=itemgetter(0))

    def _total(self) -> int:
        return max(round(self._done), round(self._share * self._all)) + self._more
