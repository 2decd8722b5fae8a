"""The report as plain text, for the terminal and for the pages of an orchestrator."""

from pipeline.drift.evidence import KindEvidence
from pipeline.drift.policy import Decision
from pipeline.report import compared, drift_words, words
from pipeline.report.contents import Report, Retraining

NAMED = 4  # features and words that a line of the terminal names


def decided(report: Report) -> Decision | None:
    """Return the drift decision that a run is about; None when it judged a model."""
    return report.drift.decision if report.drift and report.gate is None else None


def headline(report: Report) -> str:
    """Return what became of the challenger, or what a drift check led to, in one sentence."""
    decision = decided(report)
    if decision is not None:
        return drift_words.headline(decision)
    if report.gate is None:
        if report.comparison is not None:
            return compared.headline(report.comparison)
        if report.retrain is not None and report.retrain.outcome == "dry run":
            return "Dry run: nothing was trained."
        if report.run.exit:
            return "The run stopped before a model was judged."
        return "No model was judged in this run."
    if report.gate.promoted:
        return "The challenger was promoted to champion."
    if report.evaluation is not None and "champion" in report.evaluation.arms:
        return "The challenger was not promoted; the champion stays."
    return "The challenger was not promoted; there is no champion yet."


def evidence(report: Report) -> str:
    """Return what was measured, or why a drift check decided, in a sentence; empty without."""
    decision = decided(report)
    if decision is not None:
        return drift_words.sentences(decision.reasons[:2])
    found = report.evaluation
    if found is None or "correct" not in found.challenger_minus.get("base", {}):
        return ""
    difference = found.challenger_minus["base"]["correct"]
    challenger = found.arms[found.served]["correct"].value
    source = f" from {words.count(found.test_clusters)} {found.unit}" if found.test_clusters else ""
    side = "less" if difference.value < 0 else "more"
    way = " with passages" if found.served == "challenger_retrieval" else ""
    sure = f"too few {found.unit} for an interval"
    if difference.bounded:
        low, high = 100 * difference.low, 100 * difference.high
        first, last = sorted((abs(low), abs(high)))
        span = f"{first:.0f} to {last:.0f}"
        if low <= 0 <= high:
            ends = (words.decimal(end, 0, signed=True) for end in (low, high))
            span = f"{' to '.join(ends)}, which includes no difference"
        sure = f"{found.confidence:.0%} interval {span}".replace("%", " %")
    return (
        f"On {words.count(found.test_rows)} test rows{source} its answers{way} are "
        f"{challenger:.0%} correct, {100 * abs(difference.value):.0f} points {side} than the base "
        f"model's ({sure})."
    )


def verdict(report: Report) -> str:
    """Return the verdict in words: the sentence, the evidence, and each check that failed."""
    lines = [headline(report), evidence(report)]
    if report.gate is not None:
        lines += [f"  failed: {reason.text}" for reason in report.gate.reasons if not reason.passed]
        if report.evaluation is not None and not report.evaluation.test_rows:
            lines.append(
                "Test rows come from people: accept queued pairs with `tuneloop review`, or add "
                "gold rows, and run again."
            )
    return "\n".join(line for line in lines if line)


def drift_summary(report: Report) -> str:
    """Return a drift check in a few lines for the terminal; empty when there was none."""
    drift = report.drift
    if drift is None or drift.decision is None:
        return ""
    decision, found = drift.decision, drift.evidence
    lines = [drift_words.headline(decision)]
    lines += [_row("why", drift_words.sentences([reason])) for reason in decision.reasons]
    if found is not None:
        for one in found.kinds:
            lines.append(_row(drift_words.kind(one.kind), "; ".join(findings(one))))
        worse = [measure.title for measure, signal in drift_words.signals(found) if signal.worse]
        lines += [_row("worse", ", ".join(worse))] if worse else []
    when = drift_words.next_retrain(decision.next_retrain_at)
    rows = words.count(decision.new_rows)
    lines.append(_row("next retrain", f"{when} by itself; {rows} new rows to learn from"))
    lines.append(_row("evidence", drift_words.visible(decision.id)))
    return "\n".join(lines)


def findings(one: KindEvidence) -> list[str]:
    """Return what the tests found on one kind of text, a phrase each."""
    said = []
    test = one.two_sample
    if test is not None:
        auc, threshold = words.decimal(test.auc, 2), words.decimal(test.threshold, 2)
        said.append(f"words: {drift_words.verdict(test)}, AUC {auc} (threshold {threshold})")
        if test.drifted and test.grams:
            said.append("telling words: " + ", ".join(map(drift_words.gram, test.grams[:NAMED])))
    if one.shape is not None:
        p = drift_words.number(one.shape.p_value)
        said.append(f"shape: {drift_words.verdict(one.shape)}, p {p}")
    moved = [shift for shift in one.features if shift.moved]
    if moved:
        moved.sort(key=drift_words.strength, reverse=True)
        names = ", ".join(drift_words.feature(shift.name, one.kind) for shift in moved[:NAMED])
        more = f" and {len(moved) - NAMED} more" if len(moved) > NAMED else ""
        said.append(f"moved: {names}{more}")
    return said or ["not tested"]


def retrain_summary(report: Report) -> str:
    """Return why a retrain started and what came of it; empty when there was none."""
    retrain = report.retrain
    if retrain is None:
        return ""
    before, after = retrain.champion_before or "none", retrain.champion_after or "none"
    rows = {
        "reason": retrain.reason or "none given",
        "evidence": retrain.evidence_id or "none, started by hand",
        "champion": before if before == after else f"{before} → {after}",
        "new rows": words.count(retrain.new_rows),
        "next": f"by itself {drift_words.next_retrain(retrain.next_retrain_at)}",
    }
    lines = [_row(name, drift_words.visible(said)) for name, said in rows.items()]
    return "\n".join([retrained(retrain), *lines])


def retrained(retrain: Retraining) -> str:
    """Return what came of a retrain in one sentence."""
    stays = "the champion stays" if retrain.champion_before else "there is no champion yet"
    return {
        "promoted": "The retrain brought a new champion.",
        "kept": f"The retrain brought nothing better; {stays}.",
        "failed": f"The retrain failed; {stays}.",
        "dry run": "Dry run: nothing was trained.",
    }.get(retrain.outcome, f"The retrain ended as {drift_words.visible(retrain.outcome)}.")


def _row(name: str, said: str) -> str:
    return f"  {name:<13} {said}"
