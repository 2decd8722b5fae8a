"""The home folder: closed to others whatever the umask, unless it was given to a group."""

import json
import os
import stat

import pytest

from flows.engine.context import open_run
from flows.engine.home import is_shared, locked


@pytest.fixture(autouse=True)
def open_umask():
    """A caller who writes for everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def write_in(home):
    """Open a home as a run does, and return the modes of all that is in it then."""
    with locked(home):
        (home / "store").mkdir()
        (home / "store" / "manifest.json").touch()
        return {mode(path) for path in home.rglob("*") if path.is_file()}, mode(home / "store")


def test_a_new_home_is_its_owners_alone(tmp_path):
    home = tmp_path / "deep" / "home"
    assert write_in(home) == ({0o600}, 0o700)
    assert mode(home) == 0o700


@pytest.mark.parametrize("earlier", [0o755, 0o777, 0o775, 0o750, 0o2755])
def test_a_home_that_others_can_look_into_is_closed_when_it_is_opened(tmp_path, earlier):
    tmp_path.chmod(earlier)
    assert write_in(tmp_path)[0] == {0o600}
    assert mode(tmp_path) & 0o777 == 0o700


@pytest.mark.parametrize("earlier", [0o2770, 0o2775, 0o2777])
def test_a_home_that_was_given_to_its_group_stays_the_groups(tmp_path, earlier):
    tmp_path.chmod(earlier)
    assert is_shared(tmp_path)
    assert write_in(tmp_path)[0] == {0o660}
    assert mode(tmp_path) == 0o2770


def test_a_folder_of_everybody_is_not_closed(tmp_path):
    """``paths.home=/tmp`` must not lock the machine's users out."""
    tmp_path.chmod(0o1777)
    write_in(tmp_path)
    assert mode(tmp_path) == 0o1777


def test_a_run_that_was_stopped_says_so(settings):
    with pytest.raises(KeyboardInterrupt), open_run("run", settings) as run:
        raise KeyboardInterrupt
    record = json.loads((run.folder / "run.json").read_text())
    assert record["error"] == "KeyboardInterrupt: it was stopped from outside"
