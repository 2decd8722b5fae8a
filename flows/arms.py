"""The arms of the evaluation: one frozen test set, asked in each arm's own way.

The arms of the base model come before the training: they say what the test set can show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from flows.curate import Corpus
from flows.engine.context import Run, say, say_once
from flows.models.loaded_model import LoadedModel
from flows.training import TrainingData, train_model
from pipeline.core.cache import digest
from pipeline.core.journal import append, now, read_rows
from pipeline.core.manifest import content_digest
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.evaluate.answers.prompts import Material, Passage
from pipeline.evaluate.answers.retrieval import find_chunks, passages_of
from pipeline.evaluate.measures.grounding import source_texts
from pipeline.evaluate.results import Claim, Foresight, Looks
from pipeline.evaluate.stages import ANSWER, LARGER, LOSSES, TEST_SET
from pipeline.evaluate.statistics import power
from pipeline.evaluate.test_set import answer_limit, label_rows, nearest_examples, shots_of
from pipeline.pairs.assignment import unit_of
from pipeline.pairs.teachers.kinds import TEACHERS
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.settings import TeacherSettings
from pipeline.text.chat_template import Message
from pipeline.train.models.base_model import BaseModel, load_tokenizer, token_counter
from pipeline.train.stages import TRAIN
from schemas.documents import Chunks, UniqueDocuments
from schemas.evaluation import Answers, HeldOutLosses
from schemas.pairs import Examples, SettledPairs

LOOKS = "looks.jsonl"
NO_TEST_ROWS = (
    "test set: no rows yet: a model will be trained, and nothing can tell whether it is right; "
    "accept pairs (`tuneloop review`) or name expert answers (paths.gold), and run again"
)
RETRIEVING = ("retrieval", "challenger_retrieval")
PROMPTED = ("few_shot", "retrieval", "chain_of_thought")
"""Arms of the base model that are switched on in the settings."""


Shots = Mapping[str, list[Message]]


@dataclass(frozen=True, slots=True)
class TestSet:
    """The frozen rows, and what arms put before them, by pair_id."""

    __test__ = False  # pytest: not a test, despite its name

    frozen: Dataset
    shots: Shots
    passages: Mapping[str, Passage]
    sources: Mapping[str, str]  # what an answer must stand in to be grounded
    labels: Mapping[str, Mapping[str, str]]  # by dimension, for the slices
    unit: str  # what was split: ``documents`` or ``sections``
    answer_tokens: int  # an answer is cut there


def which_look(run: Run, frozen: Dataset, model: Dataset | None = None) -> Looks:
    """Return which look at the test set this is, and the confidence that it leaves.

    Each new model that is compared on the same rows is another chance to win by luck; the same
    model again is no new look. Test sets are the same by content, or when most of their rows are.
    A model about to be judged is written down, in ``monitor/looks.jsonl``.
    """
    settings = run.settings.evaluate
    path = run.home / "monitor" / LOOKS
    pairs = run.store.read(frozen, Examples)["pair_id"].to_list()
    content = model.content if model else ""
    rows = read_rows(path, say_once)
    number = power.earlier(rows, frozen.content, pairs, content)
    known = (frozen.content, content)
    if model and known not in {(row.get("test_set"), row.get("model")) for row in rows}:
        row = {"at": now(), "run": run.folder.name, "test_set": frozen.content}
        append(path, [row | {"rows": frozen.rows, "pairs": pairs, "model": content}])
    ways = 2 if "challenger_retrieval" in settings.arms else 1
    return power.looks(number + 1, settings.confidence, ways)


def prepare_test_set(run: Run, base: BaseModel, corpus: Corpus, data: TrainingData) -> TestSet:
    """Freeze the test rows and look up what the arms need: examples, chunks, sources, labels."""
    settings = run.settings.evaluate
    examples = run.store.read(data.examples, Examples)
    frozen = run(
        TEST_SET,
        examples=Given(examples, content_digest(examples.filter(split="test"))),
        load=Given(partial(load_tokenizer, base.path, base.thinking)),
        base=base.digest,
        parents={"examples": data.examples},
    )
    asked = run.store.read(frozen, Examples)
    chunks = run.store.read(corpus.chunks, Chunks)
    nearest = run.remembered(
        lambda: nearest_examples(examples, settings.few_shot),
        nearest_examples.__module__,
        [data.examples],
        count=settings.few_shot,
    )
    shots, found = shots_of(nearest, examples), {}
    if set(RETRIEVING) & set(settings.arms):
        found = run.remembered(
            lambda: find_chunks(asked, chunks, settings.retrieved_chunks),
            find_chunks.__module__,
            [frozen, corpus.chunks],
            count=settings.retrieved_chunks,
        )
    return TestSet(
        frozen=frozen,
        shots={pair: shots[pair] for pair in asked["pair_id"]},
        passages=passages_of(found, chunks),
        sources=source_texts(asked, run.store.read(data.pairs, SettledPairs), chunks),
        labels=label_rows(asked, run.store.read(corpus.documents, UniqueDocuments)),
        unit=unit_of(examples),
        answer_tokens=answer_limit(asked, token_counter(base.path), settings),
    )


def answer_prompted(run: Run, loaded: LoadedModel, test: TestSet) -> dict[str, Dataset]:
    """Let the base model answer, as it is and in each way of prompting that is switched on."""
    settings = run.settings.evaluate
    asked = [arm for arm in PROMPTED if arm in settings.arms]
    arms = ["base", *(arm for arm in asked if arm != "few_shot" or settings.few_shot)]
    answers = {arm: answer_arm(run, arm, loaded, test) for arm in arms}
    larger = run.settings.larger
    if larger.model and test.frozen.rows:
        fields = larger.model_dump(include={"kind", "model", "base_url"})
        teacher = TeacherSettings.model_validate(fields | {"strength": "strong"})
        if larger.kind == "local":
            loaded.release()
        asking = run.settings.model_copy(update={"teacher": teacher})
        model = TEACHERS[larger.kind].make(asking, loaded.base, say)
        replies = CachingTeacher(model, run.cache("replies"))
        given = _given(run, test, {}, test.passages if "retrieval" in settings.arms else None)
        told = Given(replies, replies.name)
        answers["larger"] = run(LARGER, base=answers["base"], teacher=told, **given)
    return answers


def _given(
    run: Run, test: TestSet, shots: Shots, passages: Mapping[str, Passage] | None
) -> dict[str, Any]:
    """Return what every arm is given: the test set, and what stands before its questions."""
    settings, screen = run.settings.evaluate, run.settings.screen
    return {
        "settings": settings.model_copy(update={"max_new_tokens": test.answer_tokens}),
        "also": {"min_content_recall": screen.min_content_recall},
        "asked": test.frozen,
        "material": Given(Material(shots, passages, test.sources, screen)),
        "sources": digest(dict(test.sources)),
        "shots": digest(dict(shots)) if shots else None,
        "passages": None if passages is None else digest(dict(passages)),
    }


def foresee_power(
    run: Run, answers: Mapping[str, Dataset], test: TestSet, model: Dataset | None = None
) -> Foresight:
    """Return which difference the test set can show, of a model or of the next one."""
    base = run.store.read(answers["base"], Answers)
    few_shot = answers.get("few_shot")
    prompted = run.store.read(few_shot, Answers) if few_shot else None
    look = which_look(run, test.frozen, model)
    return power.foresee(base, prompted, look.confidence, test.unit)


def answer_arm(
    run: Run, arm: str, loaded: LoadedModel, test: TestSet, adapter: Dataset | None = None, *,
    passages: bool = False,
) -> Dataset:  # fmt: skip
    """Let one arm answer the test set; its timings lie beside the answers, outside the content."""
    shots = test.shots if arm == "few_shot" else {}
    found = test.passages if passages or arm in RETRIEVING else None
    given = _given(run, test, shots, found) | loaded.given(adapter)
    return run(ANSWER.named(f"evaluate {arm}"), arm=Given(arm), **given)


def claim_gain(
    run: Run, data: TrainingData, test: TestSet, loaded: LoadedModel, answers: Mapping[str, Dataset]
) -> Claim | None:
    """Judge the recipe by ``evaluate.seeds`` trainings against the base model's losses.

    Of further trainings only the losses of the references are taken. None for an empty test set.
    """
    before = run.store.read(answers["base"], Answers).sort("pair_id")
    if not before.height:
        return None
    first = run.settings.train.seed
    after = {first: run.store.read(answers["challenger"], Answers).sort("pair_id")["loss"]}
    for seed in range(first + 1, first + run.settings.evaluate.seeds):
        loaded.release()
        train = run.settings.train.model_copy(update={"seed": seed})
        seeded = replace(run, settings=run.settings.model_copy(update={"train": train}))
        stage = TRAIN.named(f"train seed {seed}", "seed_model")
        model = train_model(seeded, loaded.base, data.examples, stage)
        stage = LOSSES.named(f"evaluate seed {seed}", "seed_losses")
        asked = Given(run.store.read(test.frozen, Examples), test.frozen.content)
        dataset = run(stage, rows=asked, **loaded.given(model, asked=test.frozen))
        after[seed] = run.store.read(dataset, HeldOutLosses).sort("pair_id")["loss"]
    changes = {seed: (losses - before["loss"]).to_numpy() for seed, losses in after.items()}
    clusters, lengths = before["cluster_id"].to_list(), before["response_tokens"].to_numpy()
    return power.claim(changes, clusters, lengths, run.settings.evaluate.confidence)
