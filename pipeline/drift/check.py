"""One drift check: all tests of new texts against the reference, and the signals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest
from pipeline.drift.evidence import Evidence, KindEvidence, Signal
from pipeline.drift.features import exchange_texts, features, sample, sample_losses
from pipeline.drift.ledger import Window
from pipeline.drift.policy import POLICY_VERSION
from pipeline.drift.shape import shape
from pipeline.drift.signals import SIGNALS, Inputs
from pipeline.drift.two_sample import two_sample
from pipeline.settings import MonitorSettings
from schemas.drift import KINDS, DriftFeatures
from schemas.exchanges import Exchanges

CHECK_VERSION = 1  # raised when the same rows give another result: evidence has another id then


def measure_signals(inputs: Inputs, takes: str) -> dict[str, Signal]:
    """Measure the signals that take one kind of input, as :class:`DriftSignal` names it."""
    chosen = [signal for signal in SIGNALS.values() if signal.takes == takes]
    measured = {signal.name: signal.measure(inputs) for signal in chosen}
    return {name: found for name, found in measured.items() if found is not None}


def collect(
    inputs: Inputs,
    signals: Mapping[str, Signal],
    windows: Sequence[pl.DataFrame],
    count_tokens: Callable[[str], int],
    now: Callable[[], str],
) -> Iterator[tuple[Evidence, Window]]:
    """Yield the evidence of each window, or of one without texts; dropped rows go with the last."""
    settings = inputs.settings.monitor
    once = {**signals, **measure_signals(inputs, "champion")}
    reference = inputs.watched.reference.fingerprint
    windows = windows or [inputs.intake.texts.clear()]
    for number, texts in enumerate(windows, start=1):
        ids = texts["id"].to_list()
        if number == len(windows):
            ids += sorted(inputs.intake.dropped | inputs.intake.duplicates)
        losses = sample_losses(texts, settings.seed, inputs.champion)
        window = features(texts, count_tokens, losses)
        measured = measure_signals(replace(inputs, window=window), "window")
        evidence = Evidence(
            id=evidence_id(reference, digest(sorted(ids)), settings),
            at=now(),
            reference=reference,
            model=inputs.watched.champion.fingerprint,
            kinds=check_drift(inputs.reference, window, settings),
            signals=once | measured,
            alpha=settings.alpha,
        )
        watermark = evidence.model_dump(include={"at", "reference", "model"})
        yield evidence, Window(evidence_id=evidence.id, ids=tuple(ids), **watermark)


def reference_rows(
    stored: DataFrame[DriftFeatures],
    known: DataFrame[Exchanges],
    count_tokens: Callable[[str], int],
) -> DataFrame[DriftFeatures]:
    """Return what windows are compared with: known exchanges, and what is made as new rows are."""
    like = stored.filter((pl.col("kind") != "pair") | (pl.col("category") == "grounded"))
    served = features(exchange_texts(known), count_tokens)
    return cast("DataFrame[DriftFeatures]", pl.concat([like, served]))


def check_drift(
    reference: DataFrame[DriftFeatures], window: DataFrame[DriftFeatures], settings: MonitorSettings
) -> tuple[KindEvidence, ...]:
    """Test each kind of text that has ``min_window`` rows on both sides, ``max_window`` at most.

    Two primary tests a kind, words and shape, and a warning for each feature that moved.
    """
    found = []
    for kind in KINDS:
        before, after = (
            sample(side.filter(kind=kind), settings.seed, settings.max_window)
            for side in (reference, window)
        )
        if min(before.height, after.height) < settings.min_window:
            continue
        moved, shaped = shape(before, after, settings)
        told, far = None, tuple[str, ...]()
        known, new = (side.drop_nulls("text") for side in (before, after))
        if min(known.height, new.height) >= settings.min_window:
            texts = known["text"].to_list(), new["text"].to_list()
            told, far = two_sample(*texts, new["id"].to_list(), settings)
        found.append(
            KindEvidence(
                kind=kind,
                rows_reference=before.height,
                rows_window=after.height,
                features=moved,
                two_sample=told,
                shape=shaped,
                far=far,
            )
        )
    return tuple(found)


def evidence_id(reference: str, window: str, settings: MonitorSettings) -> str:
    """Return the id of a check: the same texts under the same rules have the same one."""
    rules = [CHECK_VERSION, POLICY_VERSION, settings.model_dump(mode="json")]
    return digest([reference, window, rules])[:16]
