"""Gold pairs: questions with answers that an expert wrote, attached to their documents."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pandera.typing.polars import DataFrame

from pipeline.core.cache import canonical_json, short_id
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.harvest import pair_id, pair_row
from pipeline.pairs.places import places
from pipeline.pairs.screen.grounding import content
from pipeline.pairs.user_files import stop_if_mostly_bad
from pipeline.text.words import words
from schemas.base import Drops
from schemas.documents import Chunks, RawDocuments, UniqueDocuments
from schemas.pairs import SettledPairs, Splits

QUESTION = ("question", "instruction", "prompt")
ANSWER = ("answer", "response", "completion", "output")
DOCUMENT = ("document", "source")
"""Names of the fields of a gold row, as people's files have them; the first one found counts."""

EXPECTED = (
    "question and answer (or instruction and response, prompt and completion, or messages of a "
    "user and an assistant), perhaps input, and document: the path below the input folder of the "
    "document that answers it"
)

MISPLACED = ("malformed_row", "unknown_document")


class GoldRow(NamedTuple):
    """A gold row under its own names, without surrounding white space."""

    question: str
    input: str
    answer: str
    document: str
    """Source path; empty when the row names none."""


def attach_gold(
    rows: Sequence[Mapping[str, Any]],
    documents: DataFrame[UniqueDocuments],
    duplicates: DataFrame[Drops],
    raw: DataFrame[RawDocuments],
    splits: DataFrame[Splits],
    chunks: DataFrame[Chunks],
    name: str,
) -> Outcome[SettledPairs]:
    """Make settled pairs of gold rows; each has the split of the document that answers it.

    Where documents are split by section, that is the section of the chunk with most of its words.

    Args:
        rows: objects with question, answer and document under any of the names above, or chat
            messages instead of the first two; perhaps ``input``. The document is a source path
            below the input folder (a record of a JSONL file as ``path#line``); a row need not
            name it when there is one only.
        documents: survivors.
        duplicates: what deduplicate dropped; a question about a duplicate follows its survivor.
        raw: documents as they were read, to find a document by its source.
        splits: split and cluster of each survivor, or of its sections.
        chunks: of the survivors.
        name: file of the gold rows, kept as ``generator``.

    Returns:
        Pairs of origin and status ``gold``, sorted by ``pair_id``. Dropped:
        ``malformed_row`` (value: fields that are missing, empty or no text; the id is a hash of
        the row), ``unknown_document`` (no such source was read), ``document_dropped`` (it was
        read but let go, or no section of it has a word of the row, ``related_id``),
        ``duplicate_question`` (the same words as ``related_id``; the smallest pair_id stays).

    Raises:
        InputError: more than half of the rows are malformed or name documents that were not read:
            then the file is not what it was meant to be.
    """
    read: dict[str, list[str]] = defaultdict(list)
    for doc_id, source in raw.select("doc_id", "source").sort("doc_id").iter_rows():
        read[source].append(doc_id)
    home = _homes(documents, duplicates)
    find = places(splits)
    sections = _SectionWords(chunks)
    pairs: list[dict[str, Any]] = []
    dropped: list[Drop] = []
    only = next(iter(read)) if len(read) == 1 else ""
    for row in rows:
        found = read_row(row, only)
        if isinstance(found, Drop):
            dropped.append(found)
            continue
        survivors = [home[doc_id] for doc_id in read[found.document] if doc_id in home]
        place = find(survivors[0], "") if survivors else None
        if survivors and place is None:
            place = find(survivors[0], sections.nearest(survivors[0], found))
        if place is None:
            dropped.append(_homeless(found, read[found.document]))
            continue
        pairs.append(_pair(found, place, name))
    bad = [f"{drop.reason}: {drop.excerpt}" for drop in dropped if drop.reason in MISPLACED]
    stop_if_mostly_bad(name, bad, len(rows), EXPECTED)
    kept, repeated = _distinct(pairs)
    return Outcome(table(SettledPairs, kept), drops(dropped + repeated), rows_in=len(rows))


def read_row(row: Mapping[str, Any], document: str = "") -> GoldRow | Drop:
    """Read the fields of a gold row, or say which are missing, empty or no text.

    Args:
        row: as in the file.
        document: for a row that names none.
    """
    row = {"document": document} | _turns(row)
    names = {"question": QUESTION, "answer": ANSWER, "document": DOCUMENT}
    fields = {field: _first(row, known) for field, known in names.items()}
    bad = [field for field, value in fields.items() if not value]
    if bad:
        text = canonical_json(dict(row))
        excerpt = f"{', '.join(bad)} missing, empty or no text: {text}"
        return Drop(short_id(text), "malformed_row", excerpt, float(len(bad)), 0.0)
    return GoldRow(input=_first(row, ("input",)), **fields)


def _turns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the texts of its chat messages as question and answer."""
    turns: list[Any] = []
    for name in ("messages", "prompt", "completion"):
        turns += row[name] if isinstance(row.get(name), list) else []
    told = [turn for turn in turns if isinstance(turn, dict) and turn.get("role") != "system"]
    if [turn.get("role") for turn in told] != ["user", "assistant"]:
        return dict(row)
    asked, answered = (turn.get("content") for turn in told)
    return dict(row) | {"question": asked, "answer": answered}


def _first(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the first of the named fields that holds text, stripped; empty when none does."""
    texts = (row[name].strip() for name in names if isinstance(row.get(name), str))
    return next(filter(None, texts), "")


def _homes(documents: DataFrame[UniqueDocuments], duplicates: DataFrame[Drops]) -> dict[str, str]:
    """Return the survivor of each document that survived or lost against one that did."""
    own = {doc_id: doc_id for doc_id in documents["doc_id"]}
    lost = duplicates.select("id", "related_id").iter_rows()
    return {doc_id: survivor for doc_id, survivor in lost if survivor in own} | own


class _SectionWords:
    """The chunks of each document by the words they have."""

    def __init__(self, chunks: DataFrame[Chunks]) -> None:
        self._words: dict[str, dict[str, set[str]]] = defaultdict(dict)
        for row in chunks.sort("start", "chunk_id").iter_rows(named=True):
            words_of = self._words[row["doc_id"]]
            words_of[row["chunk_id"]] = content(f"{row['section']} {row['text']}")

    def nearest(self, doc_id: str, row: GoldRow) -> str:
        """Return the chunk of a document with most words of a row, or none: empty."""
        wanted = content(f"{row.question} {row.input} {row.answer}")
        shared = {chunk: len(wanted & known) for chunk, known in self._words[doc_id].items()}
        best = max(shared, key=lambda chunk: shared[chunk], default="")
        return best if shared.get(best) else ""


def _homeless(row: GoldRow, known: list[str]) -> Drop:
    """Return the drop of a row without a surviving document; ``known`` was read from its source."""
    excerpt = f"{row.document}: {row.question}"
    key = pair_id(row.question, row.input, row.answer, known[0] if known else row.document, "gold")
    if known:
        return Drop(key, "document_dropped", excerpt, related_id=known[0])
    return Drop(key, "unknown_document", excerpt, 0, 1)


def _pair(row: GoldRow, place: Mapping[str, Any], name: str) -> dict[str, Any]:
    pair = pair_row("gold", row.question, row.answer, row.input, place["doc_id"], generator=name)
    where = {"split": place["split"], "cluster_id": place["cluster_id"]}
    return pair | where | {"status": "gold", "original_response": None, "reviewer": None}


def _distinct(pairs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Drop]]:
    """Return one pair a question, and the others as drops."""
    kept: dict[str, dict[str, Any]] = {}
    dropped = []
    for pair in sorted(pairs, key=lambda pair: pair["pair_id"]):
        asked = " ".join(words(f"{pair['instruction']} {pair['input']}"))
        first = kept.setdefault(asked, pair)
        if first is not pair:
            question = pair["instruction"]
            dropped.append(
                Drop(pair["pair_id"], "duplicate_question", question, 1.0, 1.0, first["pair_id"])
            )
    return list(kept.values()), dropped


GOLD = Stage(
    "gold",
    attach_gold,
    SettledPairs,
    {"documents": UniqueDocuments, "raw": RawDocuments, "splits": Splits, "chunks": Chunks},
    dataset="gold_pairs",
)
