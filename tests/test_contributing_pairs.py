"""The worked examples of CONTRIBUTING, carried out on a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
from textwrap import dedent, indent
from typing import get_args

import pytest

from pipeline.pairs.task_kinds import TASK_KINDS
from pipeline.pairs.teachers.kinds import TEACHERS
from pipeline.settings import TeacherSettings
from schemas.pairs import ORIGINS
from tests.conftest import ROOT

MOST_FILES = 3
"""Files of the product that an example may touch."""

RULE_AT_WORK = """
from pipeline.pairs.screen.form import Candidate
from pipeline.pairs.screen.rules import SCREEN_REASONS, first_finding
from pipeline.settings import ScreenSettings

asked, said = "How often is the filter cleaned?", "THE FILTER IS CLEANED ONCE A WEEK."
for response in (said, said.capitalize()):
    pair = Candidate(asked, response, grounded=True, source=said)
    found = first_finding(ScreenSettings(), pair, compares=False)
    print(found and (found.reason, SCREEN_REASONS[found.reason]))
"""
TEACHER_AT_WORK = """
from pipeline.pairs.teachers.kinds import TEACHERS
from pipeline.pairs.teachers.teacher import Request
from pipeline.settings import Settings

settings = Settings(teacher={"kind": "command", "model": "tr a-z A-Z"})
teacher = TEACHERS["command"].make(settings, None, print)
print(teacher.complete([Request((("user", "clean the filter"),), 9, 0.7, 0.9)], 1)[0].texts)
"""


def blocks(bullet):
    """Return file, place and code of each block below a bullet of CONTRIBUTING."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    text = text.split(f"- **{bullet}**", 1)[1].split("\n- **", 1)[0].split("\n## ", 1)[0]
    for block in re.findall(r"^  ```python\n(.*?)^  ```", text, re.DOTALL | re.MULTILINE):
        head, code = dedent(block).split("\n", 1)
        yield *head.removeprefix("# ").split(", ", 1), code


def carry_out(tree, file, place, code):
    path = tree / file
    if place == "new":
        assert not path.exists()
        path.write_text(code, "utf-8")
        return
    text = path.read_text("utf-8")
    if place == "at the end":
        path.write_text(f"{text}\n\n{code}", "utf-8")
        return
    how, mark = re.fullmatch(r"(before|entry before|instead of) `(.+)`", place).groups()
    code = f"{code.strip()},\n" if how == "entry before" else f"{code.rstrip()}\n\n\n"
    mark = re.sub(
        r"\\([(\[])", r"\\\1\\s*", re.escape(mark)
    )  # a line may be broken behind a bracket
    (found,) = re.finditer(mark, text)
    if how == "instead of":
        text = text[: found.start()] + code.strip() + text[found.end() :]
    else:
        start = text.rindex("\n", 0, found.start()) + 1
        text = text[:start] + indent(code, " " * (found.start() - start)) + text[start:]
    path.write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("bullet", "program", "printed"),
    [
        ("a screen rule", RULE_AT_WORK, "('shouts', 'the answer is in capitals')\nNone\n"),
        ("a kind of teacher", TEACHER_AT_WORK, "('CLEAN THE FILTER',)\n"),
    ],
)
def test_an_example_touches_three_files_at_most_and_works(bullet, program, printed, tmp_path):
    for package in ("pipeline", "schemas"):
        shutil.copytree(ROOT / package, tmp_path / package)
    steps = list(blocks(bullet))
    assert 0 < len({file for file, *_ in steps}) <= MOST_FILES
    for step in steps:
        carry_out(tmp_path, *step)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert done.stdout == printed, done.stderr


def test_settings_and_schemas_name_what_the_shelves_have():
    assert get_args(TeacherSettings.model_fields["kind"].annotation) == tuple(TEACHERS)
    assert ["gold", *TASK_KINDS] == ORIGINS
