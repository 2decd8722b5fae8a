"""The README: every command in it runs, every setting in it loads, every stage in it exists."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest

from tests.end_to_end.project import DOCUMENTS, ROOT

README = (ROOT / "README.md").read_text("utf-8")
KEYS = "s\nq\n"
"""What is typed into a command that asks: skip one pair, quit; or two lines of chat."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def lines() -> list[str]:
    found = [
        line.partition(" #")[0].strip() for block in blocks("sh") for line in block.splitlines()
    ]
    return [line for line in found if line]


def call(line: str, folder):
    words = shlex.split(line)
    assert words[0] == "tuneloop", line
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.main", *words[1:]],
        cwd=folder,
        input=KEYS,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_short():
    assert len(README.splitlines()) <= 350


@pytest.mark.parametrize("line", [line for line in lines() if line.startswith("make")])
def test_make_targets_exist_and_run_what_the_tests_run(line):
    """`make test` is what runs this; `make run` is `tuneloop run` on the defaults."""
    done = subprocess.run(
        [*shlex.split(line), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {"make run": "tuneloop run", "make test": "pytest", "make up": "tuneloop up"}[
        line
    ] in done.stdout


@pytest.mark.model
@pytest.mark.slow
def test_every_command_runs_in_order(undisturbed, tmp_path):
    """Each line in its block's order; `cd` is followed; a rollback needs two champions."""
    project, _ = undisturbed
    folder = tmp_path / "project"
    shutil.copytree(project.folder, folder)
    for line in lines():
        if line.startswith("make"):
            continue
        if line.startswith("cd "):
            folder = folder / line.removeprefix("cd ")
            for name in DOCUMENTS:
                shutil.copy(ROOT / "data/samples" / name, folder / "raw")
            line = "tuneloop curate"  # the loop itself was run on the other project
            shutil.copytree(project.home / "models", folder / "home" / "models")
        if line == "tuneloop run":
            continue
        done = call(line, folder)
        if "rollback" in line:
            assert done.returncode == 2
            assert "champion" in done.stderr
        elif "--model champion" in line and "no champion found" in done.stderr:
            assert call(line.replace("champion", "challenger"), folder).returncode == 0
        else:
            assert done.returncode == 0, (line, done.stderr)


def test_pictures_are_there():
    found = re.findall(r"!\[.+?\]\((.+?)\)", README)
    assert found
    for path in found:
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG"), path


def test_every_settings_example_loads():
    from pipeline.settings import Settings

    for block in blocks("toml"):
        Settings.model_validate(tomllib.loads(block))


def test_the_table_names_real_settings_sections():
    from pipeline.settings import Settings

    table = README.partition("## The stages")[2].partition("## Where")[0]
    named = set(re.findall(r"`\[(\w+)\]`", table))
    assert named == set(Settings.model_fields) - {"store"}


def test_every_reason_in_the_table_is_one_that_the_code_gives():
    table = README.partition("## The stages")[2].partition("Nothing synthetic")[0]
    reasons = {reason for reason in re.findall(r"`([a-z_]+)`", table)}
    code = "\n".join(
        path.read_text("utf-8")
        for package in ("pipeline", "annotation")
        for path in (ROOT / package).rglob("*.py")
    )
    assert reasons
    assert {reason for reason in reasons if f'"{reason}"' not in code} == set()
