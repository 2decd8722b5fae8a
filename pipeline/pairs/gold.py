"""Gold rows: questions with answers that an expert wrote, and the documents that answer them."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from pandera.typing.polars import DataFrame

from pipeline.core.cache import canonical_json, short_id
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.assignment import places
from pipeline.pairs.harvest import pair_id, pair_row
from pipeline.pairs.sources import Passages, Sources
from pipeline.pairs.user_files import stop_if_mostly_bad
from pipeline.text.words import words
from schemas.base import Drops
from schemas.documents import Chunks, RawDocuments, UniqueDocuments
from schemas.pairs import GoldRows, SettledPairs, Splits

QUESTION = ("question", "instruction", "prompt")
ANSWER = ("answer", "response", "completion", "output")
DOCUMENT = ("document", "source")
"""Names of the fields of a gold row, as people's files have them; the first one found counts."""
EXPECTED = (
    "question and answer (or instruction and response, prompt and completion, or messages of a "
    "user and an assistant), perhaps input, and perhaps document: the path below the input folder "
    "of the document that answers it"
)
MISPLACED = ("malformed_row", "unknown_document")


class GoldRow(NamedTuple):
    """A gold row under its own names, without surrounding white space; '' for what it lacks."""

    question: str
    input: str
    answer: str
    document: str  # source path


def locate_gold(
    rows: Sequence[Mapping[str, Any]],
    documents: DataFrame[UniqueDocuments],
    duplicates: DataFrame[Drops],
    raw: DataFrame[RawDocuments],
    chunks: DataFrame[Chunks],
    name: str,
) -> Outcome[GoldRows]:
    """Find the document and the chunk that answer each gold row, before anything is split.

    ``rows`` are as :data:`EXPECTED` says. A document is named by its source path in ``raw`` (a
    record of a JSONL file as ``path#line``), or the end of one that no other has; a question about
    one of the ``duplicates``, which deduplicate dropped, follows its survivor in ``documents``. A
    row that names none belongs to the chunk that BM25 ranks first for its words, if that has at
    least half of them; else it stands alone. ``name`` is that of the file, for messages.

    Returns:
        Rows sorted by ``pair_id``. Dropped: ``malformed_row`` (value: fields that are missing,
        empty or no text; the id is a hash of the row), ``unknown_document`` (no such source was
        read), ``document_dropped`` (it was read but let go, ``related_id``),
        ``duplicate_question`` (the same words as ``related_id``; the smallest pair_id stays).
        Metrics: rows ``named``, ``searched`` (found by their words) and ``alone``. InputError: more
        than half of the rows are malformed or name documents that were not read.
    """
    own = set(documents["doc_id"])
    lost = duplicates.select("id", "related_id").iter_rows()
    home = {doc_id: survivor for doc_id, survivor in lost if survivor in own}
    home |= {doc_id: doc_id for doc_id in own}
    sources, passages = Sources(raw), Passages(chunks)
    counts = {"named": 0, "searched": 0, "alone": 0}
    located: list[dict[str, Any]] = []
    dropped: list[Drop] = []
    for row in rows:
        found = read_row(row)
        if isinstance(found, Drop):
            dropped.append(found)
            continue
        asked = f"{found.question} {found.input} {found.answer}"
        doc_id = chunk_id = ""
        if found.document or sources.only:
            read = sources.find(found.document or sources.only)
            doc_id = next((home[key] for key in read if key in home), "")
            if not doc_id:
                dropped.append(_homeless(found, read, sources))
                continue
            chunk_id = passages.nearest(doc_id, asked)
            counts["named"] += 1
        else:
            doc_id, chunk_id = passages.search(asked)
            counts["searched" if doc_id else "alone"] += 1
        known = {"question": found.question, "input": found.input, "answer": found.answer}
        key = pair_id(*found[:3], doc_id, "gold")
        located.append(known | {"pair_id": key, "doc_id": doc_id, "chunk_id": chunk_id})
    bad = [f"{drop.reason}: {drop.excerpt}" for drop in dropped if drop.reason in MISPLACED]
    stop_if_mostly_bad(name, bad, len(rows), EXPECTED)
    kept, repeated = _distinct(located)
    metrics = {key: float(count) for key, count in counts.items()}
    return Outcome(table(GoldRows, kept), drops(dropped + repeated), len(rows), metrics=metrics)


def settle_gold(
    gold: DataFrame[GoldRows], splits: DataFrame[Splits], name: str
) -> Outcome[SettledPairs]:
    """Settle gold rows in the split of their document or section; else ``document_dropped``."""
    find = places(splits)
    pairs: list[dict[str, Any]] = []
    dropped: list[Drop] = []
    for row in gold.sort("pair_id").iter_rows(named=True):
        question, doc_id = row["question"], row["doc_id"]
        place = find(doc_id, row["chunk_id"]) if doc_id else find("", row["pair_id"])
        if place is None:
            dropped.append(Drop(row["pair_id"], "document_dropped", question, related_id=doc_id))
            continue
        pair = pair_row("gold", question, row["answer"], row["input"], doc_id, generator=name)
        unedited = dict.fromkeys(("reviewer", "original_instruction", "original_response"))
        pairs.append(pair | place | unedited | {"status": "gold"})
    return Outcome(table(SettledPairs, pairs), drops(dropped), rows_in=gold.height)


def read_row(row: Mapping[str, Any]) -> GoldRow | Drop:
    """Read the fields of a gold row, or say which are missing, empty or no text."""
    row = _turns({key.strip().casefold(): value for key, value in row.items()})
    fields = {"question": first_text(row, QUESTION), "answer": first_text(row, ANSWER)}
    bad = [field for field, value in fields.items() if not value]
    if bad:
        text = canonical_json(dict(row))
        excerpt = f"{', '.join(bad)} missing, empty or no text{_likely(row)}: {text}"
        return Drop(short_id(text), "malformed_row", excerpt, float(len(bad)), 0.0)
    given, document = first_text(row, ("input",)), first_text(row, DOCUMENT)
    return GoldRow(input=given, document=document, **fields)


def _likely(row: Mapping[str, Any]) -> str:
    known = (*QUESTION, *ANSWER)
    near = {key: get_close_matches(key, known, n=1, cutoff=0.7) for key in row.keys() - known}
    told = ", ".join(f"{key!r} for {near[key][0]!r}" for key in row if near.get(key))
    return f" (it has {told}?)" if told else ""


def _turns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Put the texts of chat messages in as question and answer."""
    turns: list[Any] = []
    for name in ("messages", "prompt", "completion"):
        turns += row[name] if isinstance(row.get(name), list) else []
    told = [turn for turn in turns if isinstance(turn, dict) and turn.get("role") != "system"]
    if [turn.get("role") for turn in told] != ["user", "assistant"]:
        return dict(row)
    asked, answered = (turn.get("content") for turn in told)
    return dict(row) | {"question": asked, "answer": answered}


def first_text(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the first of the named fields that holds text, stripped; empty when none does."""
    texts = (row[name].strip() for name in names if isinstance(row.get(name), str))
    return next(filter(None, texts), "")


def _homeless(row: GoldRow, read: list[str], sources: Sources) -> Drop:
    """Return the drop of a row without a surviving document; ``read`` came from its source."""
    key = pair_id(*row[:3], read[0] if read else row.document, "gold")
    if read:
        excerpt = f"{row.document}: {row.question}"
        return Drop(key, "document_dropped", excerpt, related_id=read[0])
    near = sources.nearest(row.document)
    likely = f" (the nearest is {near})" if near else ""
    return Drop(key, "unknown_document", f"{row.document}{likely}: {row.question}", 0, 1)


def _distinct(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Drop]]:
    kept: dict[str, dict[str, Any]] = {}
    dropped = []
    for row in sorted(rows, key=lambda row: row["pair_id"]):
        own, question = row["pair_id"], row["question"]
        first = kept.setdefault(" ".join(words(f"{question} {row['input']}")), row)
        if first is not row:
            dropped.append(Drop(own, "duplicate_question", question, 1.0, 1.0, first["pair_id"]))
    return list(kept.values()), dropped


LOCATE = Stage(
    "locate gold",
    locate_gold,
    GoldRows,
    {"documents": UniqueDocuments, "raw": RawDocuments, "chunks": Chunks},
    dataset="gold_rows",
)
GOLD = Stage(
    "gold",
    settle_gold,
    SettledPairs,
    {"gold": GoldRows, "splits": Splits},
    dataset="gold_pairs",
)
