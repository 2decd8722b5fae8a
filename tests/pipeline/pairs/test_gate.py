"""The search for how many requests at once: simulated servers, random delays, no clock."""

import heapq
import random
import statistics

import pytest

from pipeline.pairs.teachers import gate

MOST, REPLIES, SIGMA = 64, 1500, 0.8
"""Places, replies of a simulation, spread of their lognormal times."""


def limit_found(capacity, seed, monkeypatch):
    """Return the limit at the end, beside a server that works on ``capacity`` requests at once."""
    draw, now, busy, queued = random.Random(seed), 0.0, [], 0
    monkeypatch.setattr(gate.time, "monotonic", lambda: now)
    found = gate.Gate(MOST)

    def work():
        heapq.heappush(busy, now + draw.lognormvariate(-(SIGMA**2) / 2, SIGMA))

    for _ in range(REPLIES):
        while len(busy) + queued < int(found.limit):
            found.__enter__()
            if len(busy) < capacity:
                work()
            else:
                queued += 1
        found._waiting = 1  # there is always a request more
        now = heapq.heappop(busy)
        found.__exit__(None, None, None)
        found._waiting = 0
        if queued:
            queued -= 1
            work()
    return found.limit


@pytest.mark.parametrize(("capacity", "least", "most"), [(1000, 64, 64), (4, 8, 20), (1, 8, 20)])
def test_replies_of_unlike_length_neither_end_the_search_nor_lead_it_on(
    capacity, least, most, monkeypatch
):
    limits = [limit_found(capacity, seed, monkeypatch) for seed in range(30)]
    assert least <= statistics.median(limits) <= most
