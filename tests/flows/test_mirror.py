"""A home in a bucket: machines take turns, nothing is half visible, secrets stay here."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.engine.home import locked
from flows.engine.mirror import pull, push_decisions
from flows.engine.settings_file import dump_settings, load_settings
from pipeline.core.cache import Cache
from pipeline.core.errors import HomeLocked, InputError, SettingsError
from pipeline.core.home import Home, fsck
from pipeline.core.journal import append, read_rows
from pipeline.core.manifest import Recipe
from pipeline.core.registry import Registry
from pipeline.core.remote import address_of, mirror_of, open_store
from pipeline.core.store import Filled, Store
from tests.s3_server import BUCKET, client, s3_server

ADDRESS = f"s3://{BUCKET}/homes/a b"


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3") / "log"):
        open_store(ADDRESS)[0].ls(BUCKET)  # starts threads that serve all stores of the process
        yield client()


@pytest.fixture
def machine(s3, tmp_path, monkeypatch):
    """Return a function that goes to a machine of a name and returns its mirror of the home."""
    for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=one["Key"])

    def go_to(name: str) -> Path:
        monkeypatch.setenv("TUNELOOP_CACHE", str(tmp_path / name))
        return mirror_of(ADDRESS)

    return go_to


def keys(s3) -> set[str]:
    found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {one["Key"].removeprefix("homes/a b/") for one in found}


def make(home: Path, name: str = "one", content: bytes = b"weights"):
    """Store a folder data set and point a ref to it, as a run does."""

    def fill(folder: Path) -> Filled:
        (folder / "sub").mkdir()
        (folder / "sub" / "weights").write_bytes(content)
        return Filled(identity=("sub/weights",))

    made = {"dataset": name, "fingerprint": "f" * 16, "created_at": "2026-11-29T00:00:00Z"}
    recipe = Recipe(**made, stage_version=0, settings={}, inputs={}, code={}, libraries={})
    dataset = Store(home / "store").write_folder(recipe, fill)
    Registry(home / "refs").point(f"dataset/{name}", dataset, "test", "2026-11-29T00:00:00Z")
    return dataset


def test_what_one_machine_made_another_one_has(s3, machine):
    here = machine("here")
    with locked(here):
        made = make(here)
        Cache(here / "replies").entry({"asked": 1}).put("a reply")
        (here / "runs" / "r1").mkdir(parents=True)
        (here / "runs" / "r1" / "run.json").write_text("{}")
        (here / "prefect").mkdir()
        (here / "prefect" / "login").write_text("a secret")
    assert not any("prefect" in key or "lock" in key for key in keys(s3))
    there = machine("there")
    pull(there)
    home = Home.at(there)
    assert home.dataset("one") == made and fsck(home) == []
    assert (home.store.path(made) / "sub" / "weights").read_bytes() == b"weights"
    assert Cache(there / "replies").entry({"asked": 1}).get() == "a reply"
    assert (there / "runs" / "r1" / "run.json").exists()
    with locked(there):
        make(there, "two")
    pull(here)
    assert set(Home.at(here).latest()) == {"one", "two"}
    before = keys(s3)
    with locked(here):
        pass
    assert keys(s3) == before, "nothing is written when nothing is new"


def test_two_machines_do_not_work_at_once_and_an_error_names_the_other(s3, machine):
    here, there = machine("here"), machine("there")
    with locked(here):
        with (
            pytest.raises(HomeLocked, match=r"used by another machine .* delete s3://.*lock\.json"),
            locked(there),
        ):
            pass
        with locked(here, "monitor.lock"):  # of the same machine, beside a run
            pass
        assert "lock.json" in keys(s3)
    assert "lock.json" not in keys(s3)
    with locked(there):
        pass


def test_decisions_of_two_machines_are_put_together(s3, machine):
    here, there = machine("here"), machine("there")
    for home, pair in ((here, "a"), (there, "b")):
        pull(home)
        append(home / "reviews" / "decisions.jsonl", [{"pair_id": pair}])
    push_decisions()
    pull(here)
    rows = read_rows(here / "reviews" / "decisions.jsonl")
    assert sorted(row["pair_id"] for row in rows) == ["a", "b"]


KILLED = """
import os, signal, sys
from pathlib import Path
from flows.engine import mirror
from flows.engine.home import locked
from pipeline.core.remote import mirror_of
from tests.flows.test_mirror import ADDRESS, make

home, last = mirror_of(ADDRESS), int(sys.argv[1])
put = mirror.Mirror(home, ADDRESS).store
count = 0

def dying(name):
    real = getattr(put, name)
    def call(*args, **kwargs):
        global count
        count += 1
        if count > last:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(put, name, call)

with locked(home):
    make(home, "two", os.urandom(100))
    for name in ("put_file", "pipe_file"):
        dying(name)
"""


@pytest.mark.parametrize("last", [1, 3])  # of four: two files, the state, the head
def test_a_kill_in_the_middle_of_an_upload_leaves_what_was_there(s3, machine, last):
    here = machine("here")
    with locked(here):
        make(here)
    done = subprocess.run([sys.executable, "-c", KILLED, str(last)], env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    there = machine("there")
    pull(there)
    home = Home.at(there)
    assert set(home.latest()) == {"one"} and fsck(home) == []
    assert [str(one) for one in home.manifests()] == [f"one/{'f' * 16}"]
    with pytest.raises(HomeLocked), locked(there):
        pass
    with locked(here):  # the same machine goes on: its own lock stands, and the rest is brought
        pass
    pull(there)
    assert set(Home.at(there).latest()) == {"one", "two"} and fsck(home) == []


def test_a_data_set_that_came_back_other_than_it_went_is_refused(s3, machine):
    with locked(machine("here")):
        make(machine("here"))
    key = f"homes/a b/store/one/{'f' * 16}/sub/weights"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"changed")
    with pytest.raises(Exception, match="differs from its manifest"):
        pull(machine("there"))


def test_an_address_as_home_is_written_down_as_one(machine, tmp_path):
    settings = load_settings(None, [f"paths.home={ADDRESS}"])
    assert address_of(settings.paths.home) == ADDRESS
    path = tmp_path / "settings.toml"
    path.write_text(dump_settings(settings), "utf-8")
    assert ADDRESS in path.read_text()
    assert load_settings(path).paths.home == settings.paths.home
    with pytest.raises(SettingsError, match="credentials come from the environment"):
        load_settings(None, ["paths.home=s3://key:secret@bucket/home"])


def test_a_bucket_that_is_not_there_is_named(s3, machine):
    home = mirror_of("s3://no-such-bucket/home")
    with pytest.raises(InputError, match="s3://no-such-bucket/home: nothing there"), locked(home):
        pass


def test_commands_read_a_home_in_a_bucket(s3, machine):
    with locked(machine("here")):
        make(machine("here"))
    machine("there")
    command = [sys.executable, "-m", "flows.cli.main", "show", "--json", "--set"]
    done = subprocess.run(
        [*command, f"paths.home={ADDRESS}"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["rows"][0]["dataset"] == "one"
