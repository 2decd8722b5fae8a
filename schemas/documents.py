"""Documents, from the file as read to the survivor of its cluster, and their chunks."""

import pandera.polars as pa
import polars as pl

from schemas.base import ID, Table


class RawDocuments(Table):
    """A document as its reader gave it: HTML with tags, pages and slides joined by form feeds."""

    doc_id: str = pa.Field(str_matches=ID, unique=True)
    """Hash of source, record and text: another version of a file is another document."""
    source: str = pa.Field()
    """Path below the input folder; a record of a JSONL file has ``#<line>`` behind it."""
    format: str = pa.Field(str_matches=r"^[a-z0-9]+$")
    """Name of the reader that gave it."""
    title: str = pa.Field()
    text: str = pa.Field(str_length={"min_value": 1})
    span_start: int = pa.Field(ge=0)
    """First character of the document in the decoded file (a JSONL record: of its line)."""
    span_end: int = pa.Field(ge=0)


class LeftOut(Table):
    """What was left out of a document on purpose, by kind; stored beside what a stage kept."""

    doc_id: str = pa.Field(str_matches=ID)
    source: str = pa.Field()
    kind: str = pa.Field(str_matches=r"^[a-z_]+$")
    amount: int = pa.Field(gt=0)
    """Words, pictures, pages: :data:`pipeline.documents.left_out.UNITS` says which."""
    detail: str = pa.Field()
    """Numbers of pages, names or warnings; empty where they help nobody."""


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
    similarity: float = pa.Field(ge=0, le=1)
    """Jaccard similarity of their shingles, or cosine of their embeddings."""


class Redactions(Table):
    """Audit of what was redacted where; the value itself is never stored."""

    doc_id: str = pa.Field(str_matches=ID)
    kind: str = pa.Field(str_matches=r"^[A-Z]+$")
    """Name of the finder."""
    placeholder: str = pa.Field(str_matches=r"^<[A-Z]+_\d+>$")
    start: int = pa.Field(ge=0)
    """Character range in the cleaned text before redaction."""
    end: int = pa.Field(gt=0)


class Chunks(Table):
    """A run of whole blocks or sentences under one heading path."""

    chunk_id: str = pa.Field(str_matches=ID, unique=True)
    doc_id: str = pa.Field(str_matches=ID)
    title: str = pa.Field()
    section: str = pa.Field()
    """Heading path, ``Installation > Linux``; empty above the first heading."""
    start: int = pa.Field(ge=0)
    """Character range in the text of UniqueDocuments."""
    end: int = pa.Field(gt=0)
    text: str = pa.Field(str_length={"min_value": 1})
    """What stands there, below what it repeats of the block that it is a later part of (the header
    of its table, the opening fence of its code, what a list item says above its list), and above
    the fence that closes code that goes on."""
    tokens: int = pa.Field(gt=0)
    """Length of the text by the tokenizer of the base model, with what is repeated."""


class RepeatedParagraphs(Table):
    """A paragraph that several documents have in common, and how often it occurs."""

    key: str = pa.Field(str_matches=ID, unique=True)
    """Hash of its text but for case and white space."""
    text: str = pa.Field(str_length={"min_value": 1})
    """How it begins, in the document that sorts first."""
    words: int = pa.Field(ge=1)
    characters: int = pa.Field(ge=1)
    """Of one occurrence."""
    documents: int = pa.Field(ge=2)
    occurrences: int = pa.Field(ge=2)
    doc_id: str = pa.Field(str_matches=ID)
    """The document that sorts first by source: there one copy stays when the others go."""
    sources: pl.List(pl.String) = pa.Field()  # type: ignore[valid-type]
    """Of the first documents that have it."""
