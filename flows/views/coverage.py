"""Coverage: which documents and sections have pairs, of which kinds, and why others have none."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.engine.context import Run
from flows.views.examples import sources_of, stage_rows
from pipeline.core.errors import InputError
from pipeline.core.home import Home, ancestors
from pipeline.core.store import PART, Dataset, Store
from pipeline.pairs.coverage import Coverage, KindYield
from pipeline.pairs.task_kinds import TASK_KINDS
from schemas.pairs import ScreenedPairs

NOT_ASKED = "not_asked"  # of a chunk that was not wanted, or that target or budget left out
READ = ("unique_documents", "chunks", "candidate_pairs")


@dataclass(slots=True)
class Covered:
    """A document or one of its sections, and what became of its candidates."""

    name: str  # source of a document, heading path of a section
    kinds: Counter[str] = field(default_factory=Counter)  # pairs that passed the screens, by kind
    drops: Counter[str] = field(default_factory=Counter)  # candidates that did not, by reason
    sections: "dict[str, Covered]" = field(default_factory=dict)

    @property
    def why_none(self) -> str:
        """The most frequent reason of one without pairs; empty for one with pairs."""
        if self.kinds:
            return ""
        return max(self.drops, key=lambda name: (self.drops[name], name), default=NOT_ASKED)

    def to_dict(self) -> dict[str, Any]:
        """Return what `tuneloop show coverage --json` prints."""
        told = {"name": self.name, "pairs": self.kinds.total(), "kinds": dict(self.kinds)}
        told |= {"why_none": self.why_none, "dropped": dict(self.drops)}
        if self.sections:
            told["sections"] = [section.to_dict() for section in self.sections.values()]
        return told


def coverage_of(home: Home) -> list[Covered]:
    """Return the documents of the latest pairs, fewest pairs first; an InputError without any."""
    latest = home.latest()
    if "screened_pairs" not in latest:
        raise InputError(
            "show coverage: no screened pairs found; expected some; run `tuneloop synthesize`"
        )
    screened = latest["screened_pairs"]
    made = {item.dataset: home.dataset(str(item)) for item in ancestors(home, screened)}
    return _covered(home.store, made)


def lines_of(covered: Covered, short: int = 12) -> Iterator[str]:
    """Yield lines about a document of :func:`coverage_of`."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in covered.kinds.most_common())
    yield f"{covered.kinds.total():>5}  {covered.name}  {kinds or covered.why_none}"
    empty = [section for section in covered.sections.values() if not section.kinds]
    for section in empty[:short] if covered.kinds else ():
        yield f"         none of {section.name or '(its beginning)'}: {section.why_none}"
    if covered.kinds and len(empty) > short:
        yield f"         and of {len(empty) - short} more sections"


def in_report(run: Run) -> Coverage | None:
    """Return the coverage and the yield by kind of a run's pairs; None when it made none."""
    known = {dataset.name: dataset for dataset in run.datasets.values()}
    made, passed = stage_rows(run, "generate"), stage_rows(run, "screen")
    if "chunks" not in known or made is None or passed is None:
        return None
    found = _covered(run.store, known)
    metrics = run.facts("generate").metrics
    sections = [section for document in found for section in document.sections.values()]
    reasons = Counter(section.why_none for section in sections if section.why_none)
    kinds = {name: (made.filter(kind=name), passed.filter(kind=name)) for name in TASK_KINDS}
    return Coverage(
        documents=len(found),
        documents_with_pairs=sum(bool(document.kinds) for document in found),
        sections=len(sections),
        sections_with_pairs=sum(bool(section.kinds) for section in sections),
        why_none=dict(reasons.most_common()),
        judge=_judged(run.facts("screen").metrics),
        distinct_2=metrics.get("self_instruct_distinct_2"),
        nearest=metrics.get("self_instruct_nearest"),
        without=tuple(document.name for document in found if not document.kinds)[:8],
        kinds=tuple(
            KindYield(
                kind=name,
                about=TASK_KINDS[name].about,
                candidates=int(metrics.get(f"candidates_{name}", pairs.height)),
                pairs=pairs.height,
                passed=kept.height,
            )
            for name, (pairs, kept) in kinds.items()
            if pairs.height or metrics.get(f"candidates_{name}")
        ),
    )


def _covered(store: Store, made: Mapping[str, Dataset]) -> list[Covered]:
    """Join chunks with their pairs and drops; documents with fewest pairs come first."""
    frames = {name: store.parquet(dataset, PART) for name, dataset in made.items() if name in READ}
    sources = sources_of(frames.get("unique_documents"))
    documents: dict[str, Covered] = {}
    of_chunk: dict[str, tuple[Covered, Covered]] = {}
    for row in frames["chunks"].sort("doc_id", "start").iter_rows(named=True):
        name = sources.get(row["doc_id"], row["title"])
        document = documents.setdefault(row["doc_id"], Covered(name))
        section = document.sections.setdefault(row["section"], Covered(row["section"]))
        of_chunk[row["chunk_id"]] = document, section
    screened = store.read(made["screened_pairs"], ScreenedPairs)
    for chunk_id, kind in screened.select("chunk_id", "kind").iter_rows():
        for part in of_chunk.get(chunk_id, ()):
            part.kinds[kind] += 1
    pairs = dict(frames["candidate_pairs"].select("pair_id", "chunk_id").iter_rows())
    stages = ("candidate_pairs", "screened_pairs")
    lost, screened_out = (store.read_dropped(made[name]) for name in stages)
    drops = [(row["related_id"] or row["id"], row["reason"]) for row in lost.to_dicts()]
    drops += [(pairs.get(row["id"], ""), row["reason"]) for row in screened_out.to_dicts()]
    for chunk_id, reason in drops:
        for part in of_chunk.get(chunk_id, ()):
            part.drops[reason] += 1
    return sorted(documents.values(), key=lambda found: (found.kinds.total(), found.name))


def _judged(metrics: Mapping[str, float]) -> str:
    """Return what a judge of claims found, on a line; '' without one."""
    if "judge_asked" not in metrics:
        return ""
    done = "were left out" if metrics["judge_counts"] else "stay: the judge does not count yet"
    return (
        f"Of {metrics['judge_asked']:,.0f} pairs that passed the other rules, the judge finds "
        f"a claim without support, or an answer to another question, in "
        f"{metrics['judge_faulted']:,.0f}; these {done} (kappa {metrics['judge_kappa']:.2f} on "
        f"{metrics['judge_decisions']:,.0f} decisions of people)."
    )
