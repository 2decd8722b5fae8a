"""Documents, from the file as read to the survivor of its cluster, and their chunks."""

import pandera.polars as pa
import polars as pl

from schemas.base import ID, Table


class RawDocuments(Table):
    """A document as its reader gave it: HTML with tags, pages and slides joined by form feeds."""

    doc_id: str = pa.Field(str_matches=ID, unique=True)  # hash of source, record and text
    source: str  # path below the input folder; a record of a JSONL file has ``#<line>`` behind it
    format: str = pa.Field(str_matches=r"^[a-z0-9]+$")  # name of the reader that gave it
    title: str
    text: str = pa.Field(str_length={"min_value": 1})
    span_start: int = pa.Field(ge=0)  # characters of the decoded file; of a JSONL record its line
    span_end: int = pa.Field(ge=0)


class LeftOut(Table):
    """What was left out of a document on purpose, by kind; stored beside what a stage kept."""

    doc_id: str = pa.Field(str_matches=ID)
    source: str
    kind: str = pa.Field(str_matches=r"^[a-z_]+$")
    amount: int = pa.Field(gt=0)  # in units of :data:`pipeline.documents.left_out.UNITS`
    detail: str  # numbers of pages, names or warnings; empty where they help nobody


class Documents(RawDocuments):
    """A cleaned document: Markdown text in one language, personal data redacted."""

    language: str = pa.Field(str_matches=r"^[a-z]{2,3}$")


class UniqueDocuments(Documents):
    """The survivor of a cluster of near duplicates."""

    cluster_id: str = pa.Field(str_matches=ID, unique=True)
    """Hash of the survivor's source: the cluster keeps its split when the text is edited."""
    cluster_size: int = pa.Field(ge=1)


class NearMisses(Table):
    """Two documents of different clusters that nearly are one, by the measure of the stage."""

    doc_id: str = pa.Field(str_matches=ID)
    other_id: str = pa.Field(str_matches=ID)
    similarity: float = pa.Field(ge=0, le=1)  # Jaccard of shingles, or cosine of embeddings


class Redactions(Table):
    """Audit of what was redacted where; the value itself is never stored."""

    doc_id: str = pa.Field(str_matches=ID)
    kind: str = pa.Field(str_matches=r"^[A-Z]+$")  # name of the finder
    placeholder: str = pa.Field(str_matches=r"^<[A-Z]+_\d+>$")
    start: int = pa.Field(ge=0)  # character range in the cleaned text before redaction
    end: int = pa.Field(gt=0)


class Chunks(Table):
    """A run of whole blocks or sentences under one heading path."""

    chunk_id: str = pa.Field(str_matches=ID, unique=True)
    doc_id: str = pa.Field(str_matches=ID)
    title: str
    section: str  # heading path, ``Installation > Linux``; empty above the first heading
    start: int = pa.Field(ge=0)  # character range in the text of UniqueDocuments
    end: int = pa.Field(gt=0)
    text: str = pa.Field(str_length={"min_value": 1})
    """What stands there, below what it repeats of the block that it is a later part of (header of
    the table, fence of the code, words above the list), and above the fence that closes code."""
    tokens: int = pa.Field(gt=0)  # by the base model's tokenizer, with what is repeated


class RepeatedParagraphs(Table):
    """A paragraph that several documents have in common, and how often it occurs."""

    key: str = pa.Field(str_matches=ID, unique=True)  # of its text but for case and space
    text: str = pa.Field(str_length={"min_value": 1})  # its beginning, in the first document
    words: int = pa.Field(ge=1)
    characters: int = pa.Field(ge=1)  # of one occurrence
    documents: int = pa.Field(ge=2)
    occurrences: int = pa.Field(ge=2)
    doc_id: str = pa.Field(str_matches=ID)  # first by source: its copy stays when the others go
    sources: pl.List(pl.String)  # type: ignore[valid-type]
    """Of the first documents that have it."""
