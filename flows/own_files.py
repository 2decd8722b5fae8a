"""The files that a user wrote: looked into before anything that takes long or costs money."""

from flows.curate import Corpus
from flows.engine.context import Run
from pipeline.core.outcome import Drop
from pipeline.evaluate.measures.behaviour import read_behaviour_items
from pipeline.evaluate.retention.forgetting import read_general_set
from pipeline.pairs.gold import EXPECTED, attach_gold, read_row
from pipeline.pairs.user_files import (
    read_benchmark,
    read_jsonl,
    read_seed_tasks,
    stop_if_mostly_bad,
)
from pipeline.settings import Settings
from schemas.documents import Chunks, RawDocuments, UniqueDocuments
from schemas.pairs import Splits


def check_own_files(settings: Settings) -> None:
    """Read seed tasks, gold rows, benchmarks and the general set, and keep nothing of them.

    Whether the document of a gold row is there is only known after curation.

    Raises:
        InputError: a file cannot be read, or most of its rows are bad; the first one is shown.
    """
    paths = settings.paths
    read_seed_tasks(paths.seeds)
    if paths.gold is not None:
        rows = [read_row(row, "any") for row in read_jsonl(paths.gold)]
        bad = [f"{row.reason}: {row.excerpt}" for row in rows if isinstance(row, Drop)]
        stop_if_mostly_bad(str(paths.gold), bad, len(rows), EXPECTED)
    for benchmark in paths.benchmarks:
        read_benchmark(benchmark)
    if paths.general is not None:
        read_general_set(paths.general)
        read_behaviour_items(paths.general, settings.forgetting)


def check_gold_documents(run: Run, corpus: Corpus) -> None:
    """Attach the gold rows to the curated documents, before the teacher is asked.

    Raises:
        InputError: most rows name no document that was read.
    """
    path = run.settings.paths.gold
    if path is not None:
        attach_gold(
            read_jsonl(path),
            run.store.read(corpus.documents, UniqueDocuments),
            run.store.read_dropped(corpus.documents),
            run.store.read(corpus.raw, RawDocuments),
            run.store.read(corpus.splits, Splits),
            run.store.read(corpus.chunks, Chunks),
            path.name,
        )
