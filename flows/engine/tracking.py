"""Mirror models, their curves, their judgement and the registry's refs in MLflow.

Made from the store at any time; it goes on where it was interrupted, and adds nothing the second
time. MLflow gets names, numbers and a path, no copy of a model.
"""

import importlib.util
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.engine import environment
from pipeline.core.errors import SettingsError
from pipeline.core.manifest import Manifest
from pipeline.settings import Settings, TrackingSettings

MODEL, VERDICT = "tuneloop.model", "tuneloop.verdict"
"""Tags of an MLflow run: fingerprints of the model, and of the judgement it shows."""
if TYPE_CHECKING:
    from pipeline.core.home import Home

LONGEST = 500  # characters of a parameter or tag that are kept
FIRST = "sqlite:///"


def mirror(settings: Settings) -> None:
    """Bring MLflow up to date with the home folder, when tracking is on.

    Each model is a run (settings, curves, judgement) and a version of one registered model; the
    aliases ``champion`` and ``challenger`` are the refs. A SettingsError where there is no MLflow.
    """
    if not settings.tracking.mlflow:
        return
    from pipeline.core.home import Home  # half a second of each command
    from pipeline.core.registry import CHALLENGER, CHAMPION

    environment.prepare(settings.paths.home)
    client = _client(settings.tracking, settings.paths.home)
    home = Home.at(settings.paths.home)
    manifests = home.manifests()
    verdicts = [row for row in manifests if row.dataset == "verdict" and "model" in row.inputs]
    judged = {item.inputs["model"].partition("/")[2]: item for item in verdicts}  # the last ones
    name = settings.tracking.name
    found = client.get_experiment_by_name(name)
    root = home.store.root.absolute().as_uri()
    experiment = found.experiment_id if found else client.create_experiment(name, root)
    version_of = {}
    for model in (item for item in manifests if item.dataset == "model"):
        folder = home.store.folder(model.dataset, model.fingerprint)
        run = _run(client, experiment, model, folder)
        verdict = judged.get(model.fingerprint)
        if verdict is not None and run.data.tags.get(VERDICT) != verdict.fingerprint:
            _log_verdict(client, run.info.run_id, verdict, home)
        version_of[model.fingerprint] = _version(client, name, model, folder, run.info.run_id)
    for ref in (CHAMPION, CHALLENGER) if version_of else ():
        alias, entry = ref.partition("/")[2], home.registry.get(ref)
        if entry and entry.fingerprint in version_of:
            client.set_registered_model_alias(name, alias, version_of[entry.fingerprint])
        else:
            client.delete_registered_model_alias(name, alias)


def require_mlflow(tracking: TrackingSettings) -> None:
    """Raise SettingsError when tracking is on and MLflow is not installed."""
    if tracking.mlflow and importlib.util.find_spec("mlflow") is None:
        raise SettingsError(
            f"tracking.mlflow: {tracking.mlflow!r} found and mlflow is not installed; expected the "
            'extra; run `pip install "tuneloop[mlflow]"`, or set tracking.mlflow = ""'
        )


def numbers(value: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield (path, number) for the numbers in nested mappings; lists and texts are left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from numbers(inner, f"{prefix}/{key}" if prefix else str(key))
    elif isinstance(value, int | float) and prefix:
        yield prefix, float(value)


def curves(training: Mapping[str, Any]) -> Iterator[tuple[str, int, float]]:
    """Yield (name, step, value) for each list of (step, value) pairs of a training."""
    for name, points in training.items():
        for point in points if isinstance(points, list) else ():
            if isinstance(point, list) and len(point) == 2 and isinstance(point[0], int):
                yield name, point[0], float(point[1])


def _client(tracking: TrackingSettings, home: Path) -> Any:
    require_mlflow(tracking)
    from mlflow import MlflowClient

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    file = home.absolute() / tracking.mlflow.removeprefix(FIRST)
    file.parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(f"{FIRST}{file}", f"{FIRST}{file}")


def _run(client: Any, experiment: str, model: Manifest, folder: Path) -> Any:
    """Return the run of a model; a half-written one is written again."""
    for found in client.search_runs([experiment], f"tags.`{MODEL}` = '{model.fingerprint}'"):
        if found.info.status == "FINISHED":
            return found
        client.delete_run(found.info.run_id)
    from mlflow.entities import Metric, Param

    started = _milliseconds(model.created_at)
    tags = {MODEL: model.fingerprint, "tuneloop.content": model.content}
    run = client.create_run(experiment, started, tags, run_name=model.fingerprint[:8])
    key = run.info.run_id
    card = _read(folder / "run_card.json")
    settings = model.settings | {"base_model": card.get("base_model", {}).get("name")}
    parameters = []
    for name, value in settings.items():
        if text := value if isinstance(value, str) else json.dumps(value):
            parameters.append(Param(name, text[:LONGEST]))
    training = _read(folder / "training.json")
    metrics = [Metric(name, value, started + step, step) for name, step, value in curves(training)]
    metrics += [Metric(name, value, started, 0) for name, value in numbers(training)]
    client.log_batch(key, metrics, parameters)
    client.set_terminated(key, "FINISHED", started + int(1000 * model.facts.seconds))
    return client.get_run(key)


def _log_verdict(client: Any, run: str, verdict: Manifest, home: "Home") -> None:
    from mlflow.entities import Metric

    record = _read(home.store.folder(verdict.dataset, verdict.fingerprint) / "verdict.json")
    at = _milliseconds(verdict.created_at)
    metrics = [Metric(name, value, at, 0) for name, value in numbers(record)]
    client.log_batch(run, metrics)
    said = record.get("verdict", {})
    client.set_tag(run, "tuneloop.gate", "promoted" if said.get("promoted") else "kept")
    client.set_tag(run, "tuneloop.gate.summary", str(said.get("summary", ""))[:LONGEST])
    client.set_tag(run, VERDICT, verdict.fingerprint)  # last: without it, it is logged again


def _version(client: Any, name: str, model: Manifest, folder: Path, run: str) -> str:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    known = client.search_model_versions(f"name = '{name}' and run_id = '{run}'")
    tags, source = {MODEL: model.fingerprint}, folder.absolute().as_uri()
    found = known[0] if known else client.create_model_version(name, source, run, tags)
    return str(found.version)


def _read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}


def _milliseconds(at: str) -> int:
    return int(1000 * datetime.fromisoformat(at).timestamp())
