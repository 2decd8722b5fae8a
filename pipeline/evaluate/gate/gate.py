"""The gate: whether a challenger becomes champion, and why, in words.

The burden of proof is on the challenger. Against base and champion the whole interval of the gain
must lie above the threshold, so a tie keeps the champion. Against prompting (examples, retrieved
passages) the measured loss must be lower: equal quality is already a gain there, since each such
request pays for its prompt. What it must not lose (general text, instructions, refusals) has
limits of its own. The checks are in :mod:`pipeline.evaluate.gate.checks`.
"""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from pipeline.evaluate.gate import checks
from pipeline.evaluate.gate.checks import Reason, check
from pipeline.evaluate.measures.calibration import Pairwise
from pipeline.evaluate.retention.kept import Kept
from pipeline.evaluate.statistics.claim import Claim
from pipeline.evaluate.summary import Evaluation
from pipeline.settings import GateSettings


@dataclass(frozen=True, slots=True)
class Verdict:
    """Promoted only when every reason passed."""

    promoted: bool
    reasons: tuple[Reason, ...]
    has_champion: bool

    @property
    def summary(self) -> str:
        """The verdict in one sentence: what decided it."""
        failed = [reason.text for reason in self.reasons if not reason.passed]
        if not failed:
            gain = next((reason.text for reason in self.reasons if "better" in reason.name), "")
            return f"promoted: all {len(self.reasons)} checks hold; {gain}"
        stays = "champion stays" if self.has_champion else "base model stays, no champion yet"
        return (
            f"not promoted, the {stays}: {len(failed)} of {len(self.reasons)} checks failed: "
            + "; ".join(failed)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "promoted": self.promoted,
            "summary": self.summary,
            "reasons": [
                asdict(reason) | {"value": _finite(reason.value)} for reason in self.reasons
            ],
        }


def decide(
    evaluation: Evaluation,
    kept: Kept,
    settings: GateSettings,
    has_champion: bool,
    leaks: int,
    claim: Claim | None = None,
    pairwise: Pairwise | None = None,
) -> Verdict:
    """Decide on the challenger; all checks must hold.

    Args:
        evaluation: all arms on the frozen test set.
        kept: what the challenger kept on the general set; what was not measured (no general set
            configured) is said in the reasons and does not refuse.
        settings: the thresholds.
        has_champion: whether there is a champion to beat; its arm must then be in the evaluation.
        leaks: training rows that repeat test rows, from the leak check.
        pairwise: what a judge said; None without one. It counts only when it is calibrated.
        claim: whether several trainings agree on the gain; None without test rows.

    Returns:
        The verdict, with a reason for each check in a fixed order.
    """
    rows, clusters = evaluation.test_rows, evaluation.test_clusters
    reasons = [
        check(
            "no_leak", leaks <= 0, leaks, 0, f"{leaks} training rows repeat test rows, allowed 0"
        ),
        check(
            "enough_rows",
            rows >= settings.min_test_rows,
            rows,
            settings.min_test_rows,
            f"{rows} test rows, needed {settings.min_test_rows} or more",
        ),
        check(
            "enough_clusters",
            clusters >= settings.min_test_clusters,
            clusters,
            settings.min_test_clusters,
            f"test rows from {clusters} independent {evaluation.unit}, "
            f"needed {settings.min_test_clusters} or more",
        ),
        checks.gain(evaluation, "base", "base model", settings.min_improvement),
    ]
    if "few_shot" in evaluation.arms:
        reasons.append(checks.beats_few_shot(evaluation))
    if settings.beat_retrieval and "retrieval" in evaluation.arms:
        reasons.append(checks.beats_retrieval(evaluation))
    if has_champion:
        reasons.append(checks.gain(evaluation, "champion", "champion", settings.min_improvement))
    if settings.refuse_worse_slices:
        reasons += checks.no_worse_slice(evaluation, settings.max_chance)
    reasons.append(checks.stops(evaluation, settings.min_stop_rate))
    reasons.append(checks.remembers(kept.forgetting, settings.max_forgetting))
    if kept.over_champion is not None:
        limit = settings.max_forgetting_over_champion
        reasons.append(checks.remembers_as_champion(kept.over_champion, limit))
    reasons += checks.behaves(kept, settings)
    if settings.require_claim or claim is not None:
        reasons.append(checks.claims(claim, settings.require_claim))
    if pairwise is not None:
        reasons += checks.preferred(pairwise)
    return Verdict(all(reason.passed for reason in reasons), tuple(reasons), has_champion)


def _finite(value: float | None) -> float | None:
    return value if value is None or isfinite(value) else None
