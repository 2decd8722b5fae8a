"""Documents to chunks: ingest -> clean -> paragraphs -> deduplicate -> chunk -> split.

Two stages are there when the settings ask for them: trim (behind paragraphs) and semantic (behind
deduplicate).
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from prefect import flow

from flows.accepted import accepted_before, index_documents, segments
from flows.engine.context import Run, open_run, say
from flows.engine.stage_runner import run_stage
from flows.models.loaded_model import base_model
from flows.views.report import write_report
from pipeline.core.cache import digest
from pipeline.core.errors import InputError
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.core.workers import keeping_workers, usable_cores
from pipeline.dedup.deduplicate import DEDUPLICATE
from pipeline.dedup.embedding import embedding_version
from pipeline.dedup.paragraphs import PARAGRAPHS, TRIM
from pipeline.dedup.semantic import SEMANTIC
from pipeline.documents.chunk.chunk import CHUNK
from pipeline.documents.clean.clean import CLEAN
from pipeline.documents.clean.cleaning import rules_of, too_short
from pipeline.documents.files.files import SourceFile, scan
from pipeline.documents.files.ingest import INGEST
from pipeline.pairs.split import FEWEST, SPLIT
from pipeline.report.contents import Report
from pipeline.settings import Settings
from pipeline.train.models.base_model import BaseModel, token_counter


@dataclass(frozen=True, slots=True)
class Corpus:
    """The datasets that curation ends with."""

    raw: Dataset
    cleaned: Dataset
    documents: Dataset
    chunks: Dataset
    splits: Dataset


@flow(timeout_seconds=6 * 3600)
def curate(settings: Settings) -> Report:
    """Read, clean and deduplicate the documents, cut them into chunks and assign splits."""
    with open_run("curate", settings) as run:
        files = input_files(run)
        curate_documents(run, base_model(settings), files)
        return write_report(run)


def input_files(run: Run) -> list[SourceFile]:
    """Look into the input folder, before anything that takes long.

    Raises:
        InputError: it is missing or holds no file.
    """
    settings = run.settings
    return scan(settings.paths.input, settings.ingest, run.home / "reads" / "index.json")


def curate_documents(run: Run, base: BaseModel, files: Sequence[SourceFile]) -> Corpus:
    """Run the stages on files; the base model's tokenizer measures the chunks.

    Raises:
        InputError: nothing is left after a stage; the message names the most frequent reasons.
            Or the embedding of semantic duplicates is asked for and not installed.
    """
    if run.settings.semantic.enabled:
        embedding_version()  # better now than when the rest is done
    gc.freeze()  # what is loaded by now is no garbage; to look through it takes a tenth of a second
    try:
        with keeping_workers(run.settings.ingest.workers or usable_cores()):
            return _curate(run, base, files)
    finally:
        gc.unfreeze()


def _curate(run: Run, base: BaseModel, files: Sequence[SourceFile]) -> Corpus:
    settings = run.settings
    raw = run_stage(
        run,
        INGEST,
        files=Given(files, digest([file.version for file in files])),
        cache=Given(run.cache("reads")),
    )
    require_rows(run, raw, "ingest: no document could be read", "look at the folder's files")
    cleaned = run_stage(run, CLEAN, documents=raw)
    require_rows(run, cleaned, "clean: no document passed", "see the settings of [clean]")
    unique = deduplicate_documents(run, trim_documents(run, cleaned))
    documents = deduplicate_meanings(run, unique)
    tokenizer = Given(token_counter(base.path), base.digest)
    chunks = run_stage(run, CHUNK, documents=documents, count_tokens=tokenizer)
    require_rows(run, chunks, "chunk: no document gave a chunk", "see the settings of [chunk]")
    splits = run_stage(run, SPLIT, documents=documents, chunks=chunks)
    sections = run.store.manifest(splits.name, splits.fingerprint).facts.metrics["sections"]
    if sections:
        asked = settings.split.unit == "section"
        why = (
            "as split.unit asks"
            if asked
            else f"since there are fewer than {FEWEST} documents; "
            'split.unit = "section" keeps it so when more come'
        )
        say(f"split: by section, {sections:,.0f} of them, {why}")
    return Corpus(raw, cleaned, documents, chunks, splits)


def trim_documents(run: Run, cleaned: Dataset) -> Dataset:
    """Look for paragraphs that many documents have, and take them out if the settings say so."""
    action, asked = run.settings.paragraphs.action, run.settings.clean
    if action == "off":
        return cleaned
    repeated = run_stage(run, PARAGRAPHS, documents=cleaned)
    if action == "report":
        return cleaned
    judge = partial(too_short, rules=rules_of(asked.profile, asked.limits))
    limits = digest([asked.profile, asked.limits])
    return run_stage(run, TRIM, documents=cleaned, repeated=repeated, judge=Given(judge, limits))


def deduplicate_documents(run: Run, cleaned: Dataset) -> Dataset:
    """Keep one document of every cluster, and note which for the next run."""
    before = accepted_before(run, cleaned)
    documents = run_stage(
        run,
        DEDUPLICATE,
        documents=cleaned,
        accepted=Given(segments(run, before), before.content if before else None),
        scratch=Given(run.folder),
        parents={"accepted": before} if before else {},
    )
    index_documents(run, cleaned, documents, before)
    return documents


def deduplicate_meanings(run: Run, unique: Dataset) -> Dataset:
    """Drop what says the same in other words, if the settings say so."""
    if not run.settings.semantic.enabled:
        return unique
    preferred = run.settings.dedup.preferred_sources
    return run_stage(
        run,
        SEMANTIC,
        documents=unique,
        preferred_sources=Given(preferred, digest(preferred)),
        embedding=embedding_version(),
    )


def require_rows(run: Run, dataset: Dataset, found: str, advice: str) -> None:
    """Stop with the reasons of the ledger when a stage kept nothing."""
    if dataset.rows:
        return
    reasons = run.store.manifest(dataset.name, dataset.fingerprint).facts.reasons
    why = ", ".join(f"{reason} {count}" for reason, count in reasons.items()) or "nothing came in"
    raise InputError(f"{found} ({why}); expected at least one; {advice}")
