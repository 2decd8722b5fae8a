"""Evidence in sentences, for the ledger, the terminal and the report."""

from pipeline.drift.evidence import Evidence, FeatureShift, KindEvidence, Signal

MOST_WORDS = 6
"""Words named in a sentence, of each direction."""

MOST_FEATURES = 3
"""Numbers named in a sentence, and as many shares."""


def shift_reasons(evidence: Evidence) -> tuple[str, ...]:
    """Say what moved, kind by kind: words first, then shapes."""
    found = []
    for kind in evidence.kinds:
        if kind.two_sample and kind.two_sample.drifted:
            found.append(_words(kind))
        if kind.shape and kind.shape.drifted:
            found.append(_shape(kind))
        elif moved := [feature for feature in kind.features if feature.moved]:
            found.append(f"warning, {kind.kind}s: {_features(moved)}")
    return tuple(found)


def model_reasons(evidence: Evidence) -> tuple[str, ...]:
    """Say how the champion does on what is new."""
    found = []
    if evidence.performance and evidence.performance.rows_window:
        found.append(
            _signal(
                "nats a token on freshly accepted pairs against the test set", evidence.performance
            )
        )
    if evidence.loss and evidence.loss.rows_window:
        found.append(_signal("champion's nats a token on the new texts", evidence.loss))
    if evidence.rejected and evidence.rejected.worse:
        found.append(_signal("share of reviewed pairs that were rejected", evidence.rejected))
    return tuple(found)


def ingest_reasons(evidence: Evidence) -> tuple[str, ...]:
    """Say why ingest looks wrong."""
    named = (
        ("share of new rows that were dropped", evidence.quarantined),
        ("share of new documents that repeat another", evidence.duplicates),
    )
    found = [_signal(name, signal) for name, signal in named if signal and signal.worse]
    return (*found, "ingest looks broken: nothing is trained until the new files are looked at")


def _words(kind: KindEvidence) -> str:
    test = kind.two_sample
    assert test is not None
    sentence = (
        f"the words of {kind.kind}s tell new from old: AUC {test.auc:.2f} "
        f"(above {test.threshold:.2f}), p {test.p_value:.3g}"
    )
    more = [gram.text for gram in test.grams if gram.weight > 0][:MOST_WORDS]
    less = [gram.text for gram in test.grams if gram.weight < 0][:MOST_WORDS]
    for label, grams in (("more", more), ("less", less)):
        if grams:
            sentence += f"; {label}: {', '.join(grams)}"
    return sentence


def _shape(kind: KindEvidence) -> str:
    test = kind.shape
    assert test is not None
    by_name = {feature.name: feature for feature in kind.features}
    strong = [by_name[name] for name in test.features if name in by_name]
    return f"the shape of {kind.kind}s moved, p {test.p_value:.3g}: {_features(strong)}"


def _features(moved: list[FeatureShift]) -> str:
    """Name the first numbers and the first shares: many of one would hide the other."""
    numbers = [item for item in moved if item.spread_reference is not None]
    shares = [item for item in moved if item.spread_reference is None]
    told = numbers[:MOST_FEATURES] + shares[:MOST_FEATURES]
    sentence = ", ".join(
        f"{item.name} {_number(item.reference)} -> {_number(item.window)}" for item in told
    )
    rest = len(moved) - len(told)
    return sentence + (f" and {rest} more" if rest else "")


def _signal(name: str, signal: Signal) -> str:
    sentence = f"{name}: {_number(signal.reference)} -> {_number(signal.window)}"
    if signal.low is not None and signal.high is not None:
        sentence += f" (difference {signal.low:+.2f} to {signal.high:+.2f})"
    return f"{sentence}, {'worse' if signal.worse else 'no worse'}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
