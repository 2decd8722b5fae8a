"""Real processes under a guard and a supervisor: they end when they should, and come back."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from flows.services import service as services
from flows.services.service import Service, Supervisor, cut_log
from pipeline.core.errors import StoreError

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 2:  # a grandchild that leaves for a session of its own, as a flow run may
    subprocess.Popen(
        [sys.executable, "-c", sys.argv[2], sys.argv[1]], start_new_session=True
    )
    open(sys.argv[1] + ".up", "w").close()
time.sleep(600)
"""
"""A program that does not care about SIGTERM, with a child that does not either."""

PARENT = """
import sys, time
from pathlib import Path
from flows.services.service import Service, start
mark, program = sys.argv[1:]
command = (sys.executable, "-c", program, mark, program)
start(Service("stubborn", command, lambda: True, Path(mark + ".log"), stop_seconds=1.0))
time.sleep(600)
"""


def marked(mark: Path) -> list[psutil.Process]:
    """All processes with this word in their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(mark) in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def eventually(ready: Callable[[], object]) -> None:
    """Wait for a true answer; a machine that is far too slow fails."""
    deadline = time.monotonic() + 60
    while not (answer := ready()):
        assert time.monotonic() < deadline, f"still {answer!r} after a minute"
        time.sleep(0.1)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """A word for the command lines of a test; nothing that bears it is left behind."""
    mark = tmp_path / "mark"
    yield mark
    for process in marked(mark):
        process.kill()


def test_kill_9_of_the_parent_takes_all_descendants(mark):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(mark), STUBBORN])
    eventually(lambda: Path(f"{mark}.up").exists() and len(marked(mark)) == 4)
    parent.kill()
    parent.wait()
    eventually(lambda: not marked(mark))


def test_kill_9_of_the_guard_ends_the_service_too(mark):
    program = "import time; time.sleep(600)"
    service = Service(
        "gentle", (sys.executable, "-c", program, str(mark)), lambda: True, mark.with_suffix(".log")
    )
    guard = services.start(service)
    eventually(lambda: len(marked(mark)) == 2)
    guard.kill()
    guard.wait()
    eventually(lambda: not marked(mark))


def test_a_service_whose_guard_was_killed_before_its_first_step_ends_there():
    gone = "from flows.services.guard import _end_with; _end_with(0); print('it goes on')"
    done = subprocess.run([sys.executable, "-c", gone], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, b"")


def test_a_service_that_cannot_start_names_its_log(mark):
    log = mark.with_suffix(".log")
    service = Service("broken", (sys.executable, "-c", "raise SystemExit('no luck')"), never, log)
    with pytest.raises(StoreError, match=rf"broken: the server ended; .* its log is {log}"):
        services.wait_until_healthy(service, services.start(service))
    assert log.read_text() == "no luck\n"


def never() -> bool:
    return False


def test_a_service_that_keeps_dying_is_given_up_with_its_log(mark, monkeypatch):
    monkeypatch.setattr(services, "LONGEST_PAUSE", 0.1)
    said: list[str] = []
    keeper = Supervisor(said.append)
    log = mark.with_suffix(".log")
    keeper.start(Service("mayfly", (sys.executable, "-c", "print('hello')"), never, log))

    def gives_up() -> bool:
        try:
            keeper.check()
        except StoreError as error:
            said.append(str(error))
            return True
        return False

    eventually(gives_up)
    keeper.stop()
    assert said[-1] == (
        "mayfly: it ended with code 0, 6 times in a row; expected it to keep running; its log "
        f"{log} says why"
    )
    assert len(said) == 6
    assert log.read_text() == "hello\n" * 6


def test_a_service_that_falls_silent_is_started_again(mark, monkeypatch):
    monkeypatch.setattr(services, "SILENT_SECONDS", 0.2)
    said: list[str] = []
    keeper = Supervisor(said.append)
    well = mark.with_suffix(".well")
    well.touch()
    command = (sys.executable, "-c", "import time; time.sleep(600)", str(mark))
    keeper.start(Service("sleeper", command, well.exists, mark.with_suffix(".log")))
    keeper.wait()
    eventually(lambda: len(marked(mark)) == 2)  # the guard and the service
    before = marked(mark)
    well.unlink()
    eventually(lambda: keeper.check() or any("was silent" in line for line in said))
    assert not any(each.is_running() for each in before)
    well.touch()
    eventually(lambda: keeper.check() or "sleeper: runs again" in said)
    keeper.stop()
    assert not marked(mark)


def test_a_log_that_has_grown_too_long_keeps_its_last_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(services, "MAX_LOG_BYTES", 1000)
    monkeypatch.setattr(services, "KEPT_LOG_BYTES", 100)
    log = tmp_path / "service.log"
    log.write_text("".join(f"line {number:04}\n" for number in range(200)))
    cut_log(log)
    assert log.read_text().splitlines() == [f"line {number:04}" for number in range(191, 200)]
    cut_log(log)
    assert len(log.read_text().splitlines()) == 9


def test_the_log_of_a_running_service_stays_short(mark, monkeypatch):
    monkeypatch.setattr(services, "MAX_LOG_BYTES", 10_000)
    monkeypatch.setattr(services, "KEPT_LOG_BYTES", 1000)
    talker = "import time\nfor n in range(20_000): print(n)\ntime.sleep(600)"
    log = mark.with_suffix(".log")
    keeper = Supervisor(lambda line: None)
    command = (sys.executable, "-u", "-c", talker, str(mark))
    keeper.start(Service("talker", command, lambda: True, log))
    keeper.wait()
    try:
        eventually(lambda: keeper.check() or log.read_text().endswith("19999\n"))
        keeper.check()
        assert log.stat().st_size <= 10_000
    finally:
        keeper.stop()


def test_a_service_that_is_well_is_asked_twice_a_minute_at_most(mark):
    asked = []
    command = (sys.executable, "-c", "import time; time.sleep(600)", str(mark))
    service = Service("calm", command, lambda: not asked.append(1), mark.with_suffix(".log"))
    keeper = Supervisor(lambda line: None)
    keeper.start(service)
    keeper.wait()
    for _ in range(20):
        keeper.check()
    keeper.stop()
    assert len(asked) == 1
