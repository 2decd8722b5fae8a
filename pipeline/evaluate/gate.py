"""The gate: whether a challenger becomes champion, and why, in words.

The burden of proof is on the challenger. Against base and champion the whole interval of the gain
must lie above the threshold, so a tie keeps the champion. Against few-shot prompting the
measured loss must be lower: equal quality is already a gain there, since each few-shot request
pays for its examples in prompt tokens.
"""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from pipeline.evaluate.evaluate import Evaluation
from pipeline.evaluate.forgetting import Forgetting
from pipeline.evaluate.statistics import Interval
from pipeline.settings import GateSettings


@dataclass(frozen=True, slots=True)
class Reason:
    """One check: what was measured, what was needed, and the sentence for a person."""

    name: str
    passed: bool
    value: float | None
    """None where it could not be measured."""
    threshold: float | None
    text: str


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
    forgetting: Forgetting | None,
    settings: GateSettings,
    has_champion: bool,
    leaks: int,
) -> Verdict:
    """Decide on the challenger; all checks must hold.

    Args:
        evaluation: all arms on the frozen test set.
        forgetting: base against challenger on general text; None when it is switched off (no
            general set configured), which is said in the reasons and does not refuse.
        settings: the thresholds.
        has_champion: whether there is a champion to beat; its arm must then be in the evaluation.
        leaks: training rows that repeat test rows, from the leak check.

    Returns:
        The verdict, with a reason for each check in a fixed order.
    """
    rows, clusters = evaluation.test_rows, evaluation.test_clusters
    reasons = [
        _check(
            "no_leak", leaks <= 0, leaks, 0, f"{leaks} training rows repeat test rows, allowed 0"
        ),
        _check(
            "enough_rows",
            rows >= settings.min_test_rows,
            rows,
            settings.min_test_rows,
            f"{rows} test rows, needed {settings.min_test_rows} or more",
        ),
        _check(
            "enough_documents",
            clusters >= settings.min_test_clusters,
            clusters,
            settings.min_test_clusters,
            f"test rows from {clusters} independent documents, "
            f"needed {settings.min_test_clusters} or more",
        ),
        _gain(evaluation, "base", "base model", settings.min_improvement),
    ]
    if "few_shot" in evaluation.arms:
        reasons.append(_beats_few_shot(evaluation))
    if has_champion:
        reasons.append(_gain(evaluation, "champion", "champion", settings.min_improvement))
    reasons.append(_stops(evaluation, settings.min_stop_rate))
    reasons.append(_remembers(forgetting, settings.max_forgetting))
    return Verdict(all(reason.passed for reason in reasons), tuple(reasons), has_champion)


def _gain(evaluation: Evaluation, arm: str, words: str, threshold: float) -> Reason:
    """Require the lower bound of the gain in loss over an arm to exceed the threshold."""
    name = f"better_than_{arm}"
    differences = getattr(evaluation, f"challenger_minus_{arm}")
    if not differences:
        return _check(
            name, False, None, threshold, f"the {words} and the challenger were not both evaluated"
        )
    gain = -differences["loss"]
    return _check(
        name,
        gain.low > threshold,
        gain.low,
        threshold,
        f"{_losses(evaluation, arm, words)}: gain {_words(gain)}, needed > {threshold:g}",
    )


def _beats_few_shot(evaluation: Evaluation) -> Reason:
    """Require a lower measured loss than the base model has with examples in its prompt."""
    if not evaluation.challenger_minus_few_shot:
        return _check("better_than_few_shot", False, None, 0, "the challenger was not evaluated")
    gain = -evaluation.challenger_minus_few_shot["loss"]
    losses = _losses(evaluation, "few_shot", "base model with examples in the prompt")
    return _check(
        "better_than_few_shot",
        gain.value > 0,
        gain.value,
        0,
        f"{losses}: gain {_words(gain)}, value needed > 0",
    )


def _stops(evaluation: Evaluation, threshold: float) -> Reason:
    if "challenger" not in evaluation.arms:
        return _check("stop_rate", False, None, threshold, "the challenger was not evaluated")
    rate = evaluation.arms["challenger"]["stop_rate"].value
    text = f"{rate:.0%} of answers end by themselves, needed {threshold:.0%} or more"
    return _check("stop_rate", rate >= threshold, rate, threshold, text)


def _remembers(forgetting: Forgetting | None, threshold: float) -> Reason:
    """Compare the measured rise, not its upper bound: the published levels are plain values."""
    if forgetting is None:
        text = "forgetting was not measured: no general texts are configured (paths.general)"
        return _check("forgetting", True, None, threshold, text)
    rise = forgetting.rise
    text = (
        f"loss on general text rose by {_words(rise)} nats a token, allowed {threshold:g} or less"
    )
    return _check("forgetting", rise.value <= threshold, rise.value, threshold, text)


def _check(
    name: str, passed: bool, value: float | None, threshold: float | None, text: str
) -> Reason:
    return Reason(name, bool(passed), value, threshold, text)


def _losses(evaluation: Evaluation, arm: str, words: str) -> str:
    mine, other = evaluation.arms["challenger"]["loss"], evaluation.arms[arm]["loss"]
    return f"loss per token {mine.value:.3f} against {other.value:.3f} of the {words}"


def _words(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _finite(value: float | None) -> float | None:
    return value if value is None or isfinite(value) else None
