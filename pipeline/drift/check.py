"""All tests of new texts against the reference, kind by kind."""

from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest
from pipeline.drift.evidence import KindEvidence
from pipeline.drift.policy import POLICY_VERSION
from pipeline.drift.sampling import sample
from pipeline.drift.shape import shape
from pipeline.drift.two_sample import two_sample
from pipeline.settings import MonitorSettings
from schemas.drift import KINDS, DriftFeatures

CHECK_VERSION = 1
"""Raise it when the same rows give another result: evidence then has another id."""


def check_drift(
    reference: DataFrame[DriftFeatures], window: DataFrame[DriftFeatures], settings: MonitorSettings
) -> tuple[KindEvidence, ...]:
    """Test each kind of text that has enough rows on both sides.

    Two primary tests a kind, each with a false-alarm rate of at most ``monitor.alpha``: words
    (:mod:`pipeline.drift.two_sample`) and shape (:mod:`pipeline.drift.shape`); besides, a warning
    for each feature that moved.

    Args:
        reference: the frozen features of the training snapshot.
        window: features of what is new.
        settings: at most ``max_window`` rows of each side are compared, drawn by a hash of id.

    Returns:
        Evidence in the order of KINDS. A kind with fewer than ``min_window`` rows on a side is
        left out: nothing can be said about it yet.
    """
    found = []
    for kind in KINDS:
        sides = [
            sample(side.filter(kind=kind), settings.seed, settings.max_window)
            for side in (reference, window)
        ]
        if min(side.height for side in sides) >= settings.min_window:
            found.append(_check(kind, sides[0], sides[1], settings))
    return tuple(found)


def evidence_id(reference: str, window: str, settings: MonitorSettings) -> str:
    """Return the id of a check: the same texts under the same rules have the same one.

    Args:
        reference: fingerprint of the reference.
        window: digest of the rows of the window.
        settings: all of them: another alpha is another check.
    """
    rules = [CHECK_VERSION, POLICY_VERSION, settings.model_dump(mode="json")]
    return digest([reference, window, rules])[:16]


def _check(
    kind: str, reference: pl.DataFrame, window: pl.DataFrame, settings: MonitorSettings
) -> KindEvidence:
    features, shaped = shape(reference, window, settings)
    told = None
    far: tuple[str, ...] = ()
    known, new = (side.filter(pl.col("text").is_not_null()) for side in (reference, window))
    if min(known.height, new.height) >= settings.min_window:
        told, far = two_sample(
            cast("list[str]", known["text"].to_list()),
            cast("list[str]", new["text"].to_list()),
            new["id"].to_list(),
            settings,
        )
    return KindEvidence(
        kind=kind,
        rows_reference=reference.height,
        rows_window=window.height,
        features=features,
        two_sample=told,
        shape=shaped,
        far=far,
    )
