"""The search keeps its limits, stops what is behind, and survives a kill."""

import json
import signal
import subprocess
import sys

import pytest

from pipeline.train.tune.choice import choose
from tests.pipeline.train.tune.search_once import SMALL, job, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tune")


@pytest.fixture(scope="module")
def undisturbed(tiny_base, folder):
    """A whole search that nothing disturbed, and what it said."""
    from flows.tune import _rise
    from pipeline.core.store import Store
    from pipeline.settings import ModelSettings, PathSettings, Settings, TuneSettings

    settings = Settings(
        paths=PathSettings(general="data/general"),
        tune=TuneSettings(general_texts=1),
        model=ModelSettings(threads=1),
    )
    measure = _rise(settings, Store(folder / "home"), tiny_base)
    return run(job(tiny_base, measure), folder / "whole")


def facts(study):
    return [
        (trial.params, trial.state.name, trial.intermediate_values, trial.user_attrs["settings"])
        for trial in study.trials
    ]


def test_it_starts_from_the_closed_form_and_names_the_best_complete_trial(undisturbed, tiny_base):
    study, said = undisturbed
    assert study.trials[0].params == {"method": "lora", "rate": 1.0, "rank": 8, "targets": "all"}
    choice = choose(study, job(tiny_base).tune, "x")
    assert len(choice.trials) == len(said) == SMALL["trials"]
    complete = {trial.number: trial.loss for trial in choice.trials if trial.state == "complete"}
    assert choice.winner == min(complete, key=complete.get)
    assert choice.winner in choice.front
    assert choice.settings["method"] in SMALL["methods"]


def test_what_is_behind_is_stopped_at_the_first_rung(undisturbed):
    losses = []
    for trial in undisturbed[0].trials:
        first = trial.intermediate_values[2]
        losses.append(first)
        goes_on = sorted(losses)[: max(1, len(losses) // SMALL["reduction"])]
        assert (trial.state.name == "COMPLETE") == (first <= goes_on[-1])
        assert (4 in trial.intermediate_values) == (trial.state.name == "COMPLETE")


def test_a_killed_search_goes_on_in_the_middle_and_ends_the_same(
    undisturbed, tiny_base, models_dir, folder
):
    given = {
        "base": str(tiny_base.path), "models": str(models_dir), "folder": str(folder / "killed"),
        "kill_at": [0, 3],
    }  # fmt: skip
    killed = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.train.tune.search_once", json.dumps(given)],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    stored = list((folder / "killed" / "trial-000" / "work").glob("step-*"))
    assert [path.name for path in stored] == ["step-000002"]
    study, said = run(job(tiny_base), folder / "killed")
    assert len(said) == SMALL["trials"]
    assert facts(study) == facts(undisturbed[0])
    again, said = run(job(tiny_base), folder / "killed")
    assert said == []
    assert facts(again) == facts(study)


def test_a_winner_must_not_forget_more_than_the_limit(undisturbed, tiny_base):
    study, tune = undisturbed[0], job(tiny_base).tune
    choice = choose(study, tune, "x")
    forgot = choice.trials[choice.winner].forgetting
    assert forgot is not None
    limit = tune.model_copy(update={"max_forgetting": forgot - 1e-6})
    assert choose(study, limit, "x").winner != choice.winner


def test_what_would_not_fit_is_never_trained(tiny_base, tmp_path):
    study, said = run(job(tiny_base, max_gigabytes=0.1, trials=2), tmp_path)
    assert all("would take" in line for line in said)
    assert not list(tmp_path.glob("trial-*"))
    assert choose(study, job(tiny_base).tune, "x").winner is None


def test_a_search_out_of_time_goes_on_with_more(tiny_base, tmp_path):
    study, said = run(job(tiny_base, budget_minutes=1e-9, trials=1), tmp_path)
    assert said == ["trial   0  unfinished: tune.budget_minutes is spent"]
    assert choose(study, job(tiny_base).tune, "x").trials[0].state == "unfinished"
    study, said = run(job(tiny_base, trials=1), tmp_path)
    assert len(said) == 1
    assert study.trials[0].state.name == "COMPLETE"


def test_a_trial_without_memory_is_pruned_and_does_not_come_again(tiny_base, tmp_path):
    import torch

    study, said = run(job(tiny_base, lambda _: torch.empty(2**46), trials=2), tmp_path)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED"]
    assert "memory: there is none left" in study.trials[0].user_attrs["stopped"]
    again, more = run(job(tiny_base, trials=2), tmp_path)
    assert len(again.trials) == len(said) == 2
    assert more == []
