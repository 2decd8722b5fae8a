"""Semantic duplicates in the flow: behind deduplication, seen by all that reads its documents."""

import pytest
from prefect import flow

from flows.curate import deduplicate_documents, deduplicate_meanings
from flows.engine.context import open_run
from flows.views.duplicates import duplicates
from pipeline.core.home import Home, stages_before
from pipeline.drift.windows import _fates
from pipeline.settings import SemanticSettings
from tests.flows.cleaned import cleaned
from tests.pipeline.dedup.passages import RELATED, SAME, SIBLINGS

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"semantic": SemanticSettings(enabled=True)})


def deduplicated(settings, texts):
    """Run both stages over documents as the flow does."""

    @flow(name="test")
    def body():
        with open_run("test", settings) as run:
            return deduplicate_meanings(run, deduplicate_documents(run, cleaned(run, texts))), run

    return body()


def test_what_goes_is_known_to_all_that_look(settings):
    copy, reworded, sibling, other = SAME[0], SAME[6], SIBLINGS[2], RELATED[1]
    texts = {
        "copy.md": copy.one,
        "upper.md": copy.one.upper(),
        "told.md": reworded.one,
        "anew.md": reworded.other,
        "interval.md": sibling.one,
        "limit.md": sibling.other,
        "heating.md": other.one,
    }
    documents, _ = deduplicated(settings, texts)
    home = Home.at(settings.paths.home)
    assert str(home.dataset("unique_documents")) == str(documents)
    assert documents.rows == 5
    names = [stage.name for stage in stages_before(home, documents)]
    assert names == ["unique_documents", "unique_documents", "documents"]
    dropped, gone, kept = _fates(home, documents)
    assert (len(dropped), len(gone), len(kept)) == (0, 2, 5)

    removed = {row["verdict"]: row for row in duplicates(home, near=False, count=9)}
    assert removed.keys() == {"exact_duplicate", "semantic_duplicate"}
    row = removed["semantic_duplicate"]
    assert {row["document"], row["survivor"]} == {"told.md", "anew.md"}
    assert row["threshold"] == 0.9 and row["differences"]
    near = duplicates(home, near=True, count=9)
    distances = [abs(row["similarity"] - row["threshold"]) for row in near]
    assert distances == sorted(distances)
    pages = next(row for row in near if "limit.md" in (row["document"], row["survivor"]))
    assert pages["verdict"] == "both kept" and pages["similarity"] > 0.7


def test_it_is_reused_and_a_threshold_changes_only_it(settings):
    texts = {"a.md": SAME[0].one, "b.md": SAME[0].other}
    deduplicated(settings, texts)
    _, run = deduplicated(settings, texts)
    assert {line.stage: line.reused is not None for line in run.lines}["semantic"]
    strict = SemanticSettings(enabled=True, threshold=0.99)
    documents, run = deduplicated(settings.model_copy(update={"semantic": strict}), texts)
    reused = {line.stage: line.reused is not None for line in run.lines}
    assert reused["deduplicate"] and not reused["semantic"]
    assert documents.rows == 2
