"""Run a command that must not outlive its parent: ``python -m flows.services.guard PARENT -- ...``.

The command gets a process group of its own. When the parent is gone, or this process is asked
to end, the whole group is asked to end, and killed after a grace time; so kill -9 of ``tuneloop
up`` leaves nothing behind.
"""

import os
import signal
import subprocess
import sys
import time
from types import FrameType

GRACE_SECONDS = 15.0
"""From SIGTERM to SIGKILL: a server needs a moment to close its database."""

POLL_SECONDS = 0.25


def main(parent: int, command: list[str]) -> int:
    """Run the command and return its exit code."""
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while child.poll() is None and not stopping and os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    _end_group(child)
    return child.returncode


def _end_group(child: "subprocess.Popen[bytes]") -> None:
    """End what is left of the group, the command's own children included."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                os.killpg(child.pid, number)
            except ProcessLookupError:
                child.wait()
                return
            child.poll()
            time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[3:]))
