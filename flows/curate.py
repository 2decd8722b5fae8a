"""Documents to chunks: ingest, clean, paragraphs (trim), deduplicate (semantic), chunk, split."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect import flow

from flows.engine.context import Run, open_run, say
from flows.models.loaded_model import base_model
from flows.splits import check_gold, locate_gold, split_documents
from flows.views.report import write_report
from pipeline.core.cache import digest
from pipeline.core.errors import InputError, MissingDataset
from pipeline.core.home import Home
from pipeline.core.runner import LOCAL, Runner, open_runner
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.dedup.deduplicate import DEDUPLICATE, INDEX
from pipeline.dedup.paragraphs import PARAGRAPHS, TRIM
from pipeline.dedup.semantic import SEMANTIC, embedding_version
from pipeline.documents.chunk.chunk import CHUNK
from pipeline.documents.clean.clean import CLEAN
from pipeline.documents.clean.cleaning import too_short
from pipeline.documents.clean.profiles import rules_of
from pipeline.documents.files.files import SourceFile, scan
from pipeline.documents.files.ingest import INGEST
from pipeline.documents.forgotten import refused
from pipeline.report.contents import Report
from pipeline.settings import Settings
from pipeline.train.models.base_model import BaseModel, token_counter

MOST_SEGMENTS = 32  # segments of a chain; after so many runs with new documents it is made one
MOST_ABSENT = 0.5  # share of documents of a chain that may be gone before it is written again
CORPUS = ("raw_documents", "documents", "unique_documents", "chunks", "splits")


def accepted_before(run: Run, cleaned: Dataset) -> Dataset | None:
    """Return the latest index of other documents by the same rules, so that a run is repeatable."""
    if not run.settings.dedup.incremental:
        return None
    try:
        latest = run.registry.dataset(f"dataset/{INDEX.dataset}", run.store)
        chain = _chain(run, latest)
    except MissingDataset:  # a segment was deleted by hand: it is made anew of all documents
        return None
    for dataset in reversed(chain):
        manifest = run.store.manifest(dataset.name, dataset.fingerprint)
        rules = (run.settings.dedup.recipe(), INDEX.modules())
        if (manifest.settings, manifest.code.get("modules")) != rules:
            return None
        if manifest.inputs["cleaned"] != cleaned.content:
            return dataset
    return None


def _chain(run: Run, dataset: Dataset | None) -> list[Dataset]:
    """Return the segments of an index, the oldest first; MissingDataset where one was deleted."""
    chain = []
    while dataset is not None:
        chain.append(dataset)
        previous = run.store.manifest(dataset.name, dataset.fingerprint).inputs.get("previous")
        dataset = Dataset.of(run.store.manifest(*previous.split("/"))) if previous else None
    return chain[::-1]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The datasets that curation ends with."""

    raw: Dataset
    cleaned: Dataset
    documents: Dataset
    chunks: Dataset
    splits: Dataset
    gold: Dataset | None = None
    """Gold rows with their documents; None when there is no such file, or in a corpus of before."""


@flow(timeout_seconds=6 * 3600)
def curate(settings: Settings) -> Report:
    """Read, clean and deduplicate the documents, cut them into chunks and assign splits."""
    with open_run("curate", settings) as run:
        files = input_files(run)
        check_gold(settings)
        curate_documents(run, base_model(settings), files)
        return write_report(run)


def input_files(run: Run) -> list[SourceFile]:
    """Look for input files and the cluster before anything long; an InputError where one lacks."""
    settings = run.settings
    if settings.compute.runner == "ray":
        with open_runner(**settings.compute.who()):
            pass
    return scan(settings.paths.input, settings.ingest, run.home / "reads" / "index.json")


def curate_documents(run: Run, base: BaseModel, files: Sequence[SourceFile]) -> Corpus:
    """Run the stages on files; an InputError names the reasons where one leaves nothing."""
    if run.settings.semantic.enabled:
        embedding_version()  # better now than when the rest is done
    with open_runner(**run.settings.compute.who()) as runner:
        return _curate(run, base, files, runner)


def _curate(run: Run, base: BaseModel, files: Sequence[SourceFile], runner: Runner) -> Corpus:
    gone = refused(run.home)
    raw = run(
        INGEST,
        files=Given(files, digest([file.version for file in files])),
        refused=Given(gone, digest(sorted(gone)) if gone else None),
        cache=Given(run.cache("reads")),
        runner=Given(runner),
    )
    require_rows(run, raw, "ingest: no document could be read", "look at the folder's files")
    cleaned = run(CLEAN, documents=raw, runner=Given(runner))
    advice = _about_languages(run, cleaned)
    require_rows(run, cleaned, "clean: no document passed", advice or "see [clean] in the settings")
    if advice:
        say(f"clean: {advice}")
    unique = deduplicate_documents(run, trim_documents(run, cleaned, runner), runner)
    documents = deduplicate_meanings(run, unique)
    counter = token_counter(base.path)
    count_tokens = Given(counter if runner.near else counter.carrying(), base.digest)
    chunks = run(CHUNK, documents=documents, count_tokens=count_tokens, runner=Given(runner))
    require_rows(run, chunks, "chunk: no document gave a chunk", "see the settings of [chunk]")
    gold = locate_gold(run, raw, documents, chunks)
    splits = split_documents(run, documents, chunks, gold)
    return Corpus(raw, cleaned, documents, chunks, splits, gold)


def _about_languages(run: Run, cleaned: Dataset) -> str:
    """Return what to do where most documents are in languages that are not asked for."""
    facts = run.store.manifest(cleaned.name, cleaned.fingerprint).facts
    foreign = {
        name.removeprefix("other_language_"): int(count)
        for name, count in sorted(facts.metrics.items(), key=lambda item: -item[1])
        if name.startswith("other_language_")
    }
    if 2 * sum(foreign.values()) <= facts.rows_in:
        return ""
    counts = ", ".join(f"{code} {count}" for code, count in foreign.items())
    wanted = ", ".join(run.settings.clean.languages)
    return (
        f"of {facts.rows_in} documents {sum(foreign.values())} are in other languages than "
        f'{wanted}: {counts}; to take them, set [clean] languages = ["{next(iter(foreign))}"] (and '
        'profile = "any-language" where no spaces stand between words), and a [teacher] and a '
        "model.base_model that know the language: the built-in model knows English alone"
    )


def trim_documents(run: Run, cleaned: Dataset, runner: Runner) -> Dataset:
    """Look for paragraphs that many documents have, and take them out if the settings say so."""
    action, asked = run.settings.paragraphs.action, run.settings.clean
    if action == "off":
        return cleaned
    given: dict[str, Any] = {"documents": cleaned, "runner": Given(runner)}
    repeated = run(PARAGRAPHS, **given)
    if action == "report":
        return cleaned
    judge = partial(too_short, rules=rules_of(asked.profile, asked.limits))
    limits = digest([asked.profile, asked.limits])
    return run(TRIM, repeated=repeated, judge=Given(judge, limits), **given)


def deduplicate_documents(run: Run, cleaned: Dataset, runner: Runner = LOCAL) -> Dataset:
    """Keep one document of every cluster, and write these as a segment of the index."""
    before = accepted_before(run, cleaned)
    chain = _chain(run, before)
    folders = [run.store.path(segment) for segment in chain]
    documents = run(
        DEDUPLICATE,
        documents=cleaned,
        accepted=Given(folders, before.content if before else None),
        runner=Given(runner),
        parents={"accepted": before} if before else {},
    )
    if not run.settings.dedup.incremental:
        return documents
    indexed = sum(segment.rows for segment in chain)
    if len(chain) >= MOST_SEGMENTS or documents.rows < (1 - MOST_ABSENT) * indexed:
        before, folders = None, []
    given: dict[str, Any] = {"accepted": Given(folders), "runner": Given(runner)}
    run(INDEX, documents=documents, cleaned=cleaned.content, previous=before, **given)
    return documents


def deduplicate_meanings(run: Run, unique: Dataset) -> Dataset:
    """Drop what says the same in other words, if the settings say so."""
    if not run.settings.semantic.enabled:
        return unique
    asked, version = run.settings.dedup.preferred_sources, embedding_version()
    preferred = Given(asked, digest(asked))
    return run(SEMANTIC, documents=unique, preferred_sources=preferred, embedding=version)


def require_rows(run: Run, dataset: Dataset, found: str, advice: str) -> None:
    """Stop with the reasons of the ledger when a stage kept nothing."""
    if dataset.rows:
        return
    reasons = run.store.manifest(dataset.name, dataset.fingerprint).facts.reasons
    why = ", ".join(f"{reason} {count}" for reason, count in reasons.items()) or "nothing came in"
    raise InputError(f"{found} ({why}); expected at least one; {advice}")


def latest_corpus(home: Home) -> tuple[Corpus, Dataset]:
    """Return the latest corpus and screened pairs; MissingDataset where there are none."""
    return Corpus(*map(home.dataset, CORPUS)), home.dataset("screened_pairs")
