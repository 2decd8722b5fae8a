"""The README: every command in it runs, every setting in it loads, every stage in it exists."""

import re
import shlex
import shutil
import subprocess
import tomllib

import pytest

from tests.end_to_end.project import DOCUMENTS, ROOT, invoke

README = (ROOT / "README.md").read_text("utf-8")
KEYS = "s\nq\n"
"""What is typed into a command that asks: skip one pair, quit; or two lines of chat."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def lines(block: str) -> list[str]:
    found = [line.partition(" #")[0].strip() for line in block.splitlines()]
    return [line for line in found if line]


MAKE = [line for block in blocks("sh") for line in lines(block) if line.startswith("make")]


def call(line: str, folder):
    words = shlex.split(line)
    assert words[0] == "tuneloop", line
    return invoke(folder, *words[1:], typed=KEYS)


@pytest.mark.parametrize("line", MAKE)
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
def test_every_command_runs_in_order(quick, tmp_path):
    """Each line in its order, in one project but for `cd`; a rollback needs two champions."""
    project, _ = quick
    folder = tmp_path / "project"
    shutil.copytree(project.folder, folder)
    for line in (line for block in blocks("sh") for line in lines(block)):
        if line in MAKE or line == "tuneloop run":  # the loop itself was run on the project
            continue
        if line.startswith("cd "):
            new = folder / line.removeprefix("cd ")
            for name in DOCUMENTS:
                shutil.copy(ROOT / "data/samples" / name, new / "raw")
            shutil.copytree(project.home / "models", new / "home" / "models")
            assert call("tuneloop curate", new).exit_code == 0
            continue
        if line.startswith("tuneloop serve"):  # it runs until it is stopped: tests/flows/gateway
            assert call("tuneloop serve --help", folder).exit_code == 0
            continue
        done = call(line, folder)
        if "rollback" in line:
            assert done.exit_code == 2
            assert "champion" in done.stderr
        elif "--model champion" in line and "no champion found" in done.stderr:
            assert call(line.replace("champion", "challenger"), folder).exit_code == 0
        else:
            assert done.exit_code == 0, (line, done.stderr)


def test_pictures_are_there():
    found = re.findall(r"!\[.+?\]\((.+?)\)", README)
    assert found
    for path in found:
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG"), path


def test_every_settings_example_loads():
    from pipeline.settings import Settings

    for block in blocks("toml"):
        Settings.model_validate(tomllib.loads(block))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "tests/benchmarks/README.md"])
def test_every_file_that_is_named_is_there(name):
    text = (ROOT / name).read_text("utf-8")
    top = "pipeline|flows|schemas|annotation|tests|data"
    named = re.findall(rf"`((?:{top})/[\w/.-]+)`", text) + re.findall(r"\]\(([^)]+)\)", text)
    missing = [path for path in named if not (ROOT / path).exists() and path != "data/home"]
    assert missing == []


def test_every_benchmark_that_is_named_is_there():
    text = (ROOT / "tests/benchmarks/README.md").read_text("utf-8")
    named = set(re.findall(r"tests\.benchmarks\.(\w+)", text))
    assert named
    assert {name for name in named if not (ROOT / f"tests/benchmarks/{name}.py").exists()} == set()
