"""The human step: queue a sample, pull decisions, settle the pairs."""

from annotation.queue import FileQueue
from flows.context import Run
from flows.curate import Corpus
from flows.steps import Stage, run_stage
from pipeline.cache import digest
from pipeline.dataset.review import sample_for_review, settle
from pipeline.outcome import Outcome
from pipeline.store import Dataset
from schemas.chunks import Chunks
from schemas.pairs import ScreenedPairs, SettledPairs
from schemas.reviews import Reviews

REVIEW = Stage("review", 1, "reviews")
SETTLE = Stage("settle", 1, "settled_pairs")


def review_pairs(run: Run, corpus: Corpus, screened: Dataset) -> Dataset:
    """Queue what should be reviewed, apply what was decided, and return the settled pairs."""
    queue = FileQueue(run.home / "reviews")
    pulled = queue.pull()
    reviews = run_stage(
        run,
        REVIEW,
        Reviews,
        lambda: Outcome(
            kept=pulled.reviews,
            dropped=pulled.bounced,
            rows_in=pulled.reviews.height + pulled.bounced.height,
        ),
        settings={},
        keys={"decisions": digest([pulled.reviews.to_dicts(), pulled.bounced.to_dicts()])},
    )
    push_sample(run, queue, corpus, screened, set(pulled.reviews["pair_id"]))
    return run_stage(
        run,
        SETTLE,
        SettledPairs,
        lambda pairs, reviews: settle(pairs, reviews, run.settings.review),
        settings=run.settings.review,
        tables={"pairs": (screened, ScreenedPairs), "reviews": (reviews, Reviews)},
    )


def push_sample(
    run: Run, queue: FileQueue, corpus: Corpus, screened: Dataset, reviewed: set[str]
) -> None:
    """Queue the sample; pairs that are queued already stay as they are."""
    pairs = run.store.read(screened, ScreenedPairs)
    sample = sample_for_review(pairs, reviewed, run.settings.review)
    result = queue.push(sample, run.store.read(corpus.chunks, Chunks))
    run.event("QUEUE", "review", new=result.new, already=result.already)
