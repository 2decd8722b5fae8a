"""The examples of CONTRIBUTING.md for documents work as they stand, on a copy of the tree."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pipeline.documents.making import PROSE

MOST_FILES = 3

INGEST_AND_CLEAN = """
import json, sys
from pathlib import Path
from pipeline.core.cache import Cache
from pipeline.documents.clean.clean import clean
from pipeline.documents.files.files import scan
from pipeline.documents.files.ingest import ingest
from pipeline.settings import CleanSettings, IngestSettings

raw, settings = Path(sys.argv[1]), IngestSettings(workers=1)
read = ingest(scan(raw, settings, raw.parent / "index.json"), settings, Cache(raw.parent / "reads"))
kept = clean(read.kept, CleanSettings(languages=()))
print(json.dumps([dict(read.kept.select("source", "format").rows()), read.reasons, kept.reasons]))
"""

SUBTITLES = "1\n00:00:01,000 --> 00:00:04,000\nThe valve opens at five bar.\n"


def changed_tree(folder: Path, chapter: str) -> Path:
    """Return a copy of the product with the change that a chapter shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    _, _, body = text.partition(f"\n### {chapter}\n")
    change = body.partition("```diff\n")[2].partition("```")[0]
    assert 0 < len(re.findall(r"^\+\+\+ b/", change, re.MULTILINE)) <= MOST_FILES
    for name in ("pipeline", "schemas"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", "-C1", "-"], input=change, text=True, cwd=folder, check=True)
    return folder


def ingested(tree: Path, raw: Path) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", INGEST_AND_CLEAN, str(raw)], cwd=raw, check=False,
        env=os.environ | {"PYTHONPATH": str(tree)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def test_the_reader_that_is_shown_reads_its_files(tmp_path: Path, raw: Path):
    (raw / "talk.srt").write_text(SUBTITLES)
    (raw / "no.srt").write_text("Nothing is said when.")
    formats, unread, _ = ingested(ROOT, raw)
    assert formats == {} and unread == {"unknown_format": 2}
    formats, unread, _ = ingested(changed_tree(tmp_path / "tree", "A reader"), raw)
    assert formats == {"talk.srt": "srt"} and unread == {"no_times": 1}


def test_the_cleaning_rule_that_is_shown_drops_documents(tmp_path: Path, raw: Path):
    (raw / "plain.md").write_text(PROSE)
    (raw / "loud.md").write_text(PROSE.upper())
    _, _, before = ingested(ROOT, raw)
    _, _, after = ingested(changed_tree(tmp_path / "tree", "A cleaning rule"), raw)
    assert "many_capitals" not in before and after["many_capitals"] == 1
