"""Curation on two Ray nodes against S3, beside this machine with local files: bytes, time, memory.

    python -m tests.benchmarks.cluster_curation [--documents 5000] [--home s3] [--folder DIR]

Makes documents of about 5 kB, puts them into a folder and onto an S3 server of this machine
(moto's, which keeps all of them in its memory), and lets ``tuneloop curate`` take both to chunks by
the tokenizer of the embedded model: with worker processes and the folder, then on two Ray nodes of
one core with the bucket. What both stored is compared byte by byte. In a folder of yours the same
command goes on where it was stopped.

Memory is looked at five times a second: of the process that collects by stage, without and with
the pages of mapped files, which the system takes back when it needs them (300 MB are imports); of
the workers that of the largest.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import psutil

from pipeline.core.home import Home
from pipeline.core.remote import mirror_of
from pipeline.settings import ComputeSettings
from tests.conftest import ROOT
from tests.s3_server import BUCKET, client, s3_server

CHARACTERS = 5000
COPIES = 50
"""One document of so many is a copy of the one before with a few words changed."""
SMALL = ("the", "of", "and", "to", "is", "in", "that", "for", "with", "a", "it", "as", "by", "on")


def vocabulary() -> list[str]:
    """Return the words of the sample corpus."""
    text = " ".join(
        path.read_text("utf-8", "replace") for path in (ROOT / "data/samples").rglob("*.md")
    )
    return sorted({word for word in text.lower().split() if word.isascii() and word.isalpha()})


def document(number: int, words: list[str]) -> str:
    """Return a document of sections, paragraphs and sentences; the same for the same number."""
    copied = number % COPIES == 1
    draw = random.Random(number - copied)
    text = f"# {' '.join(draw.choices(words, k=4)).capitalize()}\n"
    while len(text) < CHARACTERS:
        if draw.random() < 0.3:
            text += f"\n## {' '.join(draw.choices(words, k=3)).capitalize()}\n"
        sentences = []
        for _ in range(draw.randint(3, 6)):
            pairs = (
                f"{draw.choice(SMALL)} {draw.choice(words)}" for _ in range(draw.randint(4, 9))
            )
            sentences.append(" ".join(pairs).capitalize() + ".")
        text += "\n" + " ".join(sentences) + "\n"
    return text.replace(" the ", " every ", 2) if copied else text


def make(folder: Path, count: int) -> None:
    """Write the documents, a thousand a folder."""
    words = vocabulary()
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"{number:06}.md"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_text(document(number, words), "utf-8")


def upload(folder: Path) -> None:
    """Put the documents into the bucket."""
    s3 = client()

    def put(path: Path) -> None:
        key = f"docs/{path.relative_to(folder).as_posix()}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, folder.rglob("*.md")))


class Measured(NamedTuple):
    """One run of curation."""

    seconds: float
    driver: float
    """Megabytes held at most by the process that collects, without mapped files."""
    resident: float
    """The same with them."""
    worker: float
    """Megabytes held at most by one of the workers."""
    lines: list[str]
    """What it printed, with the two peaks until then."""


def held(process: psutil.Process) -> tuple[float, float]:
    """Return the megabytes of a process without and with mapped files; 0 of one that has ended."""
    try:
        found = process.memory_info()
    except psutil.Error:
        return 0, 0
    return (found.rss - found.shared) / 1e6, found.rss / 1e6


def workers() -> float:
    """Return the megabytes of the largest worker process below this one."""
    largest = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if "worker_process" in command or command.startswith("ray::"):
            largest = max(largest, held(process)[1])
    return largest


def curate(home: Path | str, documents: Path | str, *settings: str) -> Measured:
    """Run the command in a process of its own and look at its memory."""
    command = [sys.executable, "-m", "flows.cli.main", "curate"]
    for setting in (f"paths.home={home}", f"paths.input={documents}", "paths.gold=", *settings):
        command += ["--set", setting]
    started = time.monotonic()
    lines: list[str] = []
    peaks, largest, stage = (0.0, 0.0), 0.0, (0.0, 0.0)
    with tempfile.NamedTemporaryFile("w+") as out, Path(out.name).open() as said:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
        looked_at = psutil.Process(process.pid)
        while process.poll() is None:
            now = held(looked_at)
            stage = max(stage[0], now[0]), max(stage[1], now[1])
            largest = max(largest, workers())
            for line in said.read().splitlines():
                lines.append(f"{line:<56}{stage[0]:>6.0f} /{stage[1]:>5.0f} MB")
                if "->" in line:
                    peaks, stage = tuple(map(max, peaks, stage)), now
            time.sleep(0.2)
        seconds = time.monotonic() - started
        lines += said.read().splitlines()
    if process.wait():
        raise SystemExit("\n".join([*lines, "curation failed"]))
    return Measured(seconds, *map(max, peaks, stage), largest, lines)


def stored(home: Path) -> dict[str, object]:
    """Return content and files of each data set."""
    return {
        one.dataset: (one.content, one.files, one.facts.reasons)
        for one in Home.at(home).manifests()
    }


def show(name: str, found: Measured, count: int) -> None:
    """Print what a run took."""
    print(
        f"{name:<32}{found.seconds:>9.1f} s{count / found.seconds:>7.0f} documents/s"
        f"{found.driver:>7.0f} MB, with mapped files {found.resident:,.0f}; "
        f"a worker {found.worker:,.0f} MB"
    )
    for line in found.lines:
        if line[:1] != " " and "->" in line:
            print(f"    {line}")


def on_cluster(folder: Path, models: Path, home_in_bucket: bool) -> tuple[Measured, Path]:
    """Curate the bucket on two nodes of one core, which know the server by their environment."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["TUNELOOP_CACHE"] = str(folder / "cache")
    from ray.cluster_utils import Cluster

    address = f"s3://{BUCKET}/home" if home_in_bucket else str(folder / "cluster")
    home = mirror_of(address) if home_in_bucket else Path(address)
    shutil.copytree(models, home / "models", dirs_exist_ok=True)
    cluster = Cluster()
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, include_dashboard=False, object_store_memory=2**28)
        ray = ("compute.runner=ray", f"compute.ray_address={cluster.address}")
        return curate(address, f"s3://{BUCKET}/docs", *ray), home
    finally:
        cluster.shutdown()


def main() -> None:
    """Make the documents, run both, compare."""
    parser = argparse.ArgumentParser(description="Curation on two Ray nodes against S3.")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--home", choices=["folder", "s3"], default="folder", help="of the cluster")
    parser.add_argument(
        "--folder", type=Path, help="for what is made; a temporary one if not given"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tuneloop-bench-") as name:
        raise SystemExit(bool(run(asked.folder or Path(name), asked.documents, asked.home == "s3")))


def run(folder: Path, count: int, home_in_bucket: bool) -> str:
    """Run both, say what they took, and name the data sets that differ."""
    models, home = folder / "warm" / "models", folder / "local"
    if not (folder / "docs").exists():
        make(folder / "new", count)
        (folder / "new").rename(folder / "docs")
        make(folder / "few", 20)
        curate(folder / "warm", folder / "few")  # unpacks the base model, compiles
    shutil.copytree(models, home / "models", dirs_exist_ok=True)
    here = once(folder / "here.json", lambda: curate(home, folder / "docs"))
    show("this machine, files in a folder", here, count)
    with s3_server(folder / "log"):
        upload(folder / "docs")
        there, other = on_cluster(folder, models, home_in_bucket)
        downloads = (folder / "log").read_text().count(f'"GET /{BUCKET}/docs/')
    show(f"two Ray nodes, S3, home: {'s3' if home_in_bucket else 'folder'}", there, count)
    print(f"{downloads:,} objects downloaded; times: {there.seconds / here.seconds:.2f}")
    setting = ComputeSettings().memory_megabytes * 2**20 / 1e6
    most = max(here.driver, there.driver)
    print(
        f"memory of the driver: {most:,.0f} MB, {'within' if most <= setting else 'above'} the "
        f"{setting:,.0f} MB of compute.memory_megabytes"
    )
    differing = compare(stored(home), stored(other))
    print(f"stored bytes: {'the same' if not differing else f'other: {differing}'}")
    return differing


def once(path: Path, work: Callable[[], Measured]) -> Measured:
    """Return what was measured before, or measure it now."""
    if not path.exists():
        path.write_text(json.dumps(work()))
    return Measured(*json.loads(path.read_text()))


def compare(one: dict[str, object], other: dict[str, object]) -> str:
    """Name the data sets that differ."""
    return ", ".join(name for name in sorted(one | other) if one.get(name) != other.get(name))


if __name__ == "__main__":
    main()
