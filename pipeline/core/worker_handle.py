"""A worker process as the process sees it that hired it (:mod:`pipeline.core.workers`)."""

import contextlib
import os
import resource
import subprocess
import sys
from collections import deque
from multiprocessing.connection import Pipe

from pipeline.core.worker_process import MEGABYTE, held

_START = "from pipeline.core.worker_process import main; main()"
"""Not -m: a module run so has another name, and so would the classes of its answers."""


class Worker:
    """Starts with the object; takes items, and tells how it ended."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        self.inherited = held(resource.getrusage(resource.RUSAGE_SELF))
        # The same modules as here: -P alone would leave out what the caller put on its path.
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OMP_NUM_THREADS": "1",  # the processes are what runs in parallel
        }
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
            )
        self.kept = False  # whether it worked for a call before
        self.ready = False
        self.answered = 0
        self.batch: deque[int] = deque()
        """Positions of the items that it has, the one that it works on first."""

    def begin(self, start: bytes) -> None:
        """Tell it what it does from now on."""
        self.ready, self.answered = False, 0
        self.send(start)

    def send(self, data: bytes) -> None:
        """Send it something pickled."""
        # When it has just died, the end of its connection will tell.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(data)

    def end(self) -> tuple[int, float]:
        """Wait for its end; return exit code and megabytes held at most, 0 when not known."""
        self.connection.close()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        # Linux counts what the parent held when it started the process.
        peak = held(usage)
        return self.process.returncode, peak / MEGABYTE if peak > self.inherited else 0.0

    def kill(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        self.connection.close()
