"""What a drift check found: every number that a decision rests on, with its threshold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pipeline.core.record import Record

OLD_SIGNALS = ("loss", "performance", "rejected", "quarantined", "duplicates")


class Spread(Record):
    """Quantiles of one feature on one side."""

    low: float  # 5 % quantile
    median: float
    high: float  # 95 % quantile

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "Spread":
        """Return the spread of one number or more."""
        low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
        return cls(low=float(low), median=float(median), high=float(high))


class FeatureShift(Record):
    """One shape feature, or the share of one category: reference against window."""

    name: str  # out of FEATURES, ``null <feature>``, or ``<column>=<value>`` for a share
    reference: float | None  # mean of the values, or the share
    window: float | None
    spread_reference: Spread | None = None
    spread_window: Spread | None = None
    effect: float  # Wasserstein distance in deviations of the reference, or difference of shares
    threshold: float  # that the reference against itself exceeds in a share q of draws
    p_value: float
    moved: bool  # significant after Benjamini-Hochberg over all features, and above the threshold


class Gram(Record):
    """A word or character n-gram that tells the window from the reference."""

    text: str
    level: str  # ``word`` or ``character``
    weight: float  # of the classifier: above 0 for the window, below for the reference
    share_reference: float
    share_window: float


class TwoSample(Record):
    """Classifier two-sample test: can reference and window be told apart by their words?"""

    auc: float  # area under the curve on the half that was not trained on; 0.5 is no difference
    threshold: float  # the larger of ``monitor.min_auc`` and what the reference gives by itself
    p_value: float
    drifted: bool
    grams: tuple[Gram, ...] = ()  # those that moved, most telling first


class ShapeTest(Record):
    """Did any shape feature or share move further than chance, and far enough to matter?"""

    p_value: float  # exact permutation p of the largest standardized move (Westfall and Young)
    drifted: bool
    features: tuple[str, ...] = ()
    """Features that each pass by themselves, corrected for the number of features, and moved as
    far as ``monitor.min_auc`` asks of words; the furthest first."""


class Signal(Record):
    """One number of the window with its reference: a mean loss, or a share of rows."""

    name: str
    reference: float
    window: float
    rows_reference: int
    rows_window: int
    low: float | None = None  # end of the confidence interval of window minus reference
    high: float | None = None
    p_value: float | None = None
    threshold: float
    worse: bool  # whether the window is worse by more than chance and by more than the threshold


class KindEvidence(Record):
    """All tests on texts of one kind (document, pair, exchange)."""

    kind: str
    rows_reference: int  # that took part: at most ``monitor.max_window``
    rows_window: int
    features: tuple[FeatureShift, ...] = ()
    two_sample: TwoSample | None = None
    shape: ShapeTest | None = None
    far: tuple[str, ...] = ()  # ids of the window's texts least like the reference, farthest first


class Evidence(Record):
    """One drift check."""

    id: str  # digest of reference, window and rules: the same evidence has one id
    at: str  # UTC, ISO 8601; not part of the id
    reference: str  # fingerprint of the drift reference
    model: str
    kinds: tuple[KindEvidence, ...] = ()
    signals: dict[str, Signal] = Field(default_factory=dict)
    """Those that were measured, by their name on the shelf (:mod:`pipeline.drift.signals`)."""
    alpha: float  # false-alarm rate of each primary test in one window

    @model_validator(mode="before")
    @classmethod
    def _signals_in_one_field(cls, value: Any) -> Any:
        """Read evidence of before issue 14, which had a field for each signal."""
        if not isinstance(value, dict) or "signals" in value:
            return value
        old = {name: value[name] for name in OLD_SIGNALS if value.get(name) is not None}
        return {key: value[key] for key in value if key not in OLD_SIGNALS} | {"signals": old}
