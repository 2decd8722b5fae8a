"""The mirror in MLflow: a real sqlite file, filled from a real home folder, once."""

import json
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.launch import launch
from flows.cli.main import main
from flows.engine.tracking import curves, mirror, numbers
from pipeline.core.errors import SettingsError
from pipeline.core.registry import CHALLENGER
from pipeline.core.store import Filled, Store
from tests.flows.trained_home import crown, recipe, settings_of, train_into


@pytest.fixture(scope="module")
def original(tiny_base, tmp_path_factory):
    """A home with two models; the first is champion and was judged, the second challenges."""
    folder = tmp_path_factory.mktemp("tracking") / "home"
    first = train_into(folder, tiny_base)
    second = train_into(folder, tiny_base, method="lora")
    record = {
        "evaluation": {"arms": {"base": {"loss": {"value": 2.5}}, "challenger": {}}},
        "challenger": str(first),
        "verdict": {"promoted": True, "summary": "better by 0.5 nats", "reasons": ["a", "b"]},
    }

    def fill(target):
        (target / "verdict.json").write_text(json.dumps(record))
        return Filled(identity=("verdict.json",))

    Store(folder / "store").write_folder(recipe("verdict", {}, {"model": str(first)}), fill)
    crown(folder, first)
    crown(folder, second, CHALLENGER)
    return folder, first, second


@pytest.fixture
def home(original, tmp_path):
    """A copy for one test."""
    folder, first, second = original
    return shutil.copytree(folder, tmp_path / "home"), first, second


@pytest.fixture
def client(home):
    from mlflow import MlflowClient

    uri = f"sqlite:///{home[0]}/mlflow.db"
    return lambda: MlflowClient(uri, uri)


def rows(file):
    """Every row of every table of the file."""
    with sqlite3.connect(file) as connection:
        tables = connection.execute("select name from sqlite_master where type = 'table'")
        return {
            name: sorted(map(repr, connection.execute(f'select * from "{name}"')))
            for (name,) in list(tables)
        }


def test_runs_curves_verdict_and_aliases_are_mirrored_once(home, tiny_base, client):
    folder, first, second = home
    settings = settings_of(tiny_base, folder, tracking={"mlflow": "sqlite:///mlflow.db"})
    mirror(settings)
    mlflow = client()
    experiment = mlflow.get_experiment_by_name("tuneloop")
    runs = {
        run.data.tags["tuneloop.model"]: run
        for run in mlflow.search_runs([experiment.experiment_id])
    }
    assert set(runs) == {first.fingerprint, second.fingerprint}
    run = runs[first.fingerprint]
    assert run.data.params["method"] == "qlora"
    assert run.data.params["base_model"] == tiny_base.name
    training = json.loads((Store(folder / "store").path(first) / "training.json").read_text())
    for name in (
        "train_loss", "validation_loss", "learning_rate", "gradient_norm", "step_speed",
    ):  # fmt: skip
        assert training[name], name
        history = mlflow.get_metric_history(run.info.run_id, name)
        assert [[point.step, point.value] for point in history] == training[name]
    assert run.data.metrics["evaluation/arms/base/loss/value"] == 2.5
    assert run.data.tags["tuneloop.gate"] == "promoted"
    for alias, model in (("champion", first), ("challenger", second)):
        version = mlflow.get_model_version_by_alias("tuneloop", alias)
        assert version.tags["tuneloop.model"] == model.fingerprint
        assert version.source == Store(folder / "store").path(model).as_uri()
    before = rows(folder / "mlflow.db")
    mirror(settings)
    assert rows(folder / "mlflow.db") == before, "a second mirror adds nothing"


def test_aliases_follow_promote_and_rollback(home, tiny_base, client):
    folder, first, second = home
    options = [
        "--reason", "a try", "--set", f"paths.home={folder}",
        "--set", "tracking.mlflow=sqlite:///mlflow.db",
    ]  # fmt: skip
    for command, champion in (("promote", second), ("rollback", first)):
        done = CliRunner().invoke(main, [command, *options])
        assert done.exit_code == 0, done.stderr
        version = client().get_model_version_by_alias("tuneloop", "champion")
        assert version.tags["tuneloop.model"] == champion.fingerprint, command


def test_a_run_that_was_cut_off_is_written_again(home, tiny_base, client):
    folder, first, _ = home
    settings = settings_of(tiny_base, folder, tracking={"mlflow": "sqlite:///mlflow.db"})
    mirror(settings)
    mlflow = client()
    experiment = mlflow.get_experiment_by_name("tuneloop").experiment_id
    query = f"tags.`tuneloop.model` = '{first.fingerprint}'"
    (run,) = mlflow.search_runs([experiment], query)
    mlflow.update_run(run.info.run_id, status="RUNNING")
    mirror(settings)
    (again,) = client().search_runs([experiment], query)
    assert again.info.run_id != run.info.run_id
    assert again.data.metrics == run.data.metrics
    assert again.data.tags["tuneloop.gate"] == "promoted"
    version = client().get_model_version_by_alias("tuneloop", "champion")
    assert version.run_id == again.info.run_id


def test_it_is_off_by_default_and_a_missing_extra_is_named(home, tiny_base, monkeypatch):
    folder, *_ = home
    mirror(settings_of(tiny_base, folder))
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    hidden = [path for path in sys.path if not Path(path, "mlflow").is_dir()]
    monkeypatch.setattr(sys, "path", hidden)  # as if the extra were not installed
    settings = settings_of(tiny_base, folder, tracking={"mlflow": "sqlite:///mlflow.db"})
    with pytest.raises(SettingsError, match=r"tuneloop\[mlflow\]"):
        mirror(settings)
    with pytest.raises(SettingsError, match=r"tuneloop\[mlflow\]"):
        launch("run", settings)
    assert not (folder / "mlflow.db").exists()


def test_only_a_local_file_is_accepted(home, tiny_base):
    from pydantic import ValidationError

    with pytest.raises(ValidationError, match="pattern"):
        settings_of(tiny_base, home[0], tracking={"mlflow": "http://somewhere:5000"})


def test_numbers_and_curves_are_found_by_their_form():
    found = dict(numbers({"a": {"b": 1, "c": "text", "d": None, "e": True}, "f": [1, 2]}))
    assert found == {"a/b": 1.0, "a/e": 1.0}
    training = {"loss": [[1, 0.5], [2, 0.25]], "rows": [{"id": "x"}], "steps": 2, "none": []}
    assert list(curves(training)) == [("loss", 1, 0.5), ("loss", 2, 0.25)]
