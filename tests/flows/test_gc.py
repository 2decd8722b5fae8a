"""`tuneloop gc`: what refs and runs lead to stays, all else goes."""

import json

import pytest
from click.testing import CliRunner

from flows.cli.main import main
from flows.housekeeping.collect import collect
from pipeline.core.home import Home
from pipeline.core.registry import CHAMPION, Registry
from pipeline.core.store import Filled, Store
from tests.flows.trained_home import recipe


@pytest.fixture
def home(settings):
    """Three champions with their rows, references and verdicts; runs; what is left over."""
    path = settings.paths.home
    store, registry = Store(path / "store"), Registry(path / "refs")

    def made(name, number=0, **inputs):
        inputs = {key: str(item) for key, item in inputs.items()}
        return store.write_folder(
            recipe(name, {"n": number}, inputs), lambda folder: Filled(identity=())
        )

    for number in range(3):
        documents = made("documents", number)
        model = made("model", number, **{"from": made("examples", number, documents=documents)})
        made("drift_reference", number, model=model)
        verdict = made("verdict", number, model=model, answers=made("answers", number))
        registry.point(CHAMPION, model, "better", "2026-01-01T00:00:00Z", str(verdict))
    registry.point("dataset/documents", made("documents", 3), "curate", "2026-01-02T00:00:00Z")
    for day, number in ((1, 7), (2, 8)):
        run = path / "runs" / f"2026010{day}T000000Z-curate-abc"
        run.mkdir(parents=True)
        chunks = str(made("chunks", number, documents=made("documents", number)))
        (run / "run.json").write_text(json.dumps({"datasets": {"chunk": chunks}}))
    (path / "runs" / "20260103T000000Z-run-killed").mkdir()
    (store.root / "chunks" / "0123456789abcdef").mkdir()  # its manifest was deleted
    return Home.at(path)


def names(home):
    return sorted((item.dataset, item.settings["n"]) for item in home.manifests())


KINDS = ("answers", "documents", "drift_reference", "examples", "model", "verdict")


def test_what_refs_and_runs_lead_to_stays(settings, home):
    before = names(home)
    shown = collect(settings, None, act=False)
    assert names(home) == before, "to look changes nothing"
    done = collect(settings, None, act=True)
    assert done == shown and done["runs"] == []
    # The champion and the one that a rollback brings back; the first of the three is gone.
    kept = {(kind, number) for kind in KINDS for number in (1, 2)} | {("documents", 3)}
    kept |= {(kind, number) for kind in ("chunks", "documents") for number in (7, 8)}
    assert names(home) == sorted(kept)
    assert not (home.store.root / "chunks" / "0123456789abcdef").exists()
    assert home.registry.rollback(home.store, "back", "2026-01-04T00:00:00Z")
    assert collect(settings, None, act=True)["datasets"] == []


def test_runs_go_with_what_they_alone_lead_to(settings, home):
    done = collect(settings, 2, act=True)
    assert done["runs"] == ["20260101T000000Z-curate-abc"]
    left = [path.name for path in sorted((settings.paths.home / "runs").iterdir())]
    assert left == ["20260102T000000Z-curate-abc", "20260103T000000Z-run-killed"]
    assert ("chunks", 7) not in names(home) and ("chunks", 8) in names(home)


def test_with_a_damaged_manifest_nothing_is_deleted(settings, home):
    """What it was made of would count as garbage."""
    path = sorted(home.store.root.glob("model/*/manifest.json"))[0]
    path.write_text(path.read_text()[:-10])
    before = sorted(home.store.root.glob("*/*"))
    done = CliRunner().invoke(main, ["gc", "--yes", "--set", f"paths.home={settings.paths.home}"])
    assert done.exit_code == 2 and f"{path} is not a manifest" in done.stderr
    assert sorted(home.store.root.glob("*/*")) == before
