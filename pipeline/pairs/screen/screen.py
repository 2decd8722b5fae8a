"""Screen candidate pairs by named rules: form, groundedness, conflicts, novelty."""

from collections.abc import Iterable, Iterator
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.progress import track
from pipeline.core.stage import Stage
from pipeline.pairs.places import places
from pipeline.pairs.screen.ending import unfinished
from pipeline.pairs.screen.form import FORM, Candidate, Finding
from pipeline.pairs.screen.grounding import GROUNDING
from pipeline.pairs.screen.novelty import Kept, conflicts
from pipeline.settings import ScreenSettings
from schemas.chunks import Chunks
from schemas.pairs import Pairs, ScreenedPairs, SeedTasks
from schemas.splits import Splits

Judged = tuple[dict[str, Any], Candidate]
"""A row of Pairs, and what it is judged by."""


def screen(
    pairs: DataFrame[Pairs],
    chunks: DataFrame[Chunks],
    seed_tasks: DataFrame[SeedTasks],
    splits: DataFrame[Splits],
    settings: ScreenSettings,
    languages: tuple[str, ...],
) -> Outcome[ScreenedPairs]:
    """Keep the pairs that pass every rule.

    The rules on one pair come first (:data:`FORM`, the ending, then :data:`GROUNDING` for
    grounded pairs), in their order; the first finding is the reason. The pairs left are taken one
    by one, grounded before self-instruct, by falling score (none last) and ``pair_id``, and
    compared with those kept before.

    Args:
        pairs: candidates of origin ``grounded`` or ``self_instruct``.
        chunks: chunks that the grounded pairs name.
        seed_tasks: tasks that self-instruct started from.
        splits: split and cluster of each document or section.
        settings: section ``screen``.
        languages: ISO 639-1 codes that a pair may be in; empty allows all.

    Returns:
        Kept pairs sorted by ``pair_id``, with ``split`` and ``cluster_id`` of their document or
        section; a self-instruct pair is train and a cluster of its own. Reasons:
        ``unknown_chunk`` (the chunk or its split is not there), ``in_two_splits`` (the sentence
        that it rests on stands in sections of several), ``empty``, ``control_token``,
        ``unparsable``, ``ends_with_colon``, ``only_placeholders``, ``instruction_too_short``,
        ``instruction_too_long``, ``response_too_short``, ``response_too_long``,
        ``several_questions``, ``not_a_question``, ``wrong_language``, ``input_is_output``,
        ``echoes_instruction``, ``refers_to_text``, ``refusal``, ``talks_to_model``, ``unfinished``,
        ``not_grounded_number``, ``not_grounded_quote``, ``not_grounded_name``, ``not_grounded``,
        ``off_topic``, ``question_does_not_help``; and with the other pair or seed task as
        ``related_id`` ``conflicting_answers``, ``near_duplicate_question``, ``low_novelty``.
    """
    screens = Screens(chunks, seed_tasks, settings, languages)
    find = places(splits)
    shared = _Shared(chunks, splits)
    dropped: list[Drop] = []
    passed: list[Judged] = []
    for row in track(pairs.to_dicts(), "pairs"):
        pair, finding = screens.alone(row)
        if pair.grounded and find(row["doc_id"], row["chunk_id"]) is None:
            finding = Finding("unknown_chunk", 0, 1)
        finding = finding or shared.finding(row)
        if finding:
            dropped.append(_drop(pair, finding))
        else:
            passed.append((row, pair))
    rows: list[dict[str, Any]] = []
    for (row, pair), repeated in screens.together(passed):
        if repeated:
            dropped.append(_drop(pair, *repeated))
            continue
        own = {"split": "train", "cluster_id": pair.pair_id}
        place = (pair.grounded and find(row["doc_id"], row["chunk_id"])) or own
        rows.append(row | {"split": place["split"], "cluster_id": place["cluster_id"]})
    rows.sort(key=lambda row: row["pair_id"])
    return Outcome(table(ScreenedPairs, rows), drops(dropped), rows_in=pairs.height)


class _Shared:
    """What sections of several splits have in common, where documents are split by section."""

    def __init__(self, chunks: DataFrame[Chunks], splits: DataFrame[Splits]) -> None:
        split_of = dict(splits.select("chunk_id", "split").iter_rows())
        self._texts = [
            (split_of[row["chunk_id"]], " ".join(row["text"].split()))
            for row in chunks.iter_rows(named=True)
            if row["chunk_id"] in split_of
        ]

    def finding(self, row: dict[str, Any]) -> Finding | None:
        """Return that the evidence of a pair stands in several splits, if it does."""
        evidence = " ".join(row["evidence"].split())
        if not self._texts or not evidence:
            return None
        found = {split for split, text in self._texts if evidence in text}
        return Finding("in_two_splits", len(found), 1, evidence) if len(found) > 1 else None


class Screens:
    """The rules, ready to judge rows of Pairs: each by itself, then those that passed together."""

    def __init__(
        self,
        chunks: DataFrame[Chunks],
        seed_tasks: DataFrame[SeedTasks],
        settings: ScreenSettings,
        languages: tuple[str, ...],
    ) -> None:
        self._sources = {
            row["chunk_id"]: f"{row['title']}\n{row['section']}\n{row['text']}"
            for row in chunks.iter_rows(named=True)
        }
        seeds = seed_tasks.select("seed_task_id", "instruction").sort("seed_task_id")
        self._seeds = list(seeds.iter_rows())
        self._settings, self._languages = settings, languages
        self._known: dict[str, Judged | None] = {}

    def alone(self, row: dict[str, Any]) -> tuple[Candidate, Finding | None]:
        """Judge a pair by itself; return what is wrong with it, if anything."""
        source = self._sources.get(row["chunk_id"])
        grounded = row["origin"] != "self_instruct"
        pair = _candidate(row, source or "", grounded, self._languages)
        finding = Finding("unknown_chunk", 0, 1) if grounded and source is None else None
        for rule in (*FORM, unfinished, *(GROUNDING if grounded else ())):
            finding = finding or rule(pair, self._settings)
        return pair, finding

    def together(
        self, passed: Iterable[Judged]
    ) -> Iterator[tuple[Judged, tuple[Finding, str] | None]]:
        """Yield the pairs that passed alone, best first, each with what it repeats, if anything."""
        ranked = sorted(passed, key=lambda one: _order(one[1]))
        conflicting = conflicts([pair for _, pair in ranked])
        kept = Kept(self._seeds, self._settings)
        for row, pair in ranked:
            repeated = conflicting.get(pair.pair_id) or kept.repeats(pair, row["doc_id"])
            if not repeated:
                kept.add(pair, row["doc_id"])
            yield (row, pair), repeated

    def passing(self, rows: Iterable[dict[str, Any]]) -> int:
        """Count the rows that pass, of which those of an earlier call are known by themselves."""
        for row in rows:
            if row["pair_id"] not in self._known:
                pair, finding = self.alone(row)
                self._known[row["pair_id"]] = None if finding else (row, pair)
        passed = filter(None, self._known.values())
        return sum(repeated is None for _, repeated in self.together(passed))


def _candidate(
    row: dict[str, Any], source: str, grounded: bool, languages: tuple[str, ...]
) -> Candidate:
    return Candidate(
        pair_id=row["pair_id"],
        instruction=row["instruction"],
        input=row["input"],
        response=row["response"],
        grounded=grounded,
        score=row["score"],
        source=source,
        languages=languages,
    )


def _order(pair: Candidate) -> tuple[bool, bool, float, str]:
    score = 0.0 if pair.score is None else -pair.score
    return not pair.grounded, pair.score is None, score, pair.pair_id


def _drop(pair: Candidate, finding: Finding, related_id: str | None = None) -> Drop:
    detail = f"[{finding.detail}] " if finding.detail else ""
    return Drop(
        pair.pair_id,
        finding.reason,
        f"{detail}{pair.instruction} -> {pair.response}",
        float(finding.value),
        float(finding.threshold),
        related_id,
    )


SCREEN = Stage(
    "screen",
    screen,
    ScreenedPairs,
    {"pairs": Pairs, "chunks": Chunks, "splits": Splits},
    section="screen",
    dataset="screened_pairs",
)
