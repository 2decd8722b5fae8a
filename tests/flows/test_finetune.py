"""The training stage: a test row that got among the train rows stops it, and nothing is stored."""

import polars as pl
import pytest

from flows.training import train_model
from pipeline.core.errors import TrainingError
from pipeline.core.outcome import Outcome, drops
from pipeline.core.stage import Stage
from pipeline.settings import Settings, TaskSettings, TrainSettings
from schemas.pairs import Examples
from tests.flows.test_steps import run_once
from tests.pipeline.train.seed_examples import make_examples

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def settings(tmp_path):
    settings = Settings()
    paths = settings.paths.model_copy(update={"home": tmp_path / "home"})
    train = TrainSettings(method="lora", rank=4, max_steps=1, evaluations=1)
    task = TaskSettings(passages=0)  # there are no documents to look up
    return settings.model_copy(update={"paths": paths, "train": train, "task": task})


def store_examples(run, examples):
    outcome = Outcome(examples, drops([]), rows_in=examples.height)
    return run(Stage("examples", lambda: outcome, Examples))


def test_replay_is_a_stage_with_its_own_ledger_and_never_silently_empty(settings, tiny_base):
    """A model of random weights does not end its answers: it is counted out."""
    share = settings.train.model_copy(update={"replay_share": 0.15})
    asking = settings.model_copy(update={"train": share})

    def work(run):
        with pytest.raises(TrainingError, match="replay: none of 1 answers of the base model"):
            train_model(run, tiny_base, store_examples(run, make_examples(8, 2)))

    _, run = run_once(asking, work)
    (line,) = [line for line in run.lines if line.stage == "replay"]
    facts = line.facts
    assert (facts.rows_in, facts.rows_kept, facts.reasons) == (1, 0, {"reply_cut": 1})


def test_a_planted_test_row_stops_the_run_by_name(settings, tiny_base):
    examples = make_examples(8, 2)
    planted = examples.head(1).with_columns(
        pair_id=pl.lit("f" * 16), cluster_id=pl.lit("f" * 16), split=pl.lit("test")
    )
    leaking = pl.concat([examples, planted])

    def work(run):
        return train_model(run, tiny_base, store_examples(run, leaking))

    with pytest.raises(TrainingError, match="leak: 1 rows of train or validation repeat test"):
        run_once(settings, work)
    assert not list((settings.paths.home / "store" / "model").glob("*/manifest.json"))
