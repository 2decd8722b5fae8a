"""Instructions still followed, harmful requests still refused, harmless ones still answered.

Fine-tuning on harmless rows alone weakens what a model was aligned to do (Qi et al. 2024). Of a few
dozen requests, a drop is judged by the one-sided exact McNemar test on those that changed.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import polars as pl
from pandera.typing.polars import DataFrame
from scipy.special import bdtrc

from pipeline.core.errors import InputError
from pipeline.evaluate.measures.behaviour_rules import CHECKS
from pipeline.evaluate.results import Behaviour, Change
from pipeline.pairs.user_files import check_fields, read_jsonl
from pipeline.settings import ForgettingSettings
from schemas.evaluation import BEHAVIOUR_KINDS, BehaviourScores


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt with what is looked for in its answer."""

    id: str
    kind: Literal["instruction", "harmful", "benign"]
    prompt: str
    checks: dict[str, Any]  # of an instruction: argument by check; empty for requests
    group: str = ""  # of a request: whom it is about, where a set looks for bias; empty: nobody


def read_behaviour_items(folder: Path, settings: ForgettingSettings) -> tuple[Item, ...]:
    """Read instructions.jsonl {id, prompt, checks} and safety.jsonl {id, kind, prompt, group}.

    A group or a file may be left out. InputError: a field is missing or of another type, an id
    occurs twice, or a check or kind is not known.
    """
    items: list[Item] = []
    counts = {"instructions": settings.instructions, "safety": settings.safety_requests}
    for name, most in counts.items():
        path = folder / f"{name}.jsonl"
        rows = read_jsonl(path)[:most] if most and path.exists() else []
        for number, row in enumerate(rows, start=1):
            place, instructs = f"{path}, row {number}", name == "instructions"
            if not instructs and row.get("kind") not in BEHAVIOUR_KINDS[1:]:
                raise InputError(
                    f"{place}: kind {row.get('kind')!r} found; expected harmful or benign; mend "
                    "that line"
                )
            row["kind"] = "instruction" if instructs else row["kind"]
            row["checks"] = row.get("checks") if instructs else {}
            check_fields(place, row, {"id": str, "prompt": str, "checks": dict})
            group = str(row.get("group", ""))
            items.append(Item(row["id"], row["kind"], row["prompt"], row["checks"], group))
            if instructs:
                _check_checks(place, row["checks"])
    for identifier, count in Counter(item.id for item in items).items():
        if count > 1:
            raise InputError(
                f"{folder}: id {identifier!r} found twice in instructions.jsonl and "
                "safety.jsonl; expected unique ids; rename one of them"
            )
    return tuple(items)


def compare_behaviour(
    other: DataFrame[BehaviourScores],
    challenger: DataFrame[BehaviourScores],
    groups: Mapping[str, str] | None = None,
) -> Behaviour:
    """Compare the challenger with another model on the same items, or raise InputError."""
    first, second = other.sort("id"), challenger.sort("id")
    if not first.select("id", "kind").equals(second.select("id", "kind")):
        raise InputError(
            f"behaviour: {first.height} answers and {second.height} of the challenger found that "
            "are not to the same items; expected one set; ask both again"
        )
    harmful = [frame.filter(kind="harmful") for frame in (first, second)]
    benign = [frame.filter(kind="benign") for frame in (first, second)]
    asked = [frame.filter(kind="instruction") for frame in (first, second)]
    margins = [cast("float | None", frame["refusal_margin"].mean()) for frame in harmful]
    requests = [frame.filter(pl.col("kind") != "instruction") for frame in (first, second)]
    right = [frame["refused"] == (frame["kind"] == "harmful") for frame in requests]
    group_of = pl.Series([(groups or {}).get(item) for item in requests[0]["id"]], dtype=pl.String)
    by_group = {
        group: _change(*(column.filter(group_of == group) for column in right))
        for group in group_of.drop_nulls().unique().sort()
    }
    return Behaviour(
        instructions=_change(*(frame["followed"] for frame in asked)),
        refused=_change(*(frame["refused"] for frame in harmful)),
        leaning=_change(*(frame["refusal_margin"] > 0 for frame in harmful)),
        answered=_change(*(~frame["refused"] for frame in benign)),
        margin_before=margins[0],
        margin_after=margins[1],
        groups={group: change for group, change in by_group.items() if change is not None},
    )


def _change(before: pl.Series, after: pl.Series) -> Change | None:
    if not before.len():
        return None
    lost, gained = int((before & ~after).sum()), int((~before & after).sum())
    return Change(
        items=before.len(),
        before=int(before.sum()),
        after=int(after.sum()),
        lost=lost,
        gained=gained,
        chance=float(bdtrc(lost - 1, lost + gained, 0.5)) if lost else 1.0,
    )


def _check_checks(place: str, checks: dict[str, Any]) -> None:
    if not checks:
        raise InputError(f"{place}: no checks found; expected one or more; mend that line")
    for name, wanted in checks.items():
        if name not in CHECKS:
            raise InputError(
                f"{place}: check {name!r} is not known; expected one of {', '.join(CHECKS)}; "
                "mend that line"
            )
        kind = CHECKS[name][0]
        if not isinstance(wanted, kind) or (kind is int and isinstance(wanted, bool)):
            raise InputError(
                f"{place}: check {name!r} has {wanted!r}; expected {kind.__name__}; mend that line"
            )
