"""Does curation pay? The same training on raw, on screened and on reviewed pairs."""

from prefect import flow

from flows.compare import method_settings, train_and_measure
from flows.curate import Corpus
from flows.engine.context import Run, open_run
from flows.models.loaded_model import base_model
from flows.training import latest_data
from flows.views.report import write_report
from pipeline.core.errors import InputError, TrainingError
from pipeline.core.home import Home
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.dedup.decontaminate import check_leaks
from pipeline.pairs.ablation import ARM_PAIRS
from pipeline.pairs.examples import ARM_EXAMPLES
from pipeline.report.contents import Report
from pipeline.settings import Settings
from pipeline.train.models.base_model import hidden_size
from schemas.pairs import Examples, Pairs, ScreenedPairs, SettledPairs

WHY_MISSING = {
    "screened": "no screened pair of a train document",
    "reviewed": "no pair of a train document is reviewed yet: decide some with "
    "`tuneloop review`, then run this again",
}


@flow(name="ablate", timeout_seconds=48 * 3600)
def ablate(settings: Settings, seeds: int = 2, steps: int = 24) -> Report | None:
    """Train on raw, screened and reviewed pairs of the train documents, and compare on test.

    All have the same method, ``steps``, ``seeds`` trainings, validation rows and frozen test
    set; no training stops early. Gold rows are in none: a person wrote those. An arm without
    rows says so. A MissingDataset where nothing was synthesized yet, an InputError without
    validation or test row or raw pair, a TrainingError where a train row repeats one of those.
    """
    with open_run("ablate", settings) as run:
        home = Home.at(run.home)
        base = base_model(settings)
        corpus, screened, data = latest_data(run)
        counts = dict(run.store.read(data.pairs, SettledPairs).group_by("split").len().iter_rows())
        if not counts.get("validation") or not counts.get("test"):
            raise InputError(
                f"ablate: {counts.get('validation', 0)} validation and {counts.get('test', 0)} "
                "test rows found; expected at least one of each; review more pairs or add gold rows"
            )
        sources = {
            "raw": (home.dataset("candidate_pairs"), Pairs),
            "screened": (screened, ScreenedPairs),
            "reviewed": (data.pairs, SettledPairs),
        }
        arms = {name: _arm(run, name, *made, corpus, data.pairs) for name, made in sources.items()}
        rows = {name: run.store.read(arm, Examples) for name, arm in arms.items()}
        counts = {name: one.filter(split="train").height for name, one in rows.items()}
        if not counts["raw"]:
            raise InputError(
                "ablate: no raw pair of a train document found; expected some; run "
                "`tuneloop synthesize`"
            )
        missing = {name: why for name, why in WHY_MISSING.items() if not counts[name]}
        width = hidden_size(base.path)
        plan = method_settings(settings.train, settings.train.method, steps, width)
        plan = plan.model_copy(update={"patience": plan.evaluations + 1})
        plans = {name: (one, plan) for name, one in rows.items() if name not in missing}
        shown = train_and_measure(run, base, data.examples, plans, seeds, "data", **missing)
        return write_report(run, comparison=shown)


def _arm(
    run: Run, name: str, source: Dataset, schema: type[Pairs], corpus: Corpus, settled: Dataset
) -> Dataset:
    """Return the examples of an arm: its train rows, and the validation rows of all."""
    pairs = run(
        ARM_PAIRS.named(f"pairs {name}"),
        source=Given(run.store.read(source, schema), source.content),
        settled=settled,
        splits=corpus.splits,
        reviewed=Given(name == "reviewed"),
        parents={"source": source},
    )
    leaks = check_leaks(run.store.read(pairs, SettledPairs))
    if leaks:
        raise TrainingError(
            f"leak check of {name}: {len(leaks)} train rows repeat held-out rows after "
            "decontamination; expected none; this is a bug, please report it with the run folder"
        )
    return run(ARM_EXAMPLES.named(f"examples {name}"), pairs=pairs)
