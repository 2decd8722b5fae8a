"""Screen candidate pairs by named rules: form, groundedness, conflicts, novelty."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.progress import track
from pipeline.core.stage import Stage
from pipeline.pairs.assignment import places, split_of
from pipeline.pairs.screen.candidate import Candidate, Finding, earlier_turns, turns
from pipeline.pairs.screen.judge import Criteria
from pipeline.pairs.screen.novelty import KeptPairs
from pipeline.pairs.screen.rules import SCREEN_RULES, first_finding
from pipeline.settings import ScreenSettings, SplitSettings
from schemas.documents import Chunks
from schemas.pairs import Pairs, ScreenedPairs, SeedTasks, Splits

Row = dict[str, Any]
Judged = tuple[Row, Candidate]  # a row of Pairs, and what it is judged by
PARTS = ("title", "section", "text")  # of a chunk
SAME = ("instruction", "response", "input", "pair_id", "doc_id", "score", "kind")
"""Columns of a pair that its candidate has too."""


def screen(
    pairs: DataFrame[Pairs],
    chunks: DataFrame[Chunks],
    seed_tasks: DataFrame[SeedTasks],
    splits: DataFrame[Splits],
    settings: ScreenSettings,
    criteria: Criteria,
    rows: DataFrame[Pairs] | None = None,
    shares: SplitSettings | None = None,
) -> Outcome[ScreenedPairs]:
    """Keep the pairs that pass every rule.

    The rules on one pair come first, in the order of :data:`.rules.SCREEN_RULES`; the first
    finding is the reason. A judge of the criteria looks at each pair that passed. The pairs left
    are taken one by one, grounded before self-instruct, by falling score (none last) and
    ``pair_id``, and compared with those kept before.

    ``pairs`` are candidates of origin ``grounded`` or ``self_instruct``, ``rows`` the user's own,
    split by ``shares``.

    Returns:
        Kept pairs sorted by ``pair_id``, with ``split`` and ``cluster_id`` of their document or
        section; a self-instruct pair is train and a cluster of its own, and so is a row of the
        user in the split that the hash of its id says. With a judge, metrics ``judge_*``.
    """
    screens = Screens(chunks, seed_tasks, settings, criteria, splits)
    find, shares = places(splits), shares or SplitSettings()
    dropped: list[Drop] = []

    def left(judged: Iterable[tuple[Judged, Finding | None]]) -> list[Judged]:
        passed = []
        for (row, pair), finding in judged:
            if finding:
                dropped.append(_drop(pair, finding))
            else:
                passed.append((row, pair))
        return passed

    everything = pairs.to_dicts() + ([] if rows is None else rows.to_dicts())
    passed = left(map(screens.alone, track(everything, "pairs")))
    metrics: dict[str, float] = {}
    if judge := criteria.judge:
        judged, compared = screens.by_judge(passed), judge.calibration
        metrics["judge_asked"] = float(len(judged))
        metrics["judge_faulted"] = float(sum(finding is not None for _, finding in judged))
        metrics["judge_decisions"] = float(compared.decisions if compared else 0)
        metrics["judge_kappa"] = compared.kappa if compared else 0.0
        metrics["judge_counts"] = float(judge.counts)
        passed = left(judged) if judge.counts else passed
    kept: list[Row] = []
    for row, pair in left(screens.together(passed)):
        alone = split_of(pair.pair_id, shares) if row["origin"] == "rows" else "train"
        place = find(row["doc_id"], row["chunk_id"]) if pair.grounded else None
        kept.append(row | (place or {"split": alone, "cluster_id": pair.pair_id}))
    kept.sort(key=lambda row: row["pair_id"])
    return Outcome(table(ScreenedPairs, kept), drops(dropped), len(everything), metrics=metrics)


class Screens:
    """The rules, ready to judge rows of Pairs: each by itself, then those that passed together."""

    def __init__(
        self,
        chunks: DataFrame[Chunks],
        seed_tasks: DataFrame[SeedTasks],
        settings: ScreenSettings,
        criteria: Criteria,
        splits: DataFrame[Splits] | None = None,
    ) -> None:
        """Take what pairs are judged by; without ``splits`` no rule looks at them."""
        self._chunks = {row["chunk_id"]: row for row in chunks.iter_rows(named=True)}
        self._find = None if splits is None else places(splits)
        split_of = {} if splits is None else dict(splits.select("chunk_id", "split").iter_rows())
        self._sections = [
            (split_of[chunk_id], " ".join(row["text"].split()))
            for chunk_id, row in self._chunks.items()
            if chunk_id in split_of
        ]
        seeds = seed_tasks.select("seed_task_id", "instruction").sort("seed_task_id")
        self._seeds = list(seeds.iter_rows())
        self._settings, self._languages = settings, criteria.languages
        self._judge = criteria.judge
        self._seen: dict[str, Judged | None] = {}

    def alone(self, row: Row) -> tuple[Judged, Finding | None]:
        """Judge a pair by itself; return what is wrong with it or an earlier turn, if anything."""
        chunk, other = (self._chunks.get(row[name]) for name in ("chunk_id", "other_chunk_id"))
        parts = (each[part] for each in (chunk, other) if each for part in PARTS)
        placed = self._find is None or self._find(row["doc_id"], row["chunk_id"]) is not None
        evidence = " ".join(row["evidence"].split())
        pair = Candidate(
            **{name: row[name] for name in SAME},
            grounded=row["origin"] == "grounded",
            source="\n".join(parts),
            evidence=evidence,
            languages=self._languages,
            of_people=row["origin"] == "rows",
            history=turns(row["history"]),
            known=chunk is not None and placed,
            splits=len({split for split, text in self._sections if evidence and evidence in text}),
        )
        said = [pair]
        if pair.grounded:  # what a teacher said before is learned as well
            said += [turn for _, turn in earlier_turns(pair, row["history"])]
        findings = (first_finding(self._settings, each, compares=False) for each in said)
        return (row, pair), next(filter(None, findings), None)

    def by_judge(self, passed: Sequence[Judged]) -> list[tuple[Judged, Finding | None]]:
        """Return pairs that passed alone, each with what the judge finds wrong with it."""
        rule = SCREEN_RULES["unsupported_claim"]
        asked = [pair for _, pair in passed if rule.fits(pair)] if self._judge else []
        said = self._judge.faults(asked) if self._judge else []
        faults = dict(zip((pair.pair_id for pair in asked), said, strict=True))
        return [
            ((row, pair), rule.function(replace(pair, faults=faults.get(pair.pair_id) or ()), None))
            for row, pair in passed
        ]

    def together(self, passed: Iterable[Judged]) -> Iterator[tuple[Judged, Finding | None]]:
        """Yield the pairs that passed alone, best first, each with what is wrong beside others."""

        def order(judged: Judged) -> tuple[bool, bool, float, str]:
            pair = judged[1]
            return not pair.grounded, pair.score is None, -(pair.score or 0.0), pair.pair_id

        ranked = sorted(passed, key=order)
        kept = KeptPairs(self._seeds, self._settings, [pair for _, pair in ranked])
        for row, pair in ranked:
            finding = first_finding(kept, pair, compares=True)
            if not finding:
                kept.add(pair)
            yield (row, pair), finding

    def passing(self, rows: Iterable[Row]) -> int:
        """Count the rows that pass; each is judged by itself once, in whatever call it comes."""
        new: dict[str, Row] = {}
        for row in rows:
            if row["pair_id"] not in self._seen:
                new.setdefault(row["pair_id"], row)
        passed = [judged for judged, finding in map(self.alone, new.values()) if not finding]
        if self._judge and self._judge.counts:
            passed = [judged for judged, finding in self.by_judge(passed) if not finding]
        self._seen |= dict.fromkeys(new) | {pair.pair_id: (row, pair) for row, pair in passed}
        known = filter(None, self._seen.values())
        return sum(finding is None for _, finding in self.together(known))


def _drop(pair: Candidate, finding: Finding) -> Drop:
    detail = f"[{finding.detail}] " if finding.detail else ""
    return Drop(
        pair.pair_id,
        finding.reason,
        f"{detail}{pair.instruction} -> {pair.response}",
        float(finding.value),
        float(finding.threshold),
        finding.related_id,
    )


SCREEN = Stage(
    "screen",
    screen,
    ScreenedPairs,
    {"pairs": Pairs, "chunks": Chunks, "splits": Splits, "rows": Pairs},
    section="screen",
    dataset="screened_pairs",
)
