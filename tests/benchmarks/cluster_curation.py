"""Curation on two Ray nodes against S3, beside this machine with local files: bytes, time, memory.

    python -m tests.benchmarks.cluster_curation [--documents 5000] [--home s3]

Makes documents of about 5 kB, puts them into a folder and onto an S3 server of this machine
(moto's, which keeps all of them in its memory), and lets ``tuneloop curate`` take both to chunks by
the tokenizer of the embedded model: with worker processes and the folder, then on two Ray nodes of
one core with the bucket. What both stored is compared byte by byte. The peak of memory is that of
the process that collects, looked at ten times a second; about 300 MB of it are imports.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import psutil

from pipeline.core.home import Home
from pipeline.core.remote import mirror_of
from pipeline.settings import DedupSettings
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
    """Megabytes held at most by the process that collects."""
    lines: list[str]
    """What it printed: a line a stage."""


def curate(home: Path | str, documents: Path | str, *settings: str) -> Measured:
    """Run the command in a process of its own and look at its memory."""
    command = [sys.executable, "-m", "flows.cli.main", "curate"]
    for setting in (f"paths.home={home}", f"paths.input={documents}", *settings):
        command += ["--set", setting]
    started, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
        looked_at = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, looked_at.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.1)
        seconds = time.monotonic() - started
        out.seek(0)
        lines = out.read().splitlines()
    if process.wait():
        raise SystemExit("\n".join([*lines, "curation failed"]))
    return Measured(seconds, peak / 1e6, lines)


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
        f"{found.driver:>7.0f} MB"
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
    shutil.copytree(models, home / "models")
    cluster = Cluster()
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, include_dashboard=False, object_store_memory=2**29)
        ray = ("compute.runner=ray", f"compute.ray_address={cluster.address}")
        return curate(address, f"s3://{BUCKET}/docs", *ray), home
    finally:
        cluster.shutdown()


def main() -> None:
    """Make the documents, run both, compare."""
    parser = argparse.ArgumentParser(description="Curation on two Ray nodes against S3.")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--home", choices=["folder", "s3"], default="folder", help="of the cluster")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tuneloop-bench-") as name:
        folder = Path(name)
        make(folder / "docs", asked.documents)
        make(folder / "few", 20)
        curate(folder / "warm", folder / "few")  # unpacks the base model, compiles
        models, home = folder / "warm" / "models", folder / "local"
        shutil.copytree(models, home / "models")
        here = curate(home, folder / "docs")
        show("this machine, files in a folder", here, asked.documents)
        with s3_server(folder / "log"):
            upload(folder / "docs")
            there, other = on_cluster(folder, models, asked.home == "s3")
            downloads = (folder / "log").read_text().count(f'"GET /{BUCKET}/docs/')
        show(f"two Ray nodes, S3, home: {asked.home}", there, asked.documents)
        print(f"{downloads:,} objects downloaded; times: {there.seconds / here.seconds:.2f}")
        setting = DedupSettings().memory_megabytes * 2**20 / 1e6
        within = "within" if there.driver <= setting else "above"
        print(f"memory of the driver: {within} the {setting:,.0f} MB of dedup.memory_megabytes")
        differing = compare(stored(home), stored(other))
        print(f"stored bytes: {'the same' if not differing else f'other: {differing}'}")
        raise SystemExit(bool(differing))


def compare(one: dict[str, object], other: dict[str, object]) -> str:
    """Name the data sets that differ."""
    return ", ".join(name for name in sorted(one | other) if one.get(name) != other.get(name))


if __name__ == "__main__":
    main()
