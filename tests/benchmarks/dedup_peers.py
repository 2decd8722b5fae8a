"""Run an arm of the deduplication benchmark in its own environment and process.

Every peer lives in a virtual environment of its own below the cache folder, made on first use
with the versions below; so none of them decides what tuneloop or another peer may install.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.dedup_corpus import TRUTH
from tests.benchmarks.dedup_score import Score, score

ROOT = Path(__file__).parents[2]
CACHE = Path(tempfile.gettempdir()) / "tuneloop-dedup-benchmark"
ARROW = "pyarrow==26.0.1"
PEERS = {
    "datasketch": ("datasketch==2.0.0", ARROW),
    "rensa": ("rensa==0.5.0", ARROW),
    "text_dedup": ("text-dedup==0.4.0", "datasets==5.2.0", ARROW),
    "datatrove": ("datatrove[io,processing]==0.10.1", "spacy==3.8.18", ARROW),
}
"""Environment of each peer and what is installed there; newest versions of November 2026."""
ARMS = {
    "ours": None,
    "rensa": "rensa",
    "rensa_rho": "rensa",
    "datasketch": "datasketch",
    "text_dedup": "text_dedup",
    "datatrove": "datatrove",
}
"""Arms, each the file ``dedup_ARM.py``, and the environments that they run in."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
SAMPLING = 0.1
"""Seconds between two looks at the memory of an arm's processes."""
LONGEST = 1800
"""Seconds after which an arm is stopped."""


class Unavailable(Exception):
    """An arm that could not be installed or did not run; says why."""


@dataclass(frozen=True)
class Measured:
    """One run of an arm."""

    seconds: float
    """Text in to kept ids out, everything loaded and compiled before."""
    seconds_total: float
    """From the start of the process to its end."""
    peak_mb: float
    """Most memory at one moment: the process, or all processes together, shared pages once."""
    score: Score


def python(arm: str, cache: Path) -> str:
    """Return the interpreter of an arm, its environment made if it is not there.

    Raises:
        Unavailable: a package of the peer cannot be installed.
    """
    peer = ARMS[arm]
    if peer is None:
        return sys.executable
    home = cache / f"environment-{peer}"
    ready = home / "ready"
    wanted = " ".join(PEERS[peer])
    if not ready.exists() or ready.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        print(f"{peer}: installing {wanted}", file=sys.stderr)
        _shell([sys.executable, "-m", "venv", str(home)])
        _shell([f"{home}/bin/pip", "install", "--quiet", *PEERS[peer]])
        ready.write_text(wanted)
    return f"{home}/bin/python"


def measure(arm: str, corpus: Path, cache: Path, cold: bool = False) -> Measured:
    """Run an arm once.

    Args:
        arm: one of :data:`ARMS`.
        corpus: folder of the corpus.
        cache: folder of the environments.
        cold: forget the kernels that numba compiled before.

    Raises:
        Unavailable: the arm cannot be installed or fails.
    """
    interpreter = python(arm, cache)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "kept"
        own = {"HF_HOME": folder} | ({"NUMBA_CACHE_DIR": folder} if cold else {})
        words = [interpreter, "-m", f"tests.benchmarks.dedup_{arm}", str(corpus), str(output)]
        began = time.perf_counter()
        with (Path(folder) / "errors").open("w+") as errors:
            process = subprocess.Popen(
                words,
                cwd=ROOT,
                env=os.environ | OFFLINE | own,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            watch = _Watch(process.pid)
            watch.start()
            try:
                printed, _ = process.communicate(timeout=LONGEST)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Unavailable(f"stopped after {LONGEST} s") from None
            finally:
                watch.stop()
            total = time.perf_counter() - began
            if process.returncode:
                errors.seek(0)
                raise Unavailable(errors.read().strip().splitlines()[-1])
        found = json.loads(printed.splitlines()[-1])
        return Measured(
            found["seconds"],
            total,
            max(found["peak_mb"], watch.peak_mb),
            score(output.read_text().split("\n"), corpus / TRUTH),
        )


class _Watch(threading.Thread):
    """Samples the memory of a process that has children; one alone reports its own peak."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self._over = threading.Event()
        self.peak_mb = 0.0

    def run(self) -> None:
        while not self._over.wait(SAMPLING):
            try:
                children = self._root.children(recursive=True)
            except psutil.Error:
                return
            if children:
                used = sum(map(_memory, (self._root, *children)))
                self.peak_mb = max(self.peak_mb, used / 2**20)

    def stop(self) -> None:
        self._over.set()
        self.join()


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0  # it has ended meanwhile


def _shell(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(f"{' '.join(words[1:])}: {(lines or ['failed'])[0]}")
