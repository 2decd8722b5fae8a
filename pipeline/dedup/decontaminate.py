"""Leaks: what training would see of the rows that judge it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops
from pipeline.core.progress import track
from pipeline.core.stage import Stage
from pipeline.dedup.row_copies import HeldOut, prove, row
from schemas.pairs import SettledPairs

JUDGES = {"train": ("validation", "test", "benchmark"), "validation": ("test",), "test": ()}
"""What a row must not leak into; ``benchmark``: the files of ``paths.benchmarks``."""
COLUMNS = ("pair_id", "instruction", "input", "response", "cluster_id", "split")
Benchmarks = Sequence[tuple[str, list[str]]]  # rows of files: the name of each, and its texts


class Leak(NamedTuple):
    """A row that gives away one of a later split or of a benchmark."""

    pair_id: str
    test_pair_id: str  # the row that is given away; of a benchmark ``file#row``
    split: str
    kind: str  # ``cluster`` (one in both splits), ``question`` (equal words) or ``text`` (copied)
    value: float  # share of the held-out row that is copied; 1 for the other kinds
    threshold: float


def check_leaks(pairs: pl.DataFrame, benchmarks: Benchmarks = ()) -> list[Leak]:
    """Return what leaks from train into what judges it, and from validation into test.

    Words are compared as one stream a row (instruction, input, response), without case, accents,
    punctuation, hyphens and line breaks. Of each row, kind and held-out split the worst leak is
    returned (largest value, then smallest ``test_pair_id``), sorted by pair, split and kind.
    """
    return _compare(pairs, benchmarks)[0]


def example_leaks(examples: pl.DataFrame) -> list[Leak]:
    """Return what leaks between splits of Examples; all turns but the last are the question."""
    told = pl.element().struct.field("role") != "system"
    turns = pl.col("messages").list.eval(pl.element().filter(told))
    contents = turns.list.eval(pl.element().struct.field("content"))
    rows = examples.with_columns(
        instruction=contents.list.slice(0, contents.list.len() - 1).list.join(" "),
        input=pl.lit(""),
        response=contents.list.last().fill_null(""),
    )
    return check_leaks(rows)


def _compare(pairs: pl.DataFrame, benchmarks: Benchmarks) -> tuple[list[Leak], dict[str, HeldOut]]:
    """Return the worst leak of each row, kind and held-out part, and the index of each part."""
    said = pl.col("history").list.eval(pl.element().struct.field("content")).list.join(" ")
    if "history" in pairs.columns:  # what was asked before is asked too
        pairs = pairs.with_columns(
            instruction=pl.concat_str(said, "instruction", separator=" ").str.strip_chars()
        )
    rows = pairs.select(COLUMNS).sort("pair_id").to_dicts()
    streams = []
    for one in rows:
        asked = f"{one['instruction']} {one['input']}"
        streams.append(row(one["pair_id"], one["split"], (asked,), f"{asked} {one['response']}"))
    for name, fields in benchmarks:
        # A row of training may have the question and the answer without what lies between.
        for text in dict.fromkeys([*fields, " ".join(fields)]):
            streams.append(row(name, "benchmark", (text,), text))
    leaks, checks = list(_shared(rows)), dict[str, HeldOut]()
    for judge in JUDGES["train"]:
        check = checks[judge] = HeldOut([one for one in streams if one.split == judge])
        suspects = [one for one in streams if judge in JUDGES.get(one.split, ())]
        for suspect in track(suspects, "rows"):
            leaks += [
                Leak(suspect.id, hit.id, judge, hit.kind, hit.value, hit.threshold)
                for hit in check.hits(suspect)
            ]
    worst: dict[tuple[str, str, str], Leak] = {}
    for leak in sorted(leaks, key=lambda leak: (-leak.value, leak.test_pair_id)):
        worst.setdefault((leak.pair_id, leak.split, leak.kind), leak)
    return [worst[key] for key in sorted(worst)], checks


def decontaminate(
    settled: DataFrame[SettledPairs],
    benchmarks: Benchmarks = (),
    gold: DataFrame[SettledPairs] | None = None,
) -> Outcome[SettledPairs]:
    """Drop settled and gold rows whose question or text leaks into a later split or a benchmark.

    Before the check is believed it is tried: copies of held-out rows are planted, and each must be
    found, or a TrainingError is raised. A cluster in two splits is a fault of the split, which
    :func:`check_leaks` goes on to show.

    Returns:
        The other pairs by ``pair_id``. Dropped: ``leaks_into_test``, ``leaks_into_validation`` and
        ``leaks_into_benchmark`` (value: copied share of ``related_id``). Metrics: ``planted``.
    """
    pairs = settled if gold is None else pl.concat([settled, gold])
    leaks, checks = _compare(pairs, benchmarks)
    planted = sum(prove(check.rows, check) for check in checks.values())
    worst: dict[str, Leak] = {}
    found = [leak for leak in leaks if leak.kind in {"question", "text"}]
    # Test first: it is the reason that matters when a row leaks into several.
    severity = ("test", "validation", "benchmark").index
    for leak in sorted(found, key=lambda leak: (severity(leak.split), -leak.value, leak.kind)):
        worst.setdefault(leak.pair_id, leak)
    asked = dict(pairs.select("pair_id", "instruction").iter_rows())
    dropped = [
        Drop(
            leak.pair_id,
            f"leaks_into_{leak.split}",
            f"{leak.kind}: {asked[leak.pair_id]}",
            leak.value,
            leak.threshold,
            leak.test_pair_id,
        )
        for leak in worst.values()
    ]
    kept = pairs.filter(~pl.col("pair_id").is_in(list(worst))).sort("pair_id")
    return Outcome(
        cast("DataFrame[SettledPairs]", kept),
        drops(dropped),
        rows_in=pairs.height,
        metrics={"planted": float(planted)},
    )


def _shared(rows: Sequence[dict[str, Any]]) -> Iterator[Leak]:
    """Yield a leak for each row whose cluster is in a later split as well."""
    first: dict[tuple[str, str], str] = {}
    for one in rows:
        first.setdefault((one["cluster_id"], one["split"]), one["pair_id"])
    for one in rows:
        for judge in JUDGES[one["split"]]:
            other = first.get((one["cluster_id"], judge))
            if other is not None:
                yield Leak(one["pair_id"], other, judge, "cluster", 1.0, 0.0)


DECONTAMINATE = Stage(
    "decontaminate",
    decontaminate,
    SettledPairs,
    {"settled": SettledPairs, "gold": SettledPairs},
    dataset="clean_pairs",
)
