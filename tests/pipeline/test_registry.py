"""Refs: moved atomically, logged with a reason, rolled back."""

import json

import pytest

from pipeline.core.errors import CorruptDataset, InputError
from pipeline.core.manifest import Recipe
from pipeline.core.registry import CHAMPION, Registry
from pipeline.core.store import Filled, Store

AT = "2026-01-01T00:00:00Z"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def model(store, key):
    made = {"dataset": "model", "fingerprint": key * 16, "created_at": AT}
    recipe = Recipe(**made, stage_version=1, settings={}, inputs={}, code={}, libraries={})

    def fill(folder):
        (folder / "weights").write_text(key)
        return Filled(identity=("weights",))

    return store.write_folder(recipe, fill)


def test_rollback_brings_the_model_before_back(tmp_path, store):
    registry = Registry(tmp_path / "refs")
    first, second = model(store, "a"), model(store, "b")
    registry.point(CHAMPION, first, "first", AT)
    registry.point(CHAMPION, second, "better", AT)
    assert registry.dataset(CHAMPION, store) == second
    registry.rollback(store, "answers nonsense", AT)
    assert registry.dataset(CHAMPION, store) == first
    log = [json.loads(line) for line in (tmp_path / "refs" / "refs.log").read_text().splitlines()]
    assert [line["reason"] for line in log] == ["first", "better", "answers nonsense"]
    assert registry.was(CHAMPION, second.fingerprint)


def test_pointing_twice_to_the_same_model_is_logged_once(tmp_path, store):
    registry = Registry(tmp_path / "refs")
    first = model(store, "a")
    registry.point(CHAMPION, first, "first", AT)
    registry.point(CHAMPION, first, "again", AT)
    assert len((tmp_path / "refs" / "refs.log").read_text().splitlines()) == 1


def test_rollback_without_an_earlier_champion_is_refused(tmp_path, store):
    registry = Registry(tmp_path / "refs")
    with pytest.raises(InputError, match="no champion found"):
        registry.rollback(store, "x", AT)
    registry.point(CHAMPION, model(store, "a"), "first", AT)
    with pytest.raises(InputError, match="replaced no other"):
        registry.rollback(store, "x", AT)


def test_a_damaged_ref_is_named(tmp_path):
    registry = Registry(tmp_path / "refs")
    path = tmp_path / "refs" / CHAMPION
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(CorruptDataset, match="is not a ref"):
        registry.get(CHAMPION)


def test_a_torn_line_of_the_log_is_said_and_loses_no_other(tmp_path, store):
    """A rolled back model stays back although the log was torn after it."""
    said = []
    registry = Registry(tmp_path / "refs", said.append)
    first, second, third = (model(store, key) for key in "abc")
    registry.point(CHAMPION, first, "first", AT)
    registry.point(CHAMPION, second, "better", AT)
    with (tmp_path / "refs" / "refs.log").open("a") as log:
        log.write('{"ref": "model/champ')
    registry.point(CHAMPION, third, "best", AT)
    registry.point(CHAMPION, first, "rolled back", AT)
    assert all(registry.was(CHAMPION, item.fingerprint) for item in (first, second, third))
    assert "line 3 found that is no JSON object" in said[0]


def test_a_champion_whose_line_was_lost_is_logged_with_the_next_one(tmp_path, store):
    """The ref is written before its line: a crash may come between."""
    registry = Registry(tmp_path / "refs")
    first, second, third = (model(store, key) for key in "abc")
    registry.point(CHAMPION, first, "first", AT)
    (tmp_path / "refs" / "refs.log").unlink()
    assert registry.was(CHAMPION, first.fingerprint)
    registry.point(CHAMPION, second, "better", AT)
    registry.point(CHAMPION, third, "best", AT)
    log = [json.loads(line) for line in (tmp_path / "refs" / "refs.log").read_text().splitlines()]
    assert [line["reason"] for line in log] == ["first", "better", "best"]
    assert registry.was(CHAMPION, first.fingerprint)
