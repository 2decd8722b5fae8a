"""Permutation tests on shape features and shares: how far each moved, and was it chance?

The statistic of a number is the Wasserstein distance, of a share the difference; one joint test
takes the largest standardized statistic (max-T, Westfall and Young 1993).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import false_discovery_control

from pipeline.drift.evidence import FeatureShift, ShapeTest, Spread
from pipeline.drift.features import FEATURES
from pipeline.drift.two_sample import permutations
from pipeline.settings import MonitorSettings

LENGTHS = ("characters", "tokens")  # by their logarithm: twice and half are equally far away
SHARES = ("category", "language")
MIN_VALUES = 8  # on each side, below which a numeric feature is not compared
MIN_SHARE = 0.1  # difference of shares below which a share is never a reason to act

Floats = NDArray[np.float64]


class _Feature(NamedTuple):
    name: str
    numeric: bool
    values: Floats  # one number a row, NaN for null; 0 or 1 for a share
    scale: float  # standard deviation of the reference; 1 for a share


def shape(
    reference: pl.DataFrame, window: pl.DataFrame, settings: MonitorSettings
) -> tuple[tuple[FeatureShift, ...], ShapeTest | None]:
    """Compare each feature but the loss, null rate and share of two samples of one kind.

    Returns a shift for each feature that varies, in the order of FEATURES, then null rates, then
    shares; and the test over all of them, None when nothing varies.
    """
    generator = np.random.default_rng(settings.seed)
    both = pl.concat([reference, window], how="vertical")
    split, size = reference.height, both.height
    compared = [
        item for item in _features(both, split) if np.nanmin(item.values) < np.nanmax(item.values)
    ]
    if not compared:
        return (), None
    observed = (np.arange(size) >= split)[None]
    permuted = permutations(generator, np.arange(size) < size - split, settings.permutations)
    labels = np.vstack([observed, permuted])
    effects = np.array([_effects(item, labels) for item in compared])
    drawn = min(size - split, split // 2)
    against_itself = permutations(generator, np.arange(split) < drawn, settings.calibration_draws)
    null_effects = np.array(
        [_effects(item._replace(values=item.values[:split]), against_itself) for item in compared]
    )
    thresholds = np.quantile(null_effects, 1 - settings.q, axis=1)
    # Exact: the observed labelling, the first column, is one of the draws.
    p_values = np.asarray((effects >= effects[:, :1] - 1e-12).mean(axis=1))
    significant = false_discovery_control(p_values, method="bh") <= settings.q
    shifts = tuple(
        _shift(item, split, float(effect), float(threshold), float(p), bool(found))
        for item, effect, threshold, p, found in zip(
            compared, effects[:, 0], thresholds, p_values, significant, strict=True
        )
    )
    return shifts, _max_t(effects, shifts, settings)


def _features(both: pl.DataFrame, split: int) -> Iterator[_Feature]:
    names = [name for name in FEATURES if name != "loss"]
    for name in names:
        values = both[name].cast(pl.Float64).to_numpy().copy()
        if name in LENGTHS:
            values = np.log1p(values)
        known = np.isfinite(values)
        if min(known[:split].sum(), known[split:].sum()) >= MIN_VALUES:
            spread, both_spread = values[:split][known[:split]].std(), values[known].std()
            # Of the reference; of both when the reference hardly varies.
            yield _Feature(name, True, values, max(float(spread), float(both_spread) / 2, 1e-12))
    for name in (*names, *SHARES, "text"):
        yield _Feature(f"null {name}", False, both[name].is_null().to_numpy().astype(float), 1.0)
    for name in SHARES:
        for value in both[name].drop_nulls().unique().sort():
            has = (both[name] == value).fill_null(False).to_numpy().astype(float)
            yield _Feature(f"{name}={value}", False, has, 1.0)


def _effects(item: _Feature, labels: NDArray[np.bool_]) -> Floats:
    """Return the effect of each labelling; True is the window."""
    known = np.isfinite(item.values)
    values = item.values[known]
    if not item.numeric:
        taken = labels.sum(axis=1)
        inside = labels @ values
        return np.asarray(
            np.abs(inside / taken - (values.sum() - inside) / (labels.shape[1] - taken))
        )
    order = np.argsort(values, kind="stable")
    inside = labels[:, known][:, order].cumsum(axis=1, dtype=np.int32)
    total = inside[:, -1:].astype(np.float64)
    rest = len(values) - total
    seen = np.arange(1, len(values) + 1)
    gaps = np.diff(values[order])
    # A draw whose rows are all null has nothing to compare: no distance.
    share = inside / np.maximum(total, 1) - (seen - inside) / np.maximum(rest, 1)
    distance = np.abs(share[:, :-1]) @ gaps
    return np.asarray(np.where((total > 0) & (rest > 0), distance[:, None], 0)[:, 0] / item.scale)


def _max_t(
    effects: Floats, shifts: tuple[FeatureShift, ...], settings: MonitorSettings
) -> ShapeTest:
    """Max-T test, exact: the real labelling, one of the draws, counts in mean and deviation."""
    deviation = effects.std(axis=1, keepdims=True)
    standardized = (effects - effects.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-12)
    max_t = standardized.max(axis=0)
    adjusted = (max_t[None] >= standardized[:, :1] - 1e-9).mean(axis=1)
    strong = sorted(
        (-float(statistic), shift.name)
        for statistic, p, shift in zip(standardized[:, 0], adjusted, shifts, strict=True)
        if p <= settings.alpha and shift.moved and _is_strong(shift, settings.min_auc)
    )
    features = tuple(name for _, name in strong)
    return ShapeTest(p_value=float(adjusted.min()), drifted=bool(strong), features=features)


def _is_strong(shift: FeatureShift, min_auc: float) -> bool:
    # Two normal distributions d deviations apart have the area Phi(d / sqrt 2).
    least = float(np.sqrt(2) * ndtri(min_auc))
    if shift.spread_reference is not None:
        return shift.effect >= least
    before, after = (  # whose difference is Cohen's h
        2 * np.arcsin(np.sqrt(share or 0.0)) for share in (shift.reference, shift.window)
    )
    return shift.effect >= MIN_SHARE and abs(after - before) >= least


def _shift(
    item: _Feature, split: int, effect: float, threshold: float, p_value: float, significant: bool
) -> FeatureShift:
    values = np.expm1(item.values) if item.name in LENGTHS else item.values
    sides = [side[np.isfinite(side)] for side in (values[:split], values[split:])]
    before, after = (Spread.of(side) if item.numeric else None for side in sides)
    return FeatureShift(
        name=item.name,
        reference=float(sides[0].mean()),
        window=float(sides[1].mean()),
        spread_reference=before,
        spread_window=after,
        effect=effect,
        threshold=threshold,
        p_value=p_value,
        moved=significant and effect > threshold,
    )
