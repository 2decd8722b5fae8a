"""The checks of the gate, one function each: what was measured, what was needed, in words."""

from dataclasses import replace

from pipeline.evaluate.measures.grounding import Taught
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
from pipeline.evaluate.statistics.intervals import holm
from pipeline.settings import GateSettings

EVEN = 0.5  # win rate of two equal models

NAMES = {
    "base": "base model",
    "few_shot": "base model with examples in the prompt",
    "champion": "champion",
    "placebo": "placebo, trained on the answers to other questions",
}


def testable(evaluation: Evaluation, leaks: int, settings: GateSettings) -> list[Check]:
    """Refuse training rows that repeat test rows, and too few test rows or units behind them."""
    rows, least = evaluation.test_rows, settings.min_test_rows
    clusters, fewest = evaluation.test_clusters, settings.min_test_clusters
    counted = f"{rows} test rows, needed {least} or more"
    spread = f"test rows from {clusters} independent {evaluation.unit}, needed {fewest} or more"
    repeated = f"{leaks} training rows repeat test rows, allowed 0"
    return [
        Check("no_leak", leaks <= 0, leaks, 0, repeated),
        Check("enough_rows", rows >= least, rows, least, counted),
        Check("enough_clusters", clusters >= fewest, clusters, fewest, spread),
    ]


def more_right(evaluation: Evaluation, arm: str, threshold: float = 0.0) -> Check:
    """Require that the gain in correctness over an arm exceeds the threshold, interval and all."""
    name = f"better_than_{arm}"
    gain = evaluation.gains.get(arm)
    if gain is None:
        text = f"the {NAMES[arm]} and the challenger were not both evaluated"
        return Check(name, False, None, threshold, text)
    text = (
        f"{_correct(evaluation, arm, NAMES[arm])}: gain {_words(gain)} at "
        f"{evaluation.looks.confidence:.1%} confidence, needed > {threshold:g}"
    )
    return Check(name, gain.low > threshold, gain.low, threshold, text)


def beats_retrieval(evaluation: Evaluation) -> Check:
    """Refuse when retrieval alone is right as often: it needs no training (Ovadia et al. 2024)."""
    name = "better_than_retrieval"
    gain = evaluation.gains.get("retrieval")
    if gain is None:
        text = "retrieval alone and the challenger were not both evaluated (evaluate.arms)"
        return Check(name, False, None, 0, text)
    words = "base model with retrieved passages"
    text = f"{_correct(evaluation, 'retrieval', words)}: gain {gain.value:.3f}, value needed > 0"
    if gain.value <= 0:
        text += "; retrieval alone wins: serve the base model with passages"
    return Check(name, gain.value > 0, gain.value, 0, text)


def supported(evaluation: Evaluation, least: float | None) -> list[Check]:
    """Require answers that stand in the documents: as ``least`` or retrieval says, and no drop."""
    shares = {
        arm: found["grounded"] for arm, found in evaluation.arms.items() if "grounded" in found
    }
    mine, retrieved = shares.get(evaluation.served), shares.get("retrieval")
    if mine is None:
        return []
    checks = []
    basis = "gate.min_grounded"
    if least is None and retrieved is not None:
        least, basis = max(0.0, retrieved.low), "what retrieval alone reaches at least"
    if least is not None:
        text = f"{mine.value:.0%} of answers stand in the documents, needed {least:.0%} ({basis})"
        checks.append(Check("grounded", mine.value >= least, mine.value, least, text))
    drop = evaluation.challenger_minus.get("champion", {}).get("grounded")
    if drop is not None:
        text = (
            f"{mine.value:.0%} of answers stand in the documents, {_words(drop, signed=True)} "
            "beside the champion; a drop by its whole interval refuses"
        )
        checks.append(Check("grounded_as_champion", drop.high >= 0, drop.value, 0, text))
    return checks


def taught_right(taught: Taught, least: float) -> list[Check]:
    """Require training answers that stand in the documents, also of a model asked with passages."""
    if not taught.rows + taught.gone:
        return []
    share = taught.supported / max(1, taught.rows)
    text = (
        f"{share:.0%} of {taught.rows} training answers made from documents stand in them, "
        f"needed {least:.0%} (gate.min_grounded_training)"
    )
    if taught.gone:
        text += f"; of {taught.gone} more the document is gone"
    if taught.first:
        text += f"; the first that does not: {taught.first}"
    return [Check("taught_from_documents", share >= least, share, least, text)]


def abstains(evaluation: Evaluation) -> list[Check]:
    """Require that questions without an answer in the documents are declined as often as before."""
    checks = []
    for arm in ("base", "champion"):
        change = evaluation.challenger_minus.get(arm, {}).get("refusal_right")
        if change is not None:
            text = (
                "questions without an answer in the documents declined: "
                f"{_words(change, signed=True)} beside the {NAMES[arm]}; a drop by its whole "
                "interval refuses"
            )
            name = f"abstention_against_{arm}"
            checks.append(Check(name, change.high >= 0, change.value, 0, text))
    return checks


def no_worse_slice(evaluation: Evaluation, chance: float) -> list[Check]:
    """Refuse a kind of row that is less often right, with p below ``chance`` after Holm."""
    reasons = []
    for arm, slices in evaluation.slices.items():
        tested = [(item, item.p_holm) for item in slices if item.p_holm is not None]
        bad = [(item, p) for item, p in tested if p < chance and item.difference.value < 0]
        if not tested:
            continue
        worst, p_holm = min(bad or tested, key=lambda pair: pair[0].difference.value)
        text = (
            f"worst of {len(tested)} slices against {arm}: {worst.dimension} {worst.value}, "
            f"{worst.rows} rows, correct {_words(worst.difference, signed=True)}, p = "
            f"{p_holm:.2g} after Holm; less with p < {chance:g} refuses"
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
    """Refuse when a calibrated judge prefers the other arm, or grades it higher, beyond chance."""
    reasons = []
    counts = pairwise.calibration.calibrated
    for arm, gain in pairwise.gains.items():
        text = (
            f"{pairwise.judge} grades the challenger {pairwise.correct['challenger'].value:.0%} "
            f"correct, {_words(gain, signed=True)} beside {arm}; {pairwise.calibration.text}"
        )
        passed = not counts or gain.high >= 0
        reasons.append(Check(f"graded_against_{arm}", passed, gain.value, 0, text))
    for arm, rate in pairwise.against.items():
        won = rate.controlled
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
    if evaluation.served not in evaluation.arms:
        return Check("stop_rate", False, None, threshold, "the challenger was not evaluated")
    rate = evaluation.arms[evaluation.served]["stop_rate"].value
    text = f"{rate:.0%} of answers end by themselves, needed {threshold:.0%} or more"
    return Check("stop_rate", rate >= threshold, rate, threshold, text)


def remembers(forgetting: Forgetting | None, threshold: float) -> Check:
    """Compare the measured rise, not its upper bound: the published levels are plain values."""
    if forgetting is None:
        text = "forgetting was not measured: no test rows, or no general texts (paths.general)"
        return Check("forgetting", True, None, threshold, text)
    rise, allowed = forgetting.rise, f"allowed {threshold:g} or less"
    text = f"loss on general text rose by {_words(rise)} nats a token, {allowed}"
    if rise.value > threshold:
        text += "; `tuneloop sweep` looks for a smaller scale of the adapter that keeps it"
    return Check("forgetting", rise.value <= threshold, rise.value, threshold, text)


def remembers_as_champion(forgetting: Forgetting, threshold: float) -> Check:
    """Compare with the champion: what each model forgets must not add up."""
    rise, allowed = forgetting.rise, f"allowed {threshold:g} or less"
    text = f"loss on general text is {_words(rise)} nats a token above the champion's, {allowed}"
    return Check("forgetting_over_champion", rise.value <= threshold, rise.value, threshold, text)


def behaves(retention: Retention, settings: GateSettings) -> list[Check]:
    """Require instructions still followed, requests still refused and still answered."""
    found = retention.behaviour
    if found is None:
        return []
    refusal, over = settings.max_refusal_drop, settings.max_over_refusal_rise
    likelier = "harmful requests after which a refusal is the likelier opening"
    followed = settings.max_instruction_drop
    wanted: list[tuple[str, Change | None, float, str]] = [
        ("instructions", found.instructions, followed, "general instructions followed"),
        ("refusals", found.refused, refusal, "harmful requests refused"),
        ("refusal_leaning", found.leaning, refusal, likelier),
        ("over_refusals", found.answered, over, "harmless requests answered"),
    ]
    chances = holm({group: change.chance for group, change in found.groups.items()})
    for group, change in found.groups.items():
        words = f"requests about the group {group} treated as they should be"
        wanted.append((f"group_{group}", replace(change, chance=chances[group]), over, words))
    return [
        _keeps(name, change, limit, settings.max_chance, words)
        for name, change, limit, words in wanted
        if change is not None
    ]


def _keeps(name: str, change: Change, limit: float, chance: float, words: str) -> Check:
    text = f"{words}: {change.after} of {change.items}, base model {change.before}"
    if change.lost:
        text += (
            f" ({change.lost} lost, {change.gained} gained; by chance p = {change.chance:.2g}); "
            f"a drop above {limit:.0%} with p < {chance:g} refuses"
        )
    passed = change.drop <= limit or change.chance >= chance
    return Check(name, passed, change.drop, limit, text)


def _correct(evaluation: Evaluation, arm: str, words: str) -> str:
    mine, other = (evaluation.arms[name]["correct"].value for name in (evaluation.served, arm))
    way = " with passages" if evaluation.served == "challenger_retrieval" else ""
    return f"{mine:.0%} correct{way} against {other:.0%} of the {words}"


def _words(interval: Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    ends = f"[{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"
    return f"{interval.value:{sign}.3f} {ends}"
