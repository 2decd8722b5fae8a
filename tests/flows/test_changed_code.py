"""A changed rule: the next run makes exactly the stages behind it anew, and says why."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pipeline.pairs.endpoint_server import serving, teach

pytestmark = pytest.mark.slow

PACKAGES = ("pipeline", "flows", "schemas", "annotation")
STAGES = (
    "ingest", "clean", "paragraphs", "deduplicate", "index", "chunk", "split", "generate", "screen",
)  # fmt: skip


class Copy:
    """A copy of the product that is changed, and a project that it works on."""

    def __init__(self, folder: Path, base: Path, url: str) -> None:
        self.tree, self.project = folder / "tree", folder / "project"
        for name in PACKAGES:
            shutil.copytree(ROOT / name, self.tree / name)
        (self.tree / "data").symlink_to(ROOT / "data")
        self.call("init", str(self.project), cwd=folder)
        for page in sorted((ROOT / "data/samples/manual").glob("*.md"))[:8]:
            shutil.copy(page, self.project / "raw")
        (self.project / "raw" / "note.txt").write_text(
            "Notes\n\nThe reader of cards is cleaned with a dry cloth once a month, and its slot "
            "is checked for dust. A card that is bent is taken out of use at once.\n"
        )
        settings = [
            f"model.base_model={base}", "teacher.kind=openai", "teacher.model=scripted",
            f"teacher.base_url={url}", "generate.self_instruct_tasks=0",
        ]  # fmt: skip
        self.settings = [part for item in settings for part in ("--set", item)]

    def change(self, module: str, old: str, new: str) -> None:
        path = self.tree / module
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    def call(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli.main", *words], cwd=cwd, check=False,
            env=os.environ | {"PYTHONPATH": str(self.tree)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    def synthesize(self, *words: str) -> dict[str, str]:
        """Return what is said of each stage."""
        done = self.call("synthesize", *self.settings, *words, cwd=self.project)
        lines = done.stderr.splitlines()
        return {
            stage: " ".join(line.split()[1:])
            for stage in STAGES
            for line in lines
            if re.match(rf"{stage} +(reused|[\d,]+ -> )", line)
        }


def anew(said: dict[str, str]) -> dict[str, str]:
    """Return why each stage that ran did so."""
    assert tuple(said) == STAGES
    return {
        stage: text.partition("made anew: ")[2]
        for stage, text in said.items()
        if not text.startswith("reused")
    }


@pytest.fixture
def copy(tmp_path, tiny_base, prefect):
    with serving(teach) as server:
        yield Copy(tmp_path, tiny_base.path, server.url)


def test_the_next_run_makes_exactly_the_stages_behind_a_changed_rule(copy):
    assert set(anew(copy.synthesize())) == set(STAGES)

    reader = "pipeline/documents/readers/markdown.py"
    copy.change(reader, "lines = text.lstrip()", "text += '\\nRead.'\n    lines = text.lstrip()")
    said = anew(copy.synthesize())
    assert said["ingest"] == "its code changed (pipeline.documents.readers.markdown)"
    assert said["clean"] == said["chunk"] == "documents changed"

    cleaning, screen = "pipeline/documents/clean/line_joining.py", "pipeline/pairs/screen/form.py"
    copy.change(cleaning, '"""\n', '"""\nUNUSED = 1\n')  # changes no text
    copy.change(screen, '"""Rules', '"""The rules')
    said = copy.synthesize()
    code = "its code changed (pipeline.documents.clean.line_joining)"
    assert anew(said) == {"clean": code, "screen": code}
    assert said["generate"].endswith(f"though {code}; --rebuild generate to make it again")

    copy.change(screen, "re.compile(", "re.compile('' + ")
    said = anew(copy.synthesize("--rebuild", "generate"))
    assert said["screen"].startswith("its code changed (pipeline.pairs.screen.form)")
    assert said["generate"].startswith("its code changed (pipeline.documents.clean.line_joining")
    assert "clean" not in said
