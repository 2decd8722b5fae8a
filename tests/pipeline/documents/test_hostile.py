"""300 hostile files: the run ends, each file has a reason, and nothing else is touched."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.documents import hostile
from tests.pipeline.documents.hostile_run import MEGABYTES

pytestmark = pytest.mark.slow

SECONDS = 240
"""Until the run counts as one that does not end; it takes about a minute on 2 cores."""

PARENT_MEGABYTES = 1500
"""The process that collects: it holds 100 MB of text, in Python and in a table."""


def snapshot(root: Path) -> dict[str, str]:
    """Return what each path below a folder is, content included; links are not followed."""
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        what = f"{status.st_mode:o} {status.st_mtime_ns}"
        if stat.S_ISREG(status.st_mode):
            with path.open("rb") as stream:
                what += hashlib.file_digest(stream, "sha256").hexdigest()
        elif stat.S_ISLNK(status.st_mode):
            what += str(path.readlink())
        found[os.fsdecode(path)] = what
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("hostile")
    folders = {name: root / name for name in ("inbox", "outside", "home", "work", "temporary")}
    for folder in folders.values():
        folder.mkdir()
    (folders["outside"] / "secret.md").write_text("A text that nobody asked for.\n" * 20)
    expected = hostile.make(folders["inbox"], folders["outside"])
    watched = [folders[name] for name in ("inbox", "outside", "work", "temporary")]
    before = [snapshot(folder) for folder in watched]
    around = sorted(map(str, root.iterdir()))
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "tests.pipeline.documents.hostile_run",
            folders["inbox"],
            folders["home"],
        ],
        cwd=folders["work"],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
            "TMPDIR": str(folders["temporary"]),
        },
        stdout=subprocess.PIPE,
        timeout=SECONDS,
        check=True,
    )
    after = [snapshot(folder) for folder in watched]
    return json.loads(done.stdout) | {
        "expected": expected,
        "touched": [
            one
            for one, other in zip(watched, after, strict=True)
            if before[watched.index(one)] != other
        ],
        "around": (around, sorted(map(str, root.iterdir()))),
    }


def outcomes(run: dict[str, Any]) -> dict[str, set[str]]:
    """Return what became of each file: reasons, and ``document``."""
    found: dict[str, set[str]] = {}
    told = [(source, hostile.DOCUMENT) for source in run["read"]]
    for source, reason in told + [drop[:2] for drop in run["dropped"]]:
        # A record of a file is named behind a mark; names may hold marks themselves.
        name = source
        while name not in run["expected"]:
            name = name[:-1]
            assert name, f"{source} is none of the files"
        found.setdefault(name, set()).add(reason)
    return found


def test_there_are_300_files_and_each_is_accounted_for(run: dict[str, Any]):
    assert len(run["expected"]) == hostile.COUNT
    assert run["balances"]
    assert sorted(outcomes(run)) == sorted(run["expected"])


def test_each_file_has_the_reason_that_is_right_for_it(run: dict[str, Any]):
    wrong = {
        name: (sorted(reasons), sorted(run["expected"][name]))
        for name, reasons in outcomes(run).items()
        if run["expected"][name] and not reasons & run["expected"][name]
    }
    assert wrong == {}


def test_limits_are_told_with_value_and_threshold(run: dict[str, Any]):
    limits = {name: rest for name, *rest in run["dropped"] if rest[0] in hostile.LIMITS}
    assert {reason for reason, _, _ in limits.values()} == set(hostile.LIMITS)
    assert all(threshold is not None for _, _, threshold in limits.values())


def test_each_document_is_cleaned_or_dropped_within_its_limits(run: dict[str, Any]):
    """An error would be a bug in cleaning; a limit is what the limit is for."""
    told = dict(run["cleaned"])
    assert [source for source, reason in told.items() if reason == "clean_crashed"] == []
    assert told["-rf.txt"] == hostile.DOCUMENT


def test_memory_stays_bounded(run: dict[str, Any]):
    assert run["parent"] < PARENT_MEGABYTES
    # Cleaning runs in workers too, with a larger limit.
    assert run["workers"] < max(PARENT_MEGABYTES, MEGABYTES) + 100


def test_nothing_outside_the_folder_is_read_or_touched(run: dict[str, Any]):
    assert run["text"] == 0, "what the links and entities aim at"
    assert run["touched"] == []
    assert run["around"][0] == run["around"][1]
