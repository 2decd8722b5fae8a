"""What one run accepts, the next one keeps; it compares only what is new."""

import shutil

import polars as pl
import pytest
from prefect import flow

from flows.curate import MOST_SEGMENTS, accepted_before, deduplicate_documents
from flows.engine.context import Run, open_run
from pipeline.core.store import Dataset
from pipeline.settings import Settings
from schemas.documents import UniqueDocuments
from tests.flows.cleaned import cleaned
from tests.pipeline.dedup.corpus import edited, prose

pytestmark = pytest.mark.usefixtures("prefect")


def deduplicated(settings: Settings, texts: dict[str, str]) -> tuple[pl.DataFrame, Dataset, Run]:
    """Run deduplication over documents as the flow does."""

    @flow(name="test")
    def body():
        with open_run("test", settings) as run:
            documents = deduplicate_documents(run, cleaned(run, texts))
            return run.store.read(documents, UniqueDocuments), documents, run

    return body()


def compared(run: Run, documents: Dataset) -> float:
    return run.store.manifest(documents.name, documents.fingerprint).facts.metrics["compared"]


def test_accepted_documents_stay_and_only_new_ones_are_compared(settings):
    texts = {f"{seed}.md": prose(seed) for seed in range(8)}
    _, first, run = deduplicated(settings, texts)
    assert compared(run, first) == 8
    texts["longer.md"] = prose(3) + " and a longer end"
    texts["new.md"] = prose(50)
    kept, second, run = deduplicated(settings, texts)
    assert compared(run, second) == 2
    assert set(kept["source"]) == set(texts) - {"longer.md"}
    texts["last.md"] = edited(prose(50), 2)
    kept, third, run = deduplicated(settings, texts)
    assert set(kept["source"]) == set(texts) - {"longer.md", "last.md"}
    assert compared(run, third) == 2, "what was dropped before is new each time"
    decided_anew = settings.model_copy(
        update={"dedup": settings.dedup.model_copy(update={"incremental": False})}
    )
    kept, _, _ = deduplicated(decided_anew, texts)
    assert set(kept["source"]) == set(texts) - {"3.md", "new.md"}


def test_a_second_run_over_the_same_documents_repeats_nothing(settings):
    texts = {f"{seed}.md": prose(seed) for seed in range(4)}
    deduplicated(settings, texts)
    texts["near.md"] = edited(prose(2), 2)
    _, second, _ = deduplicated(settings, texts)
    _, third, run = deduplicated(settings, texts)
    assert second == third
    assert {line.stage: bool(line.reused) for line in run.lines} == {
        "clean": True,
        "deduplicate": True,
        "index": True,
    }
    back = dict(list(texts.items())[:4])
    kept, _, _ = deduplicated(settings, back)
    assert set(kept["source"]) == set(back)


def test_other_rules_and_a_deleted_segment_start_anew(settings):
    texts = {f"{seed}.md": prose(seed) for seed in range(4)}
    deduplicated(settings, texts)
    strict = settings.model_copy(
        update={"dedup": settings.dedup.model_copy(update={"threshold": 0.9})}
    )
    _, documents, run = deduplicated(strict, texts | {"5.md": prose(5)})
    assert compared(run, documents) == 5
    shutil.rmtree(settings.paths.home / "store" / "dedup_index")
    _, documents, run = deduplicated(strict, texts | {"6.md": prose(6)})
    assert compared(run, documents) == 5


def test_a_chain_of_what_is_mostly_gone_is_written_as_one_segment(settings):
    assert MOST_SEGMENTS > 2
    deduplicated(settings, {f"{seed}.md": prose(seed) for seed in range(9)})
    deduplicated(settings, {f"{seed}.md": prose(seed) for seed in range(20, 23)})
    _, _, run = deduplicated(settings, {f"{seed}.md": prose(seed) for seed in range(20, 24)})
    index = run.datasets["index"]
    before = accepted_before(run, Dataset("documents", "", "other", 0))
    assert before == index
    manifest = run.store.manifest(index.name, index.fingerprint)
    previous = manifest.inputs["previous"].partition("/")[2]
    assert "previous" not in run.store.manifest(index.name, previous).inputs
    assert index.rows == 1
