"""Several trainings side by side: methods on the same rows, and the same method on other rows."""

import json

import pytest

from flows.ablate import ablate
from flows.compare import compare
from pipeline.core.errors import SettingsError
from pipeline.report.compared import table
from pipeline.settings import Settings
from pipeline.train.models.base_model import BaseModel
from tests.flows.conftest import prefect
from tests.flows.synthesized_home import accept, synthesized_home

__all__ = ["prefect"]


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel, prefect: None
) -> Settings:
    folder = tmp_path_factory.mktemp("compare")
    return synthesized_home(folder, tiny_base.path.parent, tiny_base.path)


def started(settings: Settings) -> set[str]:
    """Stages that the latest run really did, rather than reuse."""
    run = max((settings.paths.home / "runs").glob("*-*"), key=lambda path: path.stat().st_mtime)
    events = map(json.loads, (run / "events.ndjson").read_text().splitlines())
    return {event["stage"] for event in events if event["event"] == "START"}


def test_methods_and_seeds_are_measured_alike_and_a_further_method_costs_only_itself(
    settings: Settings,
) -> None:
    two = compare(settings, ["lora"], seeds=2, steps=2).comparison
    assert "One seed" not in table(two)
    (lora,) = two.candidates
    first = settings.train.seed
    assert lora.seeds == (first, first + 1) and lora.steps == 2
    assert len(set(lora.test_loss_by_seed)) == 2, "two seeds give two models"
    assert lora.test_spread and lora.forgetting is not None and lora.difference is None
    assert lora.tokens_written and lora.tokens_written_merged
    assert lora.disk_bytes > 10_000
    assert 200e6 < lora.peak_memory_bytes < 4e9, "of a process of its own"

    report = compare(settings, ["lora", "prompt"], seeds=1, steps=2)
    found = report.comparison
    again, prompt = found.candidates
    assert again.test_loss_by_seed == lora.test_loss_by_seed[:1]
    assert not {stage for stage in started(settings) if "lora" in stage}
    assert prompt.tokens_written and prompt.tokens_written_merged is None, "it cannot be merged"
    assert prompt.trainable_parameters < lora.trainable_parameters
    assert prompt.difference is not None
    assert prompt.difference.value == pytest.approx(prompt.test_loss.value - again.test_loss.value)
    page = (settings.paths.home / "runs" / report.run.id / "report.html").read_text()
    assert "Methods compared" in page and "prompt" in page
    assert "prompt" in table(found)
    assert "One seed each: these trainings are told apart, not their recipes." in table(found)

    assert compare(settings, ["lora", "prompt"], seeds=1, steps=2).comparison == found
    assert started(settings) == {"compare"}, "every stage is reused"


def test_an_unknown_method_is_named(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="lorra"):
        compare(settings, ["lora", "lorra"])


def test_curation_is_judged_on_one_test_set_and_an_arm_without_rows_says_so(
    settings: Settings,
) -> None:
    found = ablate(settings, seeds=1, steps=2).comparison
    assert [one.name for one in found.candidates] == ["raw", "screened"]
    assert "review" in found.missing["reviewed"]
    raw, screened = found.candidates
    assert raw.train_rows > screened.train_rows > 0
    assert raw.steps == screened.steps == 2
    assert screened.difference is not None
    assert "reviewed: no pair" in table(found)

    accept(settings, 8)
    found = ablate(settings, seeds=1, steps=2).comparison
    assert [one.name for one in found.candidates] == ["raw", "screened", "reviewed"]
    assert not found.missing
    assert not {stage for stage in started(settings) if stage.startswith("train raw")}
    assert 0 < found.candidates[2].train_rows < screened.train_rows
