"""A champion whose model is gone: an error of every command that has to do with the champion."""

import shutil

import pytest
from click.testing import CliRunner

from flows.cli.main import main
from flows.engine.context import open_run
from flows.judging import champion_to_beat
from flows.monitor import monitor
from flows.retrain import retrain
from flows.sweep import sweep
from pipeline.core.errors import MissingDataset
from pipeline.core.registry import CHALLENGER, CHAMPION, Registry
from pipeline.core.store import Dataset, Filled, Store
from pipeline.settings import Settings
from tests.flows.trained_home import recipe


def model(settings: Settings, rank: int) -> Dataset:
    """A model of the home folder, without weights."""
    store = Store(settings.paths.home / "store")
    return store.write_folder(recipe("model", {"rank": rank}, {}), lambda _: Filled(identity=()))


def delete(settings: Settings, dataset: Dataset) -> None:
    shutil.rmtree(Store(settings.paths.home / "store").path(dataset))


@pytest.fixture
def gone(settings):
    """The second champion, of which only the ref is left."""
    registry = Registry(settings.paths.home / "refs")
    first, second = model(settings, 8), model(settings, 16)
    registry.point(CHAMPION, first, "first", "2026-01-01T00:00:00Z")
    registry.point(CHAMPION, second, "better", "2026-01-02T00:00:00Z")
    registry.point(CHALLENGER, first, "trained", "2026-01-02T00:00:00Z")
    delete(settings, second)
    return second


def call(settings: Settings, *words: str):
    return CliRunner().invoke(main, [*words, "--set", f"paths.home={settings.paths.home}"])


def said_of(gone: Dataset, error: str) -> bool:
    parts = (f"model/champion: it names {gone}, which is not in the store", "restore that folder",
             "`tuneloop rollback`", "`tuneloop promote`")  # fmt: skip
    return all(part in error for part in parts)


@pytest.mark.parametrize(
    "words",
    ["models", "models --json", "status", "status --json", "card", "card champion", "chat",
     "export champion --to {tmp}"],
)  # fmt: skip
def test_a_command_says_in_one_line_what_is_gone_and_how_to_get_it_back(
    settings, gone, words, tmp_path
):
    done = call(settings, *words.format(tmp=tmp_path / "out").split())
    lines = [line for line in done.stderr.splitlines() if line.startswith("tuneloop: ")]
    assert done.exit_code == 2 and len(lines) == 1, done.output
    assert said_of(gone, lines[0])


@pytest.mark.parametrize("words", ["models", "status"])
def test_what_is_left_is_listed_before_the_error(settings, gone, words):
    done = call(settings, words)
    assert Registry(settings.paths.home / "refs").get(CHALLENGER).fingerprint[:12] in done.stdout


def test_the_only_model_gone_is_not_no_model_yet(settings, gone):
    shutil.rmtree(settings.paths.home / "store" / "model")
    done = call(settings, "models")
    assert done.exit_code == 2 and done.stdout == ""


@pytest.mark.parametrize(
    ("flow", "given"), [(monitor, {}), (retrain, {"dry_run": True}), (sweep, {"model": "champion"})]
)
def test_a_flow_that_needs_the_champion_fails_and_does_not_end_in_green(
    prefect, settings, gone, flow, given
):
    with pytest.raises(MissingDataset) as caught:
        flow(settings, **given)
    assert said_of(gone, str(caught.value))


def test_nothing_is_judged_against_a_champion_that_is_gone(prefect, settings, gone):
    with open_run("run", settings) as run, pytest.raises(MissingDataset) as caught:
        champion_to_beat(run, model(settings, 32))
    assert said_of(gone, str(caught.value))


def test_rollback_and_promote_are_ways_back(settings, gone):
    assert call(settings, "rollback", "--reason", "it is gone").exit_code == 0
    assert call(settings, "models").exit_code == 0
    registry = Registry(settings.paths.home / "refs")
    third = model(settings, 32)
    registry.point(CHAMPION, third, "better", "2026-01-03T00:00:00Z")
    delete(settings, third)
    assert call(settings, "promote", "--reason", "it is gone").exit_code == 0
    assert call(settings, "models").exit_code == 0


def test_no_champion_at_all_is_no_error(prefect, settings, capsys):
    assert monitor(settings) is None  # before the first run
    model(settings, 8)
    assert monitor(settings) is None
    assert "no champion with a drift reference yet" in capsys.readouterr().err
    assert call(settings, "models").exit_code == 0
    done = call(settings, "status")
    assert done.exit_code == 0 and "none yet; `tuneloop run` makes one" in done.stdout
