"""The sweep as a flow on a really trained tiny model: measured once, applied as a new model."""

import json

import pytest

from flows.engine.context import open_run
from flows.sweep import make_scaled, read_frontier, sweep, table
from pipeline.core.errors import InputError
from pipeline.core.home import Home
from pipeline.core.registry import CHALLENGER
from tests.conftest import ROOT
from tests.flows.judged_home import settings_of, train_into

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def general(tmp_path_factory):
    """Four texts of the repository's general set, and no questions."""
    folder = tmp_path_factory.mktemp("general")
    texts = (ROOT / "data/general/texts.jsonl").read_text("utf-8").splitlines()[:4]
    (folder / "texts.jsonl").write_text("\n".join(texts), "utf-8")
    (folder / "questions.jsonl").write_text("", "utf-8")
    return folder


def test_scales_are_measured_once_and_one_becomes_a_model(prefect, tiny_base, tmp_path, general):
    home = tmp_path / "home"
    model = train_into(home, tiny_base)
    settings = settings_of(
        tiny_base, home, paths={"home": home, "general": general},
        forgetting={"scales": [0.5, 1.0]},
    )  # fmt: skip
    assert sweep(settings, model=model.fingerprint) is None
    opened = Home.at(home)
    dataset = opened.dataset("sweep")
    found = read_frontier(opened.store.path(dataset))
    assert [point.scale for point in found.points] == [0.5, 1.0]
    assert found.points[0].general_loss != found.points[1].general_loss
    assert len(table(found)) == 3
    before = (opened.store.path(dataset) / "sweep.json").stat().st_mtime_ns
    sweep(settings, model=model.fingerprint)
    assert opened.dataset("sweep") == dataset
    assert (opened.store.path(dataset) / "sweep.json").stat().st_mtime_ns == before

    with open_run("sweep", settings) as run:
        half = make_scaled(run, model, 0.5)
        assert make_scaled(run, model, 0.5) == half
    manifest = opened.store.manifest("model", half.fingerprint)
    assert manifest.inputs["of"] == str(model)
    assert (
        manifest.inputs["from"] == opened.store.manifest("model", model.fingerprint).inputs["from"]
    )
    assert half.content != model.content
    card = json.loads((opened.store.path(half) / "run_card.json").read_text())
    assert card["scale"] == 0.5


def test_a_sweep_needs_a_model_and_a_general_set(prefect, tiny_base, tmp_path):
    home = tmp_path / "home"
    model = train_into(home, tiny_base)
    with pytest.raises(InputError, match="model 'challenger': not found"):
        sweep(settings_of(tiny_base, home))
    Home.at(home).registry.point(CHALLENGER, model, "trained", "2026-01-01T00:00:00Z")
    with pytest.raises(InputError, match=r"paths.general is empty"):
        sweep(settings_of(tiny_base, home, paths={"home": home, "general": ""}))
