"""The gate: whether a challenger becomes champion, and why, in words.

The challenger must be right more often than base model, few-shot prompting, champion and placebo by
the whole interval of the gain; than retrieval alone by the value. The loss is a diagnostic.
"""

from dataclasses import dataclass

from pipeline.core.store import Dataset
from pipeline.evaluate.gate import checks
from pipeline.evaluate.measures.grounding import Taught
from pipeline.evaluate.results import Claim, Evaluation, Pairwise, Retention, Verdict
from pipeline.settings import GateSettings


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged challenger: what the evaluation found, and what the gate said."""

    answers: dict[str, Dataset]
    evaluation: Evaluation
    retention: Retention
    verdict: Verdict
    promoted: bool  # whether the challenger is champion now


def decide(
    evaluation: Evaluation,
    retention: Retention,
    settings: GateSettings,
    has_champion: bool,
    leaks: int,
    claim: Claim | None = None,
    pairwise: Pairwise | None = None,
    taught: Taught | None = None,
) -> Verdict:
    """Decide on the challenger; all checks must hold, in a fixed order.

    What of ``retention`` was not measured does not refuse; ``leaks`` are training rows that repeat
    test rows; ``taught`` is None where nobody looked.
    """
    reasons = [
        *checks.testable(evaluation, leaks, settings),
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
    if taught is not None:
        reasons += checks.taught_right(taught, settings.min_grounded_training)
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
    failed = [reason.text for reason in reasons if not reason.passed]
    gain = next((reason.text for reason in reasons if "better" in reason.name), "")
    summary = f"promoted: all {len(reasons)} checks hold; {gain}"
    if failed:
        stays = "champion stays" if has_champion else "base model stays, no champion yet"
        count = f"{len(failed)} of {len(reasons)} checks failed"
        summary = f"not promoted, the {stays}: {count}: {'; '.join(failed)}"
    return Verdict(not failed, tuple(reasons), summary)
