"""What the tests of a drift check found, as phrases for the terminal and as Markdown tables."""

from pipeline.drift.evidence import Evidence, KindEvidence
from pipeline.report import drift_words, words
from pipeline.report.markdown import escape, table

NAMED = 4
"""Features and words that a line of the terminal names."""
WORDS = 10
"""Words of a kind of text in a table."""


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


def tables(found: Evidence) -> list[str]:
    """Return tests, moved features, words and signals, each with a heading; text is escaped."""
    blocks = []
    for title, header, rows in (
        ("Tests", ["texts", "test", "", "AUC", "threshold", "p", "rows"], _tests(found)),
        ("What moved", ["texts", "feature", "change", "effect", "threshold"], _moved(found)),
        ("Words", ["texts", "word", "share of texts"], _grams(found)),
        ("Signals", ["signal", "reference", "new", "interval", "limit", ""], _signals(found)),
    ):
        if rows:
            blocks += [f"## {title}", table(header, rows)]
    return blocks


def _tests(found: Evidence) -> list[list[str]]:
    rows = []
    for one in found.kinds:
        name, counted = escape(drift_words.kind(one.kind)), _rows(one)
        if one.two_sample is not None:
            test = one.two_sample
            area, least = words.decimal(test.auc, 2), words.decimal(test.threshold, 2)
            p_value = drift_words.number(test.p_value)
            rows.append([name, "words", drift_words.verdict(test), area, least, p_value, counted])
        if one.shape is not None:
            p_value = drift_words.number(one.shape.p_value)
            rows.append([name, "shape", drift_words.verdict(one.shape), "", "", p_value, counted])
    return rows


def _moved(found: Evidence) -> list[list[str]]:
    rows = []
    for kind, shift in drift_words.moved(found):
        change = (
            drift_words.change(shift.reference, shift.window)
            if drift_words.is_share(shift)
            else f"{drift_words.number(shift.reference)} → {drift_words.number(shift.window)}"
        )
        sizes = [drift_words.number(shift.effect), drift_words.number(shift.threshold)]
        name = escape(drift_words.feature(shift.name, kind))
        rows.append([escape(drift_words.kind(kind)), name, change, *sizes])
    return rows


def _grams(found: Evidence) -> list[list[str]]:
    return [
        [
            escape(drift_words.kind(one.kind)),
            escape(drift_words.gram(gram)),
            drift_words.change(gram.share_reference, gram.share_window),
        ]
        for one in found.kinds
        if one.two_sample is not None
        for gram in one.two_sample.grams[:WORDS]
    ]


def _signals(found: Evidence) -> list[list[str]]:
    return [
        [
            measure.title,
            drift_words.side(signal.reference, signal.rows_reference, measure.share),
            drift_words.side(signal.window, signal.rows_window, measure.share),
            drift_words.span(signal, measure.share),
            drift_words.measured(signal.threshold, measure.share),
            drift_words.standing(signal),
        ]
        for measure, signal in drift_words.signals(found)
    ]


def _rows(one: KindEvidence) -> str:
    return f"{words.count(one.rows_reference)} → {words.count(one.rows_window)}"
