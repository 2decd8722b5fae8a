"""What the tests of a drift check found, as phrases for the terminal."""

from pipeline.drift.evidence import KindEvidence
from pipeline.report import drift_words, words

NAMED = 4
"""Features and words that a line of the terminal names."""


def findings(one: KindEvidence) -> list[str]:
    """Return what the tests found on one kind of text, a phrase each."""
    said = []
    test = one.two_sample
    if test is not None:
        said.append(
            f"words: {drift_words.verdict(test)}, AUC {words.decimal(test.auc, 2)} "
            f"(threshold {words.decimal(test.threshold, 2)})"
        )
        if test.drifted and test.grams:
            said.append("telling words: " + ", ".join(map(drift_words.gram, test.grams[:NAMED])))
    if one.shape is not None:
        said.append(
            f"shape: {drift_words.verdict(one.shape)}, p {drift_words.number(one.shape.p_value)}"
        )
    moved = sorted(
        (shift for shift in one.features if shift.moved), key=lambda s: -drift_words.strength(s)
    )
    if moved:
        names = ", ".join(drift_words.feature(shift.name, one.kind) for shift in moved[:NAMED])
        more = f" and {len(moved) - NAMED} more" if len(moved) > NAMED else ""
        said.append(f"moved: {names}{more}")
    return said or ["not tested"]
