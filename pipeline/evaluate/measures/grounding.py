"""Whether an answer says only what stands in its source: a pair's chunk, a gold row's document."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.pairs.screen.candidate import Candidate, earlier_turns, turns
from pipeline.pairs.screen.grounding import not_grounded, not_grounded_number, not_grounded_quote
from pipeline.pairs.screen.rules import SCREEN_RULES
from pipeline.settings import ScreenSettings
from pipeline.text.function_words import content
from schemas.documents import Chunks
from schemas.pairs import Examples, SettledPairs

RULES = (not_grounded_number, not_grounded_quote, not_grounded)
"""Numbers, quoted spans, then the recall of content words."""

TAUGHT_RULES = tuple(
    SCREEN_RULES[name]
    for name in (*(rule.__name__ for rule in RULES), "not_grounded_name", "contradicts")
)


@dataclass(frozen=True, slots=True)
class Taught:
    """How many of the answers that a teacher made of documents, and a model learned, hold."""

    rows: int
    supported: int
    first: str  # the first that is not, and why; empty when there is none
    gone: int = 0  # more of them, whose pair or document is not there any more


def taught(
    examples: DataFrame[Examples],
    pairs: DataFrame[SettledPairs],
    chunks: DataFrame[Chunks],
    settings: ScreenSettings,
) -> Taught:
    """Measure the support of training answers: what a teacher made of a chunk must stand in it.

    ``pairs`` are what the examples were made from. Test rows do not count, nor what people wrote or
    edited: it may say more than the documents.
    """
    sources, made = source_texts(pairs, pairs, chunks), dict[str, Candidate]()
    for pair in pairs.iter_rows(named=True):
        said = Candidate(
            pair["instruction"],
            pair["response"],
            grounded=True,
            source=sources.get(pair["pair_id"], ""),
            input=pair["input"],
            kind=pair["kind"],
            history=turns(pair["history"]),
        )
        made[pair["pair_id"]] = said
        for number, turn in earlier_turns(said, pair["history"]):
            made[short_id(pair["pair_id"], str(number))] = turn
    rows = supported = gone = 0
    first = ""
    for row in examples.sort("pair_id").iter_rows(named=True):
        if row["split"] == "test" or row["origin"] != "grounded" or row["status"] == "edited":
            continue
        known = made.get(row["pair_id"])
        if known is None or not known.source:
            gone += 1
            continue
        candidate = replace(known, response=row["messages"][-1]["content"])
        fitting = (rule.function for rule in TAUGHT_RULES if rule.fits(candidate))
        wrong = next(filter(None, (rule(candidate, settings) for rule in fitting)), None)
        rows, supported = rows + 1, supported + (wrong is None)
        if wrong and not first:
            first = f"{row['pair_id'][:12]}, {wrong.reason}: {wrong.detail}"
    return Taught(rows, supported, first, gone)


def source_texts(
    examples: DataFrame[Examples] | DataFrame[SettledPairs],
    pairs: DataFrame[SettledPairs],
    chunks: DataFrame[Chunks],
) -> dict[str, str]:
    """Return by pair_id the text that each example was made from; none of no document."""
    by_id = {row["chunk_id"]: chunk_text(row) for row in chunks.iter_rows(named=True)}
    by_document = {
        str(doc_id): "\n".join(by_id[chunk] for chunk in ids)
        for doc_id, ids in chunks.sort("start", "chunk_id")
        .group_by("doc_id", maintain_order=True)
        .agg("chunk_id")
        .iter_rows()
    }
    columns = ("pair_id", "chunk_id", "other_chunk_id")
    made_from = {
        pair: "\n".join(by_id[chunk] for chunk in ids if chunk in by_id)
        for pair, *ids in pairs.select(columns).iter_rows()
    }
    found = {
        pair: made_from.get(pair) or by_document.get(doc, "")
        for pair, doc in examples.select("pair_id", "doc_id").sort("pair_id").iter_rows()
    }
    return {pair: text for pair, text in found.items() if text}


def chunk_text(chunk: Mapping[str, str]) -> str:
    """Return a chunk as one reads it: title, heading path, text."""
    return "\n".join(filter(None, (chunk["title"], chunk["section"], chunk["text"])))


def grounded(answer: str, question: str, source: str, settings: ScreenSettings) -> float | None:
    """Return 1.0 when numbers, quotes and content words of an answer stand in its source, else 0.0.

    Numbers and quotes of the question may be repeated. None without a source, or for an answer
    without content words ("Yes."): it claims nothing that could be checked.
    """
    if not source or not content(answer):
        return None
    pair = Candidate(question, answer, grounded=True, source=source)
    return float(all(rule(pair, settings) is None for rule in RULES))
