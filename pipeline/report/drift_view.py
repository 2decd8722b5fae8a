"""What the drift section of the page shows, drawn and counted."""

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from pipeline.drift.evidence import Evidence, KindEvidence
from pipeline.report import drift_charts, drift_words, history
from pipeline.report.contents import Drift
from pipeline.report.drawing import draw

LATEST = 20
"""Decisions of the table below the chart."""
WORDS = 16
"""Most telling n-grams of a kind that are drawn; all are in report.json."""
FAR = 10
"""Ids of texts that are named."""


def view(drift: Drift) -> dict[str, Any]:
    """Return what drift.html shows; what there is nothing to show of is empty."""
    evidence, decision = drift.evidence, drift.decision
    kinds = evidence.kinds if evidence else ()
    series = drift_words.series(drift)
    verdict = drift_words.VERDICTS[decision.action] if decision else None
    threshold = _threshold(evidence)
    return dict(
        found=bool(evidence or series),
        name=verdict.name if verdict else "",
        sentence=drift_words.sentences([verdict.sentence]) if verdict else "",
        mark=draw("mark", action=decision.action) if decision else Markup(""),
        false_alarms=drift_words.false_alarms(evidence.alpha) if evidence else "",
        tests=drift_charts.tests(kinds),
        grams=_by_kind(
            kinds,
            lambda one: drift_charts.grams(one.two_sample.grams[:WORDS] if one.two_sample else ()),
        ),
        shapes=[_shape(one) for one in kinds if one.shape is not None],
        spreads=_by_kind(
            kinds,
            lambda one: drift_charts.spreads(
                [s for s in one.features if not drift_words.is_share(s)], one.kind
            ),
        ),
        shares=_by_kind(
            kinds,
            lambda one: drift_charts.shares(
                [s for s in one.features if drift_words.is_share(s) and s.moved], one.kind
            ),
        ),
        moved=len(drift_words.moved(evidence)) if evidence else 0,
        features=sum(len(one.features) for one in kinds),
        signals=drift_words.signals(evidence) if evidence else [],
        far=[(one.kind, drift_words.visible(key)) for one in kinds for key in one.far[:FAR]],
        history=history.history(series, threshold),
        threshold=threshold,
        latest=list(reversed(series[-LATEST:])),
        decisions=len(series),
        marks={action: draw("mark", action=action) for action in drift_words.VERDICTS},
        verdicts=drift_words.VERDICTS,
    )


def _by_kind(
    kinds: Sequence[KindEvidence], draw: Callable[[KindEvidence], Markup]
) -> list[tuple[str, Markup]]:
    drawn = ((drift_words.kind(one.kind), draw(one)) for one in kinds)
    return [(kind, chart) for kind, chart in drawn if chart]


def _shape(one: KindEvidence) -> str:
    test = one.shape
    assert test is not None
    said = "drifted" if test.drifted else "did not drift"
    names = ", ".join(drift_words.feature(name, one.kind) for name in test.features)
    by = f", above all in {names}" if test.drifted and names else ""
    kind, p_value = drift_words.kind(one.kind), drift_words.number(test.p_value)
    return f"The shape of {kind} {said} (p {p_value}){by}."


def _threshold(evidence: Evidence | None) -> float | None:
    """Return the lowest threshold of the two-sample tests: the first that can be passed."""
    kinds = evidence.kinds if evidence else ()
    return min((one.two_sample.threshold for one in kinds if one.two_sample), default=None)
