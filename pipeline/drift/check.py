"""One drift check: all tests of new texts against the reference, and the signals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest
from pipeline.drift.evidence import Evidence, KindEvidence, Signal
from pipeline.drift.features import exchange_texts, features
from pipeline.drift.ledger import Window
from pipeline.drift.policy import POLICY_VERSION
from pipeline.drift.sampling import sample, sample_losses
from pipeline.drift.shape import shape
from pipeline.drift.signals import SIGNALS, Inputs
from pipeline.drift.two_sample import two_sample
from pipeline.settings import MonitorSettings
from schemas.drift import KINDS, DriftFeatures
from schemas.exchanges import Exchanges

CHECK_VERSION = 1
"""Raise it when the same rows give another result: evidence then has another id."""


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
    """Yield the evidence of each window; without windows that of one without texts.

    Args:
        inputs: with the rows that windows are compared with as ``reference``.
        signals: those of the intake.
        windows: texts, from :func:`pipeline.drift.windows.cut`. The last one also takes the rows
            that were dropped, so that they are looked at once.
        count_tokens: length of a text by the tokenizer of the base model.
        now: the clock, UTC, ISO 8601.
    """
    settings = inputs.settings.monitor
    once = {**signals, **measure_signals(inputs, "champion")}
    champion, reference = str(inputs.watched.champion.fingerprint), inputs.watched.reference
    windows = windows or [inputs.intake.texts.clear()]
    for number, texts in enumerate(windows, start=1):
        ids = texts["id"].to_list()
        if number == len(windows):
            ids += sorted(inputs.intake.dropped | inputs.intake.duplicates)
        losses = sample_losses(texts, settings.seed, inputs.champion)
        window = features(texts, count_tokens, losses)
        measured = measure_signals(replace(inputs, window=window), "window")
        evidence = Evidence(
            id=evidence_id(reference.fingerprint, digest(sorted(ids)), settings),
            at=now(),
            reference=reference.fingerprint,
            model=champion,
            kinds=check_drift(inputs.reference, window, settings),
            signals=once | measured,
            alpha=settings.alpha,
        )
        watermark = {"at": evidence.at, "reference": evidence.reference, "model": evidence.model}
        yield evidence, Window(evidence_id=evidence.id, ids=tuple(ids), **watermark)


def reference_rows(
    stored: DataFrame[DriftFeatures],
    known: DataFrame[Exchanges],
    count_tokens: Callable[[str], int],
) -> DataFrame[DriftFeatures]:
    """Return what windows are compared with: the stored reference, and known exchanges.

    Like with like: the new pairs come from the teacher, so gold ones are no measure for them.
    """
    like = stored.filter((pl.col("kind") != "pair") | (pl.col("category") == "grounded"))
    served = features(exchange_texts(known), count_tokens)
    return cast("DataFrame[DriftFeatures]", pl.concat([like, served]))


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
        before, after = (
            sample(side.filter(kind=kind), settings.seed, settings.max_window)
            for side in (reference, window)
        )
        if min(before.height, after.height) < settings.min_window:
            continue
        moved, shaped = shape(before, after, settings)
        told, far = None, tuple[str, ...]()
        known, new = (side.filter(pl.col("text").is_not_null()) for side in (before, after))
        if min(known.height, new.height) >= settings.min_window:
            one, other = (cast("list[str]", side["text"].to_list()) for side in (known, new))
            told, far = two_sample(one, other, new["id"].to_list(), settings)
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
