"""The gate: whether a challenger becomes champion, and why, in words.

The burden of proof is on the challenger. It must be right more often than base model, few-shot
prompting, champion and placebo by the whole interval of the gain, so a tie keeps the champion; than
retrieval alone by the measured value. What it must not lose (answers that stand in the documents,
abstention, general text, instructions, refusals) has limits of its own. The loss is a diagnostic:
a model may have a lower one and be wrong. The checks are in :mod:`pipeline.evaluate.gate.checks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.store import Dataset
from pipeline.evaluate.gate import checks
from pipeline.evaluate.judged import Pairwise
from pipeline.evaluate.results import Check, Claim, Evaluation, Retention, Verdict
from pipeline.settings import GateSettings


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged challenger: what the evaluation found, and what the gate said."""

    answers: dict[str, Dataset]
    """Answers of each arm."""
    evaluation: Evaluation
    retention: Retention
    verdict: Verdict
    promoted: bool
    """Whether the challenger is champion now."""


def decide(
    evaluation: Evaluation,
    retention: Retention,
    settings: GateSettings,
    has_champion: bool,
    leaks: int,
    claim: Claim | None = None,
    pairwise: Pairwise | None = None,
) -> Verdict:
    """Decide on the challenger; all checks must hold.

    Args:
        evaluation: all arms on the frozen test set.
        retention: of what the general set asks; what was not measured (no general set
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
        Check(
            "no_leak", leaks <= 0, leaks, 0, f"{leaks} training rows repeat test rows, allowed 0"
        ),
        Check(
            "enough_rows",
            rows >= settings.min_test_rows,
            rows,
            settings.min_test_rows,
            f"{rows} test rows, needed {settings.min_test_rows} or more",
        ),
        Check(
            "enough_clusters",
            clusters >= settings.min_test_clusters,
            clusters,
            settings.min_test_clusters,
            f"test rows from {clusters} independent {evaluation.unit}, "
            f"needed {settings.min_test_clusters} or more",
        ),
        checks.more_right(evaluation, "base", settings.min_improvement),
    ]
    if "few_shot" in evaluation.arms:
        reasons.append(checks.more_right(evaluation, "few_shot"))
    with_passages = evaluation.served == "challenger_retrieval"
    if settings.beat_retrieval and ("retrieval" in evaluation.arms or with_passages):
        reasons.append(checks.beats_retrieval(evaluation))
    if has_champion:
        reasons.append(checks.more_right(evaluation, "champion", settings.min_improvement))
    if evaluation.placebo_steps is not None:
        reasons.append(checks.more_right(evaluation, "placebo"))
    reasons += checks.supported(evaluation, settings.min_grounded)
    reasons += checks.abstains(evaluation)
    if settings.refuse_worse_slices:
        reasons += checks.no_worse_slice(evaluation, settings.max_chance)
    reasons.append(checks.stops(evaluation, settings.min_stop_rate))
    reasons.append(checks.remembers(retention.forgetting, settings.max_forgetting))
    if retention.over_champion is not None:
        limit = settings.max_forgetting_over_champion
        reasons.append(checks.remembers_as_champion(retention.over_champion, limit))
    reasons += checks.behaves(retention, settings)
    if settings.require_claim or claim is not None:
        reasons.append(checks.claims(claim, settings.require_claim))
    if pairwise is not None:
        reasons += checks.preferred(pairwise)
    return Verdict(
        all(reason.passed for reason in reasons), tuple(reasons), _summary(reasons, has_champion)
    )


def _summary(reasons: Sequence[Check], has_champion: bool) -> str:
    """Return the verdict in one sentence: what decided it."""
    failed = [reason.text for reason in reasons if not reason.passed]
    if not failed:
        gain = next((reason.text for reason in reasons if "better" in reason.name), "")
        return f"promoted: all {len(reasons)} checks hold; {gain}"
    stays = "champion stays" if has_champion else "base model stays, no champion yet"
    return (
        f"not promoted, the {stays}: {len(failed)} of {len(reasons)} checks failed: "
        + "; ".join(failed)
    )
