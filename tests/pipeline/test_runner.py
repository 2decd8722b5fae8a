"""Runners: this process and worker processes give the same answers."""

from functools import partial

import polars as pl

from pipeline.core.runner import Inline, Processes, open_runner
from pipeline.core.workers import Failed, Limits, workers_are_kept
from pipeline.documents.parallel import spread
from tests.pipeline import crashing

LIMITS = Limits(seconds=30.0, megabytes=400.0)
FEW_WORDS = pl.DataFrame({"doc_id": ["a"], "source": ["a.md"], "text": ["A few words."]})


def test_an_item_that_raises_costs_itself_in_this_process_too():
    call = partial(crashing.go_wrong, fates={3: "raise"})
    here, there = [
        list(runner.guarded(call, range(9), LIMITS)) for runner in (Inline(), Processes(2))
    ]
    assert here == there
    assert here[3] == Failed("error", "ValueError: no such thing")


def test_calls_are_answered_in_their_order_whoever_answers():
    calls = [(number,) for number in range(50)]
    expected = [number**2 for number in range(50)]
    assert list(Inline().each(crashing.square, calls)) == expected
    assert list(Processes(3).each(crashing.square, calls)) == expected


def test_light_work_starts_no_worker_unless_some_wait(monkeypatch):
    import os

    def spread_over(runner):
        [(_, answer)] = spread("clean", runner, pid, FEW_WORDS, dropped, **LIMITS._asdict())
        return answer

    dropped = []
    assert spread_over(Processes(1)) == os.getpid()
    with open_runner("processes", 1, "") as runner:
        assert workers_are_kept()
        assert spread_over(runner) != os.getpid()
    with open_runner("inline", 0, "") as runner:
        [alone] = runner.guarded(pid, [0], LIMITS)
        assert alone.value == os.getpid()
    assert not dropped


def pid(_: object) -> int:
    import os

    return os.getpid()
