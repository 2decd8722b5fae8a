"""The whole loop once: documents to a judged model, with its drift baseline and report."""

from dataclasses import replace

from prefect import flow

from flows.arms import NO_TEST_ROWS, answer_prompted, foresee_power, prepare_test_set
from flows.curate import Corpus, curate_documents, input_files
from flows.engine.context import Run, open_run, say
from flows.engine.tracking import mirror
from flows.judging import judge_model, look_at_answers
from flows.models.loaded_model import LoadedModel, base_model
from flows.retention import measure_arm
from flows.review import review_pairs
from flows.services.automations import tell
from flows.synthesize import check_own_files, generate_pairs
from flows.training import TrainingData, build_examples, store_drift_baseline, train_model
from flows.views.report import write_report
from pipeline.core.home import Home
from pipeline.core.store import Dataset
from pipeline.evaluate.gate.gate import Judged
from pipeline.report.contents import Report
from pipeline.settings import Settings
from pipeline.train.models.base_model import BaseModel
from pipeline.train.peak_memory import free_memory


@flow(name="run")
def run_loop(settings: Settings) -> Report:
    """Take the documents to a judged model; what is done already is reused."""
    with open_run("run", settings) as run:
        files = input_files(run)
        check_own_files(settings)
        base = base_model(run.settings)
        corpus = curate_documents(run, base, files)
        screened, asked = generate_pairs(run, base, corpus)
        free_memory()  # the teacher's model is not needed any more
        data = build_examples(run, corpus, review_pairs(run, corpus, screened))
        judged = train_and_judge(run, base, corpus, data)
        return write_report(run, judged, asked=asked)


def train_and_judge(
    run: Run, base: BaseModel, corpus: Corpus, data: TrainingData, model: Dataset | None = None
) -> Judged:
    """Train the challenger, judge it, and keep its drift reference.

    A model that is given is judged instead. The base model is asked everything first, so that one
    knows what the test set can show before training.
    """
    examples = data.examples
    if model is not None:
        made_from = run.store.manifest(model.name, model.fingerprint).inputs["from"]
        examples = Home(run.store, run.registry).dataset(made_from)
    learned = look_at_answers(run, data.pairs, examples, corpus.chunks)  # before hours of training
    test = prepare_test_set(run, base, corpus, data)
    with LoadedModel(base, run.settings.model, run.store) as loaded:
        prompted = answer_prompted(run, loaded, test)
        measured = measure_arm(run, loaded, test, "base", None)
        say(str(foresee_power(run, prompted, test)) if test.frozen.rows else NO_TEST_ROWS)
    model = model or train_model(run, base, data.examples)  # the trainer loads its own
    with loaded:
        judged = judge_model(run, data, test, model, loaded, prompted, measured, learned)
        store_drift_baseline(run, corpus, data, model, loaded)
    # By the look that is this model's: a second run has had it already.
    foresight = foresee_power(run, prompted, test, model)
    mirror(run.settings)
    tell(run.settings, "tuneloop: verdict", judged.verdict.summary)
    return replace(judged, evaluation=replace(judged.evaluation, foresight=foresight))
