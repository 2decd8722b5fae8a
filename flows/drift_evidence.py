"""One drift check: the tests and signals of each window, with the champion's own view."""

from collections.abc import Iterator
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from annotation.queue import Pulled
from flows.drift_windows import Intake, Watched
from flows.engine.context import Run
from flows.engine.home import now
from flows.engine.stage_runner import model_slot
from flows.models.loaded_model import LoadedModel
from flows.training import TrainingData
from pipeline.core.cache import digest
from pipeline.drift.check import check_drift, evidence_id
from pipeline.drift.evidence import Evidence, Signal
from pipeline.drift.features import exchange_texts, features
from pipeline.drift.ledger import Window
from pipeline.drift.sampling import sample
from pipeline.drift.signals import loss_signal, share_signal
from pipeline.train.models.base_model import token_counter
from schemas.drift import DriftFeatures
from schemas.exchanges import Exchanges
from schemas.pairs import Examples

MIN_FRESH = 20
"""Freshly accepted pairs below which their loss says nothing about performance."""
MIN_REVIEWED = 20
"""Reviewed pairs, likewise."""


def measure(
    run: Run,
    about: Watched,
    fresh: Intake,
    windows: list[pl.DataFrame],
    loaded: LoadedModel,
    data: TrainingData,
    pulled: Pulled,
    known: DataFrame[Exchanges],
) -> Iterator[tuple[Evidence, Window]]:
    """Yield the evidence of each window, and a window without texts when only ingest broke."""
    settings = run.settings.monitor
    quarantined = _quarantined(run, about, fresh)
    duplicates = _duplicates(run, about, fresh)
    broken = any(signal.worse for signal in (quarantined, duplicates))
    if not windows and not broken:
        return
    with model_slot():
        performance = _performance(run, about, loaded, data)
        rejected = _rejected(run, about, pulled)
        reference = _reference(run, about, known, loaded)
        last = len(windows) - 1
        for number, texts in enumerate(windows or [fresh.texts.clear()]):
            ids = texts["id"].to_list()
            if number == max(last, 0):
                ids += sorted(fresh.dropped | fresh.duplicates)
            window = _features(run, texts, loaded, about)
            evidence = Evidence(
                id=evidence_id(about.reference.fingerprint, digest(sorted(ids)), settings),
                at=now(),
                reference=about.reference.fingerprint,
                model=about.champion.fingerprint,
                kinds=check_drift(reference, window, settings),
                loss=_loss(reference, window, run),
                performance=performance,
                rejected=rejected,
                quarantined=quarantined,
                duplicates=duplicates,
                alpha=settings.alpha,
            )
            yield (
                evidence,
                Window(
                    evidence_id=evidence.id,
                    at=evidence.at,
                    reference=evidence.reference,
                    model=evidence.model,
                    ids=tuple(ids),
                ),
            )


def _reference(
    run: Run, about: Watched, known: DataFrame[Exchanges], loaded: LoadedModel
) -> DataFrame[DriftFeatures]:
    stored = run.store.read(about.reference, DriftFeatures)
    # Like with like: the new pairs come from the teacher, so gold ones are no measure for them.
    like = stored.filter((pl.col("kind") != "pair") | (pl.col("category") == "grounded"))
    served = features(exchange_texts(known), token_counter(loaded.base.path))
    return cast("DataFrame[DriftFeatures]", pl.concat([like, served]))


def _features(
    run: Run, texts: pl.DataFrame, loaded: LoadedModel, about: Watched
) -> DataFrame[DriftFeatures]:
    from pipeline.drift.model_signal import LOSS_ROWS, row_losses

    measured = pl.concat(
        [
            sample(texts.filter(kind=kind), run.settings.monitor.seed, LOSS_ROWS)
            for kind in ("document", "pair")
        ]
    )
    losses: dict[str, float | None] = {}
    if measured.height:
        values = row_losses(*loaded.get(about.champion), measured["text"].to_list())
        losses = dict(zip(measured["id"], values, strict=True))
    return features(texts, token_counter(loaded.base.path), losses)


def _loss(
    reference: DataFrame[DriftFeatures], window: DataFrame[DriftFeatures], run: Run
) -> Signal | None:
    """Compare losses of one kind: documents when they were measured on both sides."""
    settings = run.settings.monitor
    for kind in ("document", "pair"):
        before = reference.filter(kind=kind)["loss"].drop_nulls().to_list()
        after = window.filter(kind=kind)["loss"].drop_nulls().to_list()
        if min(len(before), len(after)) >= settings.min_window // 2:
            return loss_signal(
                f"loss on {kind}s",
                before,
                after,
                settings.loss_margin,
                settings.alpha,
                settings.seed,
            )
    return None


def _performance(
    run: Run, about: Watched, loaded: LoadedModel, data: TrainingData
) -> Signal | None:
    """Compare the champion's loss on freshly accepted responses with that on its test set."""
    then = run.store.read(about.examples, Examples)
    accepted = run.store.read(data.examples, Examples).filter(
        pl.col("status").is_in(["accepted", "edited"])
        & ~pl.col("pair_id").is_in(then["pair_id"].to_list())
    )
    test = then.filter(split="test")
    if accepted.height < MIN_FRESH or not test.height:
        return None
    from pipeline.evaluate.answers.answers import response_losses

    settings = run.settings.monitor
    sides = []
    for rows in (test, accepted):
        found = response_losses(
            cast("DataFrame[Examples]", rows), *loaded.get(about.champion), run.settings.evaluate
        )
        clusters = dict(rows.select("pair_id", "cluster_id").iter_rows())
        sides.append((list(found.values()), [clusters[key] for key in found]))
    (before, before_clusters), (after, after_clusters) = sides
    return loss_signal(
        "performance",
        before,
        after,
        settings.performance_margin,
        settings.alpha,
        settings.seed,
        before_clusters,
        after_clusters,
    )


def _rejected(run: Run, about: Watched, pulled: Pulled) -> Signal | None:
    """Compare the share of rejected reviews since the champion was promoted with that before."""
    decided = pulled.reviews.filter(pl.col("verdict") != "skip")
    since = pl.col("decided_at") > about.promoted_at
    after, before = decided.filter(since), decided.filter(~since)
    if min(after.height, before.height) < MIN_REVIEWED:
        return None
    rejects = [int((rows["verdict"] == "reject").sum()) for rows in (before, after)]
    settings = run.settings.monitor
    return share_signal(
        "rejected",
        rejects[0],
        before.height,
        rejects[1],
        after.height,
        margin=run.settings.review.max_error,
        alpha=settings.alpha,
    )


def _quarantined(run: Run, about: Watched, fresh: Intake) -> Signal:
    settings = run.settings.monitor
    return share_signal(
        "quarantined",
        len(about.dropped),
        len(about.seen),
        len(fresh.dropped),
        _read(fresh),
        margin=settings.max_quarantined,
        alpha=settings.alpha,
    )


def _duplicates(run: Run, about: Watched, fresh: Intake) -> Signal:
    settings = run.settings.monitor
    return share_signal(
        "duplicates",
        len(about.duplicates),
        len(about.seen),
        len(fresh.duplicates),
        _read(fresh),
        margin=settings.max_quarantined,
        alpha=settings.alpha,
    )


def _read(fresh: Intake) -> int:
    documents = fresh.texts.filter(kind="document").height
    return documents + len(fresh.dropped) + len(fresh.duplicates)
