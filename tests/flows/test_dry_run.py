"""`tuneloop curate --dry-run`: a table of rejects by rule, and nothing in the store."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working directory with a few samples as input; returns the home folder."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("alarm-codes.md", "shading-stub.md", "kurzanleitung-de.md"):
        shutil.copy(ROOT / "data/samples/manual" / name, folder / name)
    (folder / "none.md").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def run(*arguments: str):
    given = ("paths.input=raw", "paths.home=home", "compute.runner=inline")
    sets = [word for change in given for word in ("--set", change)]
    result = CliRunner().invoke(main, ["curate", *arguments, *sets])
    return result.exit_code, result.stdout, result.stderr


def test_each_rule_has_its_rejects_limit_and_an_example(home):
    code, out, _ = run("--dry-run")
    assert code == 0
    assert "4 files, 3 documents read, empty_file 1" in out
    assert "profile technical: 1 of 3 would be kept" in out
    [row] = [line for line in out.splitlines() if line.startswith("too_short")]
    assert row.split()[1:5] == ["1", "33.3%", "1", "20"]
    assert "5 (asked 20)  shading-stub.md" in row
    assert {path.name for path in home.iterdir()} == {"reads"}, "no dataset, no run"


def test_all_profiles_are_shown_side_by_side(home):
    code, out, _ = run("--dry-run", "--profile", "all")
    assert code == 0
    [head] = [line for line in out.splitlines() if line.startswith("rejects by rule")]
    assert head.split()[3:] == ["technical", "web", "faq", "any-language", "off"]
    [row] = [line for line in out.splitlines() if line.startswith("too_short")]
    assert row.split()[1:] == ["1", "1", "0", "1", "-"]


def test_as_json(home):
    code, out, _ = run("--dry-run", "--json", "--profile", "faq", "--set", "clean.languages=[]")
    found = json.loads(out)
    [profile] = found["profiles"]
    assert (code, profile["kept"], found["quarantined"]) == (0, 3, {"empty_file": 1})
    assert {"rule", "limit", "source", "rejects", "share", "breaks", "examples"} == set(
        profile["rules"][0]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--dry-run", "--profile", "wob"), "--profile wob found; expected one of technical"),
        (("--profile", "web"), "--set clean.profile=web"),
        (("--dry-run", "--set", "ingest.include=['none.md']"), "no document could be read"),
    ],
)
def test_what_cannot_be_done_is_one_line(home, arguments, said):
    code, _, error = run(*arguments)
    assert code == 2
    assert error.startswith("tuneloop: ") and said in error and error.count("\n") == 1
