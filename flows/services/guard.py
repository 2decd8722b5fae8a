"""Run a command that must not outlive its parent.

``python -m flows.services.guard PARENT GRACE -- command ...``: when PARENT is gone, or this process
is asked to end, the command is; after GRACE seconds it is killed with all its children.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from functools import partial
from types import FrameType

import psutil  # type: ignore[import-untyped]

POLL_SECONDS = 0.25
CHILDREN_SECONDS = 3.0  # from SIGTERM to SIGKILL for children that the command did not take with it
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(parent: int, grace: float, command: list[str]) -> int:
    """Run the command while ``parent`` lives; return its exit code, or 128 and the signal."""
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # Grandchildren whose parent died come to this process instead of getting away.
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    tie = partial(_end_with, os.getpid())
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=tie
    )
    while child.poll() is None and not stopping and os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=grace)
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = psutil.Process().children(recursive=True)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        psutil.wait_procs(left, timeout=CHILDREN_SECONDS)
    code = child.wait()
    return code if code >= 0 else 128 - code  # by a signal: written as a shell does


def _end_with(guard: int) -> None:
    """Let this process, before its exec, end with its parent, which may be gone already."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent's handler would only take note
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != guard:
        os._exit(128 + signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    """Set a process option where the system has it: Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[4:]))
