"""Worker processes: order, limits, and one bad item costs one item."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest

from pipeline.core import workers
from pipeline.core.workers import Done, Failed, Limits, keeping_workers, map_in_processes
from tests.pipeline import crashing

LIMITS = Limits(seconds=30.0, megabytes=400.0)


def wrong(fates: dict[int, str], count: int = 40, workers: int = 2, seconds: float = 30):
    """Map with some items going wrong; return the failures by item, all else checked."""
    answers = list(
        map_in_processes(
            partial(crashing.go_wrong, fates=fates),
            range(count),
            workers=workers,
            limits=Limits(seconds, 400),
        )
    )
    assert len(answers) == count
    failures = {}
    for item, answer in enumerate(answers):
        if isinstance(answer, Failed):
            failures[item] = answer
        else:
            assert answer == Done(item)
    return failures


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_answers_come_in_the_order_of_the_items(workers: int):
    answers = map_in_processes(crashing.square, range(3000), workers=workers, limits=LIMITS)
    assert [answer.value for answer in answers] == [number**2 for number in range(3000)]


def test_no_items_need_no_worker():
    assert list(map_in_processes(crashing.square, [], workers=2, limits=LIMITS)) == []


def test_large_items_and_answers_do_not_block_each_other():
    texts = [f"{number} " * 300_000 for number in range(40)]
    answers = map_in_processes(crashing.backwards, texts, workers=2, limits=LIMITS)
    assert [answer.value for answer in answers] == [text[::-1] for text in texts]


def test_answers_that_wait_for_an_older_one_are_few(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "AHEAD_BYTES", 100_000)
    most = 0
    note = workers._Crew.answer

    def noting(crew, position, answer, size=0):
        nonlocal most
        note(crew, position, answer, size)
        most = max(most, crew.held)

    monkeypatch.setattr(workers._Crew, "answer", noting)
    texts = [str(number) * 20_000 for number in range(10)] * 20
    call = partial(crashing.slow_first, first=texts[0], seconds=1)
    answers = map_in_processes(call, texts, workers=2, limits=LIMITS)
    assert [answer.value for answer in answers] == texts
    assert 100_000 < most < 100_000 + 20_000 * (2 * workers.BATCH)


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        ("exit", "crash"),
        ("segfault", "crash"),
        ("flood", "memory"),
        ("native flood", "memory"),
        ("raise", "error"),
        ("quit", "error"),
    ],
)
def test_whatever_an_item_does_costs_that_item_alone(fate: str, reason: str):
    failures = wrong({0: fate, 5: fate, 6: fate, 39: fate})
    assert {item: failure.reason for item, failure in failures.items()} == dict.fromkeys(
        (0, 5, 6, 39), reason
    )


@pytest.mark.parametrize("fate", ["hang", "sleep"])
def test_time_is_up_even_when_python_is_not_asked(fate: str):
    failures = wrong({3: fate, 4: fate}, seconds=1)
    assert failures == dict.fromkeys((3, 4), Failed("timeout", "not done in time", 1, 1))


def test_all_fates_at_once_give_the_same_for_any_number_of_workers():
    kinds = ["exit", "segfault", "flood", "sleep", "raise", "quit"]
    fates = {7 * number: fate for number, fate in enumerate(kinds * 2)}
    found = [
        {item: failure.reason for item, failure in wrong(fates, 100, workers, 1).items()}
        for workers in (1, 2, 3)
    ]
    assert found[0] == found[1] == found[2]
    assert sorted(found[0]) == sorted(fates)


def test_an_item_does_not_pay_for_the_memory_of_those_before():
    answers = map_in_processes(crashing.leak, range(30), workers=1, limits=LIMITS)
    assert [answer.value for answer in answers] == list(range(30))


def test_workers_import_the_function_and_little_else():
    names = ["torch", "prefect", "polars", "numpy", "pytest", "flows"]
    [answer] = map_in_processes(crashing.loaded, [names], workers=1, limits=LIMITS)
    assert answer == Done([])


def test_a_function_that_cannot_be_imported_blames_no_item():
    with pytest.raises(RuntimeError, match=r"worker process: .*(Error|code)"):
        list(map_in_processes(_Unloadable(), [1], workers=1, limits=LIMITS))


class _Unloadable:
    def __reduce__(self):
        return (int, ("no number",))


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "pipeline.core.worker_process" in " ".join(child.cmdline())
    ]


def test_workers_end_when_the_iterator_is_closed():
    answers = map_in_processes(
        partial(crashing.go_wrong, fates={1: "hang"}), range(9), workers=2, limits=LIMITS
    )
    assert next(answers) == Done(0)
    until = time.monotonic() + 30  # the second worker may still be starting
    while len(children()) < 4 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(children()) == 4, "each with the small process that watches it"
    answers.close()
    assert children() == []


def number_of(_: int) -> int:
    return os.getpid()


def test_workers_are_passed_on_inside_the_block_alone():
    with keeping_workers():
        first = {
            one.value for one in map_in_processes(number_of, range(99), workers=2, limits=LIMITS)
        }
        again = {
            one.value for one in map_in_processes(number_of, range(99), workers=2, limits=LIMITS)
        }
        assert again <= first
        with keeping_workers():
            assert set(map_in_processes(crashing.square, [3], workers=1, limits=LIMITS)) == {
                Done(9)
            }
        assert len(children()) == 4
    assert children() == []
    later = {one.value for one in map_in_processes(number_of, range(99), workers=2, limits=LIMITS)}
    assert later.isdisjoint(first)


def test_workers_that_start_with_the_block_are_those_of_its_first_call():
    with keeping_workers(2):
        early = children()
        assert len(early) >= 2
        assert all(map_in_processes(number_of, range(99), workers=2, limits=LIMITS))
        assert set(early) <= set(children())
        assert len(children()) == 4, "nobody else was hired"
    assert children() == []


def test_limits_are_those_of_the_call_whoever_works_for_it():
    with keeping_workers():
        assert wrong({}) == {}
        assert wrong({3: "hang"}, seconds=1) == {3: Failed("timeout", "not done in time", 1, 1)}
        failures = wrong({0: "flood", 3: "native flood"})
        assert {failure.reason for failure in failures.values()} == {"memory"}


def test_a_worker_that_held_much_is_not_passed_on_to_a_lower_limit():
    with keeping_workers():
        many = LIMITS._replace(megabytes=2000.0)
        (first,) = map_in_processes(held_much, [0], workers=1, limits=many)
        (second,) = map_in_processes(number_of, [0], workers=1, limits=many)
        (third,) = map_in_processes(number_of, [0], workers=1, limits=LIMITS)
        assert first == second != third


def held_much(_: int) -> int:
    assert len(bytes(500_000_000).replace(b"\0", b"1")) == 500_000_000
    return os.getpid()


def test_a_kept_worker_that_died_is_replaced():
    with keeping_workers():
        (first,) = map_in_processes(number_of, [0], workers=1, limits=LIMITS)
        os.kill(first.value, signal.SIGKILL)
        (second,) = map_in_processes(number_of, [0], workers=1, limits=LIMITS)
        assert first != second


def test_a_kept_worker_whose_call_was_left_is_no_longer_kept():
    with keeping_workers():
        answers = map_in_processes(
            partial(crashing.go_wrong, fates={1: "hang"}), range(2), workers=2, limits=LIMITS
        )
        assert next(answers) == Done(0)
        answers.close()
        assert wrong({}) == {}


PARENT = """
import sys
from functools import partial
from pipeline.core.workers import Limits, map_in_processes
from tests.pipeline.crashing import go_wrong
fates = {1: "hang", 2: "sleep", 3: "hang"}
call = partial(go_wrong, fates=fates)
for answer in map_in_processes(call, range(4), workers=3, limits=Limits(600, 400)):
    print("first", flush=True)
"""


@pytest.mark.parametrize("killer", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_its_parent(killer: signal.Signals):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == "first\n"
        workers = psutil.Process(parent.pid).children()
        assert len(workers) == 3
        time.sleep(0.2)  # for the hanging ones to be in the middle of it
        parent.send_signal(killer)
        parent.wait(timeout=30)
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
