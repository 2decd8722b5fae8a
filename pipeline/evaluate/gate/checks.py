"""The checks of the gate, one function each: what was measured, what was needed, in words."""

from pipeline.evaluate.results import (
    Change,
    Check,
    Claim,
    Evaluation,
    Forgetting,
    Interval,
    Pairwise,
    Retention,
)
from pipeline.settings import GateSettings

EVEN = 0.5
"""Win rate of two equal models."""


def gain(evaluation: Evaluation, arm: str, words: str, threshold: float) -> Check:
    """Require the lower bound of the gain in loss over an arm to exceed the threshold."""
    name = f"better_than_{arm}"
    differences = evaluation.challenger_minus.get(arm)
    if not differences:
        return Check(
            name, False, None, threshold, f"the {words} and the challenger were not both evaluated"
        )
    found = -differences["loss"]
    return Check(
        name,
        found.low > threshold,
        found.low,
        threshold,
        f"{_losses(evaluation, arm, words)}: gain {_words(found)}, needed > {threshold:g}",
    )


def beats_few_shot(evaluation: Evaluation) -> Check:
    """Require a lower measured loss than the base model has with examples in its prompt.

    Equal quality is a gain already: each few-shot request pays for its examples.
    """
    name = "better_than_few_shot"
    if "few_shot" not in evaluation.challenger_minus:
        return Check(name, False, None, 0, "the challenger was not evaluated")
    found = -evaluation.challenger_minus["few_shot"]["loss"]
    losses = _losses(evaluation, "few_shot", "base model with examples in the prompt")
    return Check(
        name,
        found.value > 0,
        found.value,
        0,
        f"{losses}: gain {_words(found)}, value needed > 0",
    )


def beats_retrieval(evaluation: Evaluation) -> Check:
    """Refuse when retrieval alone wins: the base model with passages has the lowest loss.

    The challenger may win by itself or with the same passages in its prompt: then training adds
    something that retrieval alone does not have.
    """
    name = "better_than_retrieval"
    arms = {
        arm: evaluation.arms[arm]["loss"].value
        for arm in ("challenger", "challenger_retrieval")
        if arm in evaluation.arms
    }
    if not arms:
        return Check(name, False, None, 0, "the challenger was not evaluated")
    retrieval = evaluation.arms["retrieval"]["loss"].value
    best = min(arms, key=lambda arm: arms[arm])
    better = retrieval - arms[best]
    words = {"challenger": "challenger", "challenger_retrieval": "challenger with passages"}[best]
    text = (
        f"loss per token {arms[best]:.3f} of the {words} against {retrieval:.3f} of the base "
        f"model with retrieved passages: gain {better:.3f}, value needed > 0"
    )
    if better <= 0:
        text += "; retrieval alone wins: serve the base model with passages"
    return Check(name, better > 0, better, 0, text)


def no_worse_slice(evaluation: Evaluation, chance: float) -> list[Check]:
    """Refuse when some kind of row is worse than with base or champion, beyond chance.

    A slice is worse when its p-value after Holm's correction over all slices of the comparison
    is below ``chance`` and its loss is higher: its corrected interval lies above 0 as a whole.
    """
    reasons = []
    for arm, slices in evaluation.slices.items():
        tested = [item for item in slices if item.p_holm is not None]
        bad = [
            item
            for item in tested
            if item.p_holm is not None and item.p_holm < chance and item.difference.value > 0
        ]
        worst = max(bad or tested, key=lambda item: item.difference.value, default=None)
        if worst is None:
            continue
        text = (
            f"worst of {len(tested)} slices against {arm}: {worst.dimension} {worst.value}, "
            f"{worst.rows} rows, loss {_words(worst.difference, signed=True)}, p = "
            f"{worst.p_holm:.2g} after Holm; a higher loss with p < {chance:g} refuses"
        )
        name = f"slices_against_{arm}"
        reasons.append(Check(name, not bad, worst.difference.value, 0, text))
    return reasons


def claims(claim: Claim | None, required: bool) -> Check:
    """Say whether several trainings agree on the gain; refuse without when that is asked for."""
    if claim is None:
        return Check("claim", not required, None, None, "no trainings were compared")
    text = claim.text
    if required and not claim.claimed:
        text += "; gate.require_claim asks for two trainings or more (evaluate.seeds)"
    return Check("claim", claim.claimed or not required, len(claim.by_seed), None, text)


def preferred(pairwise: Pairwise) -> list[Check]:
    """Refuse when a calibrated judge prefers the other arm at equal length, interval and all."""
    reasons = []
    for arm, rate in pairwise.against.items():
        won = rate.controlled
        counts = pairwise.calibration.calibrated
        text = (
            f"{pairwise.judge} prefers the challenger to {arm} in {_words(won)} of "
            f"{rate.comparisons} comparisons at equal length ({rate.plain:.3f} as they are, "
            f"{rate.consistency:.0%} consistent in both orders); {pairwise.calibration.text}"
        )
        passed = not counts or won.high >= EVEN
        reasons.append(Check(f"judge_against_{arm}", passed, won.high, EVEN, text))
    return reasons


def stops(evaluation: Evaluation, threshold: float) -> Check:
    """Require that answers end by themselves."""
    if "challenger" not in evaluation.arms:
        return Check("stop_rate", False, None, threshold, "the challenger was not evaluated")
    rate = evaluation.arms["challenger"]["stop_rate"].value
    text = f"{rate:.0%} of answers end by themselves, needed {threshold:.0%} or more"
    return Check("stop_rate", rate >= threshold, rate, threshold, text)


def remembers(forgetting: Forgetting | None, threshold: float) -> Check:
    """Compare the measured rise, not its upper bound: the published levels are plain values."""
    if forgetting is None:
        text = "forgetting was not measured: no general texts are configured (paths.general)"
        return Check("forgetting", True, None, threshold, text)
    rise = forgetting.rise
    text = (
        f"loss on general text rose by {_words(rise)} nats a token, allowed {threshold:g} or less"
    )
    if rise.value > threshold:
        text += "; `tuneloop sweep` looks for a smaller scale of the adapter that keeps it"
    return Check("forgetting", rise.value <= threshold, rise.value, threshold, text)


def remembers_as_champion(forgetting: Forgetting, threshold: float) -> Check:
    """Compare with the champion: what each model forgets must not add up."""
    rise = forgetting.rise
    text = (
        f"loss on general text is {_words(rise)} nats a token above the champion's, "
        f"allowed {threshold:g} or less"
    )
    return Check("forgetting_over_champion", rise.value <= threshold, rise.value, threshold, text)


def behaves(retention: Retention, settings: GateSettings) -> list[Check]:
    """Require instructions still followed, requests still refused and still answered."""
    if retention.behaviour is None:
        return []
    found = retention.behaviour
    wanted: list[tuple[str, Change | None, float, str]] = [
        (
            "instructions",
            found.instructions,
            settings.max_instruction_drop,
            "general instructions followed",
        ),
        ("refusals", found.refused, settings.max_refusal_drop, "harmful requests refused"),
        (
            "refusal_leaning",
            found.leaning,
            settings.max_refusal_drop,
            "harmful requests after which a refusal is the likelier opening",
        ),
        (
            "over_refusals",
            found.answered,
            settings.max_over_refusal_rise,
            "harmless requests answered",
        ),
    ]
    return [
        _keeps(name, change, limit, settings.max_chance, words)
        for name, change, limit, words in wanted
        if change is not None
    ]


def _keeps(name: str, change: Change, limit: float, chance: float, words: str) -> Check:
    """Refuse a drop above the limit that chance does not explain."""
    text = f"{words}: {change.after} of {change.items}, base model {change.before}"
    if change.lost:
        text += (
            f" ({change.lost} lost, {change.gained} gained; by chance p = {change.chance:.2g}); "
            f"a drop above {limit:.0%} with p < {chance:g} refuses"
        )
    passed = change.drop <= limit or change.chance >= chance
    return Check(name, passed, change.drop, limit, text)


def _losses(evaluation: Evaluation, arm: str, words: str) -> str:
    mine, other = evaluation.arms["challenger"]["loss"], evaluation.arms[arm]["loss"]
    return f"loss per token {mine.value:.3f} against {other.value:.3f} of the {words}"


def _words(interval: Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    ends = f"[{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"
    return f"{interval.value:{sign}.3f} {ends}"
