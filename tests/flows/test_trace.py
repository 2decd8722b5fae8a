"""`tuneloop trace`: from a document, a chunk or a pair down to all models that learned it."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from flows.cli.main import main
from flows.views.trace import _place, trace
from pipeline.core.errors import InputError
from pipeline.core.home import Home
from pipeline.core.outcome import Drop, table
from pipeline.core.registry import Registry
from pipeline.core.store import Store
from schemas.documents import Chunks, RawDocuments
from schemas.pairs import Examples, Reviews, SettledPairs
from tests.flows.judged_home import settled, write
from tests.flows.trained_home import train_into
from tests.pipeline.train.seed_examples import make_examples

pytestmark = pytest.mark.model

LEARNED, VALIDATED, LONG = "a" * 16, "b" * 16, "c" * 16
"""Documents of a train row, of a validation row, and of a train row that is too long to train on;
the chunk of each has the same id, with a 0 before it."""


@pytest.fixture(scope="module")
def traced(tmp_path_factory, tiny_base):
    """A home with two models, of which the first alone had the three documents."""
    home = tmp_path_factory.mktemp("traced") / "home"
    rows: list[dict[str, Any]] = make_examples(12, 3).to_dicts()
    train = [row for row in rows if row["split"] == "train"]
    for row, document in zip([*train[:2], rows[-1]], (LEARNED, LONG, VALIDATED), strict=True):
        row["doc_id"] = document
    train[1]["messages"][1]["content"] = "Open the valve. " * 200
    store = Store(home / "store")
    documents = [
        {"doc_id": key, "source": f"{key}.txt", "format": "text", "title": "Pump",
         "text": f"The pump {key} is red.", "span_start": 0, "span_end": 30}
        for key in (LEARNED, VALIDATED, LONG)
    ]  # fmt: skip
    raw = write(store, RawDocuments, "raw_documents", table(RawDocuments, documents), {})
    chunks = [
        {"chunk_id": f"0{row['doc_id'][1:]}", "doc_id": row["doc_id"], "title": "Pump",
         "section": "", "start": 0, "end": 30, "text": row["text"], "tokens": 8}
        for row in documents
    ]  # fmt: skip
    cut = write(store, Chunks, "chunks", table(Chunks, chunks), {"documents": str(raw)})
    examples = table(Examples, rows)
    of_document = {row["pair_id"]: row["doc_id"] for row in rows}
    pairs = settled(examples).to_dicts()
    for pair in pairs:
        pair["doc_id"] = of_document[pair["pair_id"]]
        pair["chunk_id"] = pair["doc_id"] and f"0{pair['doc_id'][1:]}"
    said = [
        {"pair_id": pair["pair_id"], "verdict": "accept", "edited_response": None, "flags": [],
         "note": "", "reviewer": "ada", "decided_at": "2026-01-01T00:00:00Z"}
        for pair in pairs if pair["doc_id"] == LEARNED
    ]  # fmt: skip
    reviews = write(store, Reviews, "reviews", table(Reviews, said), {})
    clean = write(
        store, SettledPairs, "clean_pairs", table(SettledPairs, pairs),
        {"chunks": str(cut), "reviews": str(reviews)},
        dropped=[Drop(pair["pair_id"], "leaks_into_test") for pair in pairs
                 if pair["doc_id"] == VALIDATED],
    )  # fmt: skip
    first = train_into(home, tiny_base, examples, clean)
    train_into(home, tiny_base, table(Examples, [row for row in rows if not row["doc_id"]]))
    return home, first, {row["doc_id"]: row["pair_id"] for row in rows[::-1]}


def ids_of(traced, document):
    """The document, its chunk and its pair."""
    return document, f"0{document[1:]}", traced[2][document]


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["document", "chunk", "pair"])
def test_what_was_trained_on_names_the_models_that_learned_it(traced, kind):
    home, first, _ = traced
    identifier = ids_of(traced, LEARNED)[kind]
    line = ["trace", identifier, "--set", f"paths.home={home}"]
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 0, done.output
    assert f"trained into: {first}\n" in done.stdout
    story = json.loads(CliRunner().invoke(main, [*line, "--json"]).stdout)
    assert story["models"] == [str(first)]
    # No dataset is the latest: the rows are those behind the model.
    assert story["found"]["raw_documents"]["source"] == f"{LEARNED}.txt"


@pytest.mark.parametrize("document", [VALIDATED, LONG])
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["document", "chunk", "pair"])
def test_what_was_held_out_or_too_long_was_learned_by_no_model(traced, kind, document):
    home, first, _ = traced
    registry, store = Registry(home / "refs"), Home.at(home).store
    manifest = store.manifest("model", first.fingerprint)
    for item in Home.at(home).manifests():
        if item.dataset in ("raw_documents", "chunks", "clean_pairs") or (
            str(item) == manifest.inputs["from"]
        ):
            latest = store.find(item.dataset, item.fingerprint)
            registry.point(f"dataset/{item.dataset}", latest, "test", "2026-01-01T00:00:00Z")
    story = trace(Home.at(home), ids_of(traced, document)[kind])
    assert story["models"] == []
    assert story["found"]["raw_documents"]["doc_id"] == document


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["document", "chunk", "pair"])
def test_it_leads_down_to_its_pairs_and_what_reviewers_said_of_them(traced, kind):
    home = Home.at(traced[0])
    manifest = home.store.manifest("model", traced[1].fingerprint)
    for item in [*home.manifests(), home.store.manifest(*manifest.inputs["from"].split("/"))]:
        if item.dataset in ("raw_documents", "chunks", "reviews", "clean_pairs", "examples"):
            dataset = home.dataset(str(item))
            Registry(traced[0] / "refs").point(f"dataset/{item.dataset}", dataset, "test", "")
    (pair,) = trace(home, ids_of(traced, LEARNED)[kind])["pairs"]
    assert pair == {
        "pair_id": traced[2][LEARNED],
        "kind": "self_instruct",
        "split": "train",
        "status": "accepted",
        "reached": "examples",
        "reviews": ["accept by ada"],
    }
    assert trace(home, f"{LEARNED}.txt")["pairs"] == [pair]  # a document by its source
    (pair,) = trace(home, ids_of(traced, VALIDATED)[kind])["pairs"]
    assert (pair["dropped"], pair["reviews"]) == ("leaks_into_test", [])


def test_a_pair_of_no_document_is_in_both_models(traced):
    home, _, pair_of = traced
    assert len(trace(Home.at(home), pair_of[""])["models"]) == 2


@pytest.mark.parametrize("identifier", ["", "nothing"])
def test_an_id_that_nothing_has_is_refused(traced, identifier):
    with pytest.raises(InputError, match="no document, chunk or pair"):
        trace(Home.at(traced[0]), identifier)


def test_a_later_part_of_a_table_is_where_its_rows_are_and_not_where_its_header_is():
    header = "| Number of the part | What it is made of | Who may mend it |\n|---|---|---|\n"
    rows = "".join(f"| P{n} | brass and rubber {n} | gardener {n} |\n" for n in range(40))
    text, own = header + rows, "| P39 | brass and rubber 39 | gardener 39 |"
    found: dict[str, Any] = {
        "raw_documents": {"text": text, "format": "markdown", "source": "a.md"},
        "unique_documents": {"text": text},
        "chunks": {"start": text.index(own), "end": text.index(own) + len(own)},
    }
    found["chunks"]["text"] = header + own
    place = _place(found)
    assert place is not None
    assert place["start"] >= found["chunks"]["start"]
