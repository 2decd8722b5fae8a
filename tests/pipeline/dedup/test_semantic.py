"""Semantic duplicates go only for a document that says the same and names the same."""

import random
from importlib import metadata

import numpy as np
import polars as pl
import pytest

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError
from pipeline.core.validation import validate
from pipeline.dedup import semantic
from pipeline.dedup.semantic import (
    TOKENIZER,
    WEIGHTS,
    deduplicate_meaning,
    embed,
    embedding_version,
)
from pipeline.settings import SemanticSettings
from schemas.documents import NearMisses, UniqueDocuments
from tests.pipeline.dedup.corpus import corpus
from tests.pipeline.dedup.passages import RELATED, SAME, SIBLINGS

ON = SemanticSettings(enabled=True)
FAR = ("written anew with other words", "some words replaced by synonyms")
CLOSE = [pair for pair in SAME if pair.about not in FAR]


def unique(texts, **columns):
    """Return one unique document a source; columns as expressions."""
    documents = corpus(texts)
    return documents.with_columns(
        cluster_id=pl.col("source").map_elements(short_id, return_dtype=pl.String),
        cluster_size=pl.lit(1, pl.Int64),
    ).with_columns(**columns)


def run(texts, settings=ON, preferred=(), **columns):
    outcome = deduplicate_meaning(unique(texts, **columns), settings, preferred)
    assert outcome.balances
    validate(outcome.kept, UniqueDocuments, "kept")
    validate(outcome.tables["near_misses"][1], NearMisses, "near misses")
    return outcome


def both(pairs):
    texts = {f"{n}-one.md": pair.one for n, pair in enumerate(pairs)}
    return texts | {f"{n}-other.md": pair.other for n, pair in enumerate(pairs)}


def test_what_says_the_same_goes_for_the_longer_one():
    texts = both(CLOSE)
    outcome = run(texts)
    ids = {row["source"]: row["doc_id"] for row in unique(texts).to_dicts()}
    gone = {row["id"]: row for row in outcome.dropped.to_dicts()}
    for number, pair in enumerate(CLOSE):
        names = (f"{number}-one.md", f"{number}-other.md")
        short, long = names if len(pair.one) < len(pair.other) else names[::-1]
        row = gone.pop(ids[short])
        assert row["reason"] == "semantic_duplicate" and row["related_id"] == ids[long]
        assert ON.threshold <= row["value"] <= 1 and row["threshold"] == ON.threshold
        assert row["excerpt"].startswith(short)
    assert not gone
    assert set(outcome.kept["cluster_size"]) == {2}
    assert outcome.metrics["semantic"] == len(CLOSE)


def test_similar_pages_that_say_something_else_stay():
    texts = both(SIBLINGS + RELATED)
    outcome = run(texts)
    assert outcome.dropped.height == 0
    assert outcome.kept.drop("cluster_size").equals(
        unique(texts).drop("cluster_size").sort("doc_id")
    )


def test_in_other_words_a_number_or_an_identifier_decides():
    pair = SAME[-1]
    for before, after in (("P-20", "P-35"), ("95 °C", "85 °C"), ("A22", "A21"), ("0.3", "0.5")):
        outcome = run({"one.md": pair.one, "other.md": pair.other.replace(before, after)})
        assert outcome.dropped.height == 0, (before, after)
        ((_, near),) = outcome.tables.values()
        assert near["similarity"].item() >= ON.threshold, "shown as what nearly went"
    assert run({"one.md": pair.one, "other.md": pair.other}).dropped.height == 1


def test_pairs_below_the_threshold_are_shown_as_near_misses():
    pair = SAME[5]
    strict = SemanticSettings(enabled=True, threshold=0.92)
    outcome = run({"one.md": pair.one, "other.md": pair.other}, strict)
    assert outcome.dropped.height == 0
    ((_, near),) = outcome.tables.values()
    assert 0.87 < near["similarity"].item() < 0.92
    assert run(both(RELATED)).tables["near_misses"][1].height == 0


def test_a_preferred_source_survives_whatever_its_length():
    pair = CLOSE[0]
    texts = {"manual/a.md": pair.one, "wiki/b.md": pair.other}
    for preferred in ("manual/*", "wiki/*"):
        (stays,) = run(texts, preferred=(preferred,)).kept["source"]
        assert stays.startswith(preferred[:-1])


def test_the_clusters_of_what_goes_are_counted():
    pair = CLOSE[0]
    assert run({"a.md": pair.one, "b.md": pair.other}, cluster_size=pl.lit(3, pl.Int64)).kept[
        "cluster_size"
    ].to_list() == [6]


def test_only_english_is_compared():
    outcome = run(both(CLOSE), language=pl.lit("de"))
    assert outcome.dropped.height == 0 and outcome.metrics["compared"] == 0


def test_the_order_of_the_documents_does_not_matter():
    documents = unique(both(SAME + SIBLINGS + RELATED))
    first = deduplicate_meaning(documents, ON)
    for seed in range(3):
        again = deduplicate_meaning(documents.sample(fraction=1, shuffle=True, seed=seed), ON)
        assert again.kept.equals(first.kept)
        assert again.dropped.drop("value").equals(first.dropped.drop("value"))


def test_nothing_goes_by_a_chain_of_others():
    """Each removed document is similar to its survivor itself."""
    outcome = run(both(SAME))
    texts = dict(unique(both(SAME)).select("doc_id", "text").rows())
    for row in outcome.dropped.to_dicts():
        one, other = embed(pl.Series([texts[row["id"]], texts[row["related_id"]]]))
        assert float(one @ other) == pytest.approx(row["value"], abs=1e-5) and row["value"] >= 0.9


def test_small_blocks_find_the_same(monkeypatch):
    whole = run(both(SAME + SIBLINGS))
    monkeypatch.setattr(semantic, "SIMILARITIES", 100)
    assert run(both(SAME + SIBLINGS)).kept.equals(whole.kept)


def test_too_many_for_one_document_stop_the_run():
    parts = SAME[0].one.replace(".", ",").split(", ")
    texts = {}
    for number in range(60):
        random.Random(number).shuffle(parts)
        texts[f"{number:02}.md"] = ", ".join(parts)
    with pytest.raises(InputError, match=r"semantic: more than \d+ documents .*template"):
        run(texts, SemanticSettings(enabled=True, max_cluster_share=0))


def test_vectors_have_length_one_and_nothing_has_none():
    vectors = embed(pl.Series(["a text", "", "another text " * 5_000]))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 1], abs=1e-5)
    assert embed(pl.Series([], dtype=pl.String)).shape == (0, 256)
    assert embedding_version().startswith("wordllama 0.4")


def test_a_vector_is_the_mean_of_those_of_the_tokens():
    """As WordLlama computes it; words are tokenized once each, and layout is left out."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    wheel = metadata.distribution("wordllama")
    table = load_file(wheel.locate_file(WEIGHTS))["embedding.weight"].astype(np.float32)
    tokenizer = Tokenizer.from_file(str(wheel.locate_file(TOKENIZER)))
    texts = [" ".join(pair.one.split()) for pair in SAME] + ["温室 glasshouse, naïve 5 °C"]
    for text, vector in zip(texts, embed(pl.Series(texts)), strict=True):
        mean = table[tokenizer.encode(text, add_special_tokens=False).ids].mean(axis=0)
        assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    again = embed(pl.Series([text.replace(" ", "\n  ") for text in reversed(texts)]))
    assert np.array_equal(again[::-1], embed(pl.Series(texts)))


def test_without_the_vectors_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(
        InputError, match=r"not installed; .*tuneloop\[semantic\].*enabled to false"
    ):
        embedding_version()
