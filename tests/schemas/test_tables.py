"""The contracts: a good row passes, each broken value is found in its own column."""

import pytest

from pipeline.core.errors import SchemaMismatch
from pipeline.core.outcome import table
from pipeline.core.validation import validate
from schemas.base import Drops
from schemas.documents import Chunks, RawDocuments, Redactions
from schemas.evaluation import Answers
from schemas.pairs import Pairs, Reviews, Splits

ID = "0123456789abcdef"

GOOD = {
    RawDocuments: {
        "doc_id": ID,
        "source": "a.md",
        "format": "markdown",
        "title": "A",
        "text": "Text.",
        "span_start": 0,
        "span_end": 5,
    },
    Redactions: {"doc_id": ID, "kind": "EMAIL", "placeholder": "<EMAIL_1>", "start": 0, "end": 9},
    Chunks: {
        "chunk_id": ID,
        "doc_id": ID,
        "title": "A",
        "section": "",
        "start": 0,
        "end": 5,
        "text": "Text.",
        "tokens": 2,
    },
    Splits: {"doc_id": ID, "chunk_id": "", "unit_id": ID, "cluster_id": ID, "split": "train"},
    Pairs: {
        "pair_id": ID,
        "instruction": "What?",
        "input": "",
        "response": "That.",
        "evidence": "",
        "chunk_id": "",
        "doc_id": "",
        "seed_task_id": "",
        "generator": "g",
        "prompt_version": "1",
        "kind": "",
        "history": [],
        "other_chunk_id": "",
        "origin": "gold",
        "score": None,
    },
    Reviews: {
        "pair_id": ID,
        "verdict": "accept",
        "edited_instruction": None,
        "edited_response": None,
        "seconds": None,
        "flags": [],
        "note": "",
        "reviewer": "ada",
        "decided_at": "2026-01-01T00:00:00Z",
    },
    Answers: {
        "arm": "base",
        "pair_id": ID,
        "doc_id": ID,
        "cluster_id": ID,
        "answer": "",
        "thoughts": "",
        "retrieved": "",
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "response_tokens": 3,
        "response_bytes": 8,
        "loss": 1.5,
        "bits_per_byte": 0.8,
        "log_prob": -0.5,
        "chrf": 0.5,
        "grounded": None,
        "refusal_right": None,
        "refusal_wrong": 0.0,
        "repetition": 0.0,
        "length_ratio": 1.2,
        "found_document": None,
        "rouge_l": 0.0,
        "token_f1": 1.0,
        "exact_match": 0.0,
        "stopped": 1.0,
    },
    Drops: {
        "id": "x",
        "reason": "too_short",
        "value": None,
        "threshold": None,
        "related_id": None,
        "excerpt": "",
    },
}

BAD = [
    (RawDocuments, "doc_id", "short"),
    (RawDocuments, "format", "Word 97"),
    (RawDocuments, "text", ""),
    (RawDocuments, "title", None),
    (RawDocuments, "span_start", -1),
    (Redactions, "kind", "name"),
    (Redactions, "placeholder", "ada@example.com"),
    (Chunks, "tokens", 0),
    (Chunks, "end", 0),
    (Splits, "split", "dev"),
    (Splits, "cluster_id", None),
    (Pairs, "origin", "human"),
    (Pairs, "response", None),
    (Reviews, "verdict", "maybe"),
    (Reviews, "reviewer", ""),
    (Answers, "arm", "oracle"),
    (Answers, "loss", -0.1),
    (Answers, "rouge_l", 1.1),
    (Answers, "stopped", 0.5),
    (Answers, "grounded", 0.5),
    (Answers, "log_prob", 0.1),
    (Answers, "completion_tokens", 0),
    (Answers, "response_tokens", 0),
    (Drops, "reason", "Too short"),
]


@pytest.mark.parametrize("schema", GOOD, ids=lambda schema: schema.__name__)
def test_a_good_row_passes(schema):
    assert validate(table(schema, [GOOD[schema]]), schema, "test").height == 1


@pytest.mark.parametrize(("schema", "column", "value"), BAD)
def test_a_broken_value_is_found_in_its_column(schema, column, value):
    with pytest.raises(SchemaMismatch, match=f"{column} fails"):
        validate(table(schema, [GOOD[schema] | {column: value}]), schema, "test")


@pytest.mark.parametrize("schema", GOOD, ids=lambda schema: schema.__name__)
def test_an_unknown_or_missing_column_is_refused(schema):
    frame = table(schema, [GOOD[schema]])
    with pytest.raises(SchemaMismatch, match="column_in_schema"):
        validate(frame.with_columns(extra=1), schema, "test")
    with pytest.raises(SchemaMismatch, match="column_in_dataframe"):
        validate(frame.drop(frame.columns[-1]), schema, "test")


@pytest.mark.parametrize("schema", [RawDocuments, Chunks, Splits, Pairs])
def test_an_id_occurs_once(schema):
    rows = [GOOD[schema], GOOD[schema]]
    with pytest.raises(SchemaMismatch, match="unique"):
        validate(table(schema, rows), schema, "test")
