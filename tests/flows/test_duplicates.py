"""The pairs that deduplication compared can be looked at."""

import pytest

from flows.views.duplicates import differences, duplicates
from pipeline.core.errors import InputError
from pipeline.core.home import Home
from tests.flows.test_accepted import deduplicated
from tests.pipeline.dedup.corpus import edited, prose

pytestmark = pytest.mark.usefixtures("prefect")


def test_removed_documents_stand_beside_what_stays_for_them(settings):
    base = prose(1, 200)
    texts = {
        "a.md": base + " end",
        "copy.md": base.upper() + " END",
        "close.md": edited(base, 1),
        "nearly.md": edited(base, 4, seed=3),
        "kept.md": edited(base, 6, seed=5),
        "other.md": prose(7),
    }
    alike = settings.dedup.model_copy(update={"containment": 0})
    deduplicated(settings.model_copy(update={"dedup": alike}), texts)
    home = Home.at(settings.paths.home)
    removed = duplicates(home, near=False, count=9)
    assert {row["document"] for row in removed} >= {"copy.md", "close.md"}
    assert all(row["similarity"] == 1 for row in removed if row["verdict"] == "exact_duplicate")
    near = duplicates(home, near=True, count=9)
    distances = [abs(row["similarity"] - 0.8) for row in near]
    assert distances == sorted(distances)
    assert {row["verdict"] for row in near} == {"near_duplicate", "both kept"}
    kept = next(row for row in near if row["verdict"] == "both kept")
    assert 0.7 <= kept["similarity"] < 0.8
    assert "kept.md" in (kept["document"], kept["survivor"])
    assert any("changed" in line for line in kept["differences"])
    assert len(duplicates(home, near=True, count=1)) == 1


def test_a_contained_document_stands_beside_the_one_that_holds_it(settings):
    deduplicated(
        settings, {"whole.md": f"{prose(2, 300)} {prose(1, 200)}", "part.md": prose(1, 200)}
    )
    (pair,) = duplicates(Home.at(settings.paths.home), near=False, count=9)
    assert (pair["verdict"], pair["document"], pair["survivor"]) == (
        "contained",
        "part.md",
        "whole.md",
    )


def test_differences_are_the_words_of_one_of_the_two():
    assert differences("open the red valve now", "open the blue valve now please") == [
        "- red",
        "+ blue",
        "+ please",
    ]
    assert differences("same", "same") == []
    assert differences("x " * 40, "")[0].endswith("x ...")


def test_before_anything_was_deduplicated_it_says_what_to_do(tmp_path):
    (tmp_path / "store").mkdir()
    with pytest.raises(InputError, match="start with `tuneloop curate`"):
        duplicates(Home.at(tmp_path), near=False, count=1)
