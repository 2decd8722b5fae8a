"""The drift check: what is new against what the champion was trained on, and what follows.

Evidence and decision are on the disk before an event is sent: reconcile makes up for a lost one.
"""

import json
from functools import partial
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame
from prefect import flow

from annotation.queue import Pulled, target
from annotation.queues import open_queue
from flows.curate import latest_corpus
from flows.engine.context import Run, model_slot, open_run, say, say_once
from flows.engine.home import MONITOR_LOCK
from flows.models.loaded_model import LoadedModel, base_model
from flows.review import push_next, settle_pairs, take_in
from flows.services.automations import emit_drift, tell
from flows.traffic import choose_exchanges, traffic
from flows.training import build_examples
from flows.views.report import write_report
from pipeline.core.cache import digest, write_atomically
from pipeline.core.errors import ReviewError
from pipeline.core.home import Home
from pipeline.core.journal import now, parse
from pipeline.core.outcome import table
from pipeline.core.store import Dataset
from pipeline.drift.check import collect, measure_signals, reference_rows
from pipeline.drift.evidence import Evidence
from pipeline.drift.ledger import Ledger, Window
from pipeline.drift.logs import logs_folder, read_logs
from pipeline.drift.policy import Decision, Retrain, decide
from pipeline.drift.signals import Inputs, any_worse
from pipeline.drift.windows import Watched, cut, intake, new_rows, reference_exchanges, watched
from pipeline.report.contents import Report
from pipeline.report.drift_words import reasons_line
from pipeline.settings import Settings
from pipeline.train.models.base_model import token_counter
from schemas.drift import DriftFeatures
from schemas.exchanges import Exchanges
from schemas.pairs import Examples, ScreenedPairs


@flow(name="monitor", timeout_seconds=3600)
def monitor(settings: Settings) -> Report | None:
    """Check what is new for drift, decide, and tell those who act on it.

    Returns None when there is nothing to check: no champion yet, or nothing new. MissingDataset
    where the champion, or what it was trained on, is gone.
    """
    home = settings.paths.home
    about = watched(Home.at(home)) if (home / "store").is_dir() else None
    if about is None:
        say("monitor: no champion with a drift reference yet; one comes with `tuneloop run`")
        return None
    pulled = take_in(open_queue(settings))
    folder = logs_folder(settings.paths)
    none = settings.paths.logs is None and not folder.is_dir()
    exchanges = table(Exchanges, []) if none else read_logs(folder).kept
    latest = Home.at(home).latest()
    state = digest(
        [
            str(about.champion),
            str(latest.get("unique_documents")),
            str(latest.get("screened_pairs")),
            digest(pulled.reviews.to_dicts()),
            digest(exchanges.select("exchange_id", "rating").rows()),
            settings.monitor.model_dump(mode="json"),
            settings.retrain.model_dump(mode="json"),
        ]
    )
    mark = home / "monitor" / "last.json"
    held = Ledger(home, say_once).pending(about.champion)
    over = held is not None and held.next_retrain_at is not None and held.next_retrain_at <= now()
    last = parse(mark.read_text("utf-8", "replace")) if mark.exists() else {}
    if last is None:
        say(f"monitor: {mark} is torn, so all is checked once more")
    if not over and last and last.get("state") == state:
        say("monitor: nothing new since the last check")
        return None
    with open_run("monitor", settings, MONITOR_LOCK) as run:
        report = _check(run, about, pulled, exchanges)
    write_atomically(mark, json.dumps({"state": state, "at": now()}).encode())
    return report


def _check(run: Run, about: Watched, pulled: Pulled, log: DataFrame[Exchanges]) -> Report | None:
    settings, home, ledger = run.settings, Home.at(run.home), Ledger(run.home, say_once)
    base = base_model(settings)
    corpus, screened = latest_corpus(home)
    data = build_examples(run, corpus, settle_pairs(run, screened, pulled))
    own = (row for row in ledger.rows(Window) if row.reference == about.reference.fingerprint)
    tested = frozenset(key for window in own for key in window.ids)
    known = reference_exchanges(log, about.promoted_at, settings.monitor)
    later = log.filter(~pl.col("exchange_id").is_in(known["exchange_id"].to_list()))
    fresh = intake(home, about, data.examples, cast("DataFrame[Exchanges]", later), tested)
    windows = cut(fresh.texts, settings.monitor)
    learnable = new_rows(home, about, data.examples)
    count_tokens = token_counter(base.path)
    stored = run.store.read(about.reference, DriftFeatures)
    with LoadedModel(base, settings.model, run.store) as loaded:
        inputs = Inputs(
            settings=settings,
            watched=about,
            intake=fresh,
            reviews=pulled.reviews,
            judged=run.store.read(about.examples, Examples),
            examples=run.store.read(data.examples, Examples),
            champion=partial(loaded.get, about.champion),
            reference=reference_rows(stored, known, count_tokens),
            window=table(DriftFeatures, []),
        )
        signals = measure_signals(inputs, "intake")
        decided: list[Decision] = []
        if windows or any_worse(signals, "damage"):
            with model_slot():
                collected = collect(inputs, signals, windows, count_tokens, now)
                decided = [_decide(run, row, learnable, window) for row, window in collected]
    pending = ledger.pending(about.champion)
    if not decided and pending is not None:
        evidence = ledger.evidence(pending.id)
        if evidence is not None:  # more to learn from by now, or the cooldown is over
            decided = [_decide(run, evidence, learnable, None)]
    if not decided:
        counts = sorted(fresh.texts["kind"].value_counts().iter_rows())
        waiting = ", ".join(f"{count} new {kind}s" for kind, count in counts) or "nothing new"
        say(f"monitor: {waiting}; a check needs {settings.monitor.min_window} of a kind")
    decided = [row for row in decided if row.action == "retrain"][:1] or decided[-1:]
    queued, far = _act(run, decided[0], screened, pulled) if decided else (0, [])
    queued += choose_exchanges(run, log, pulled.decided, far)
    if queued:
        traffic(run)
        try:
            queue = open_queue(settings)
            missed = push_next(queue, pulled, screened, corpus.chunks, settings).missed
        except ReviewError as error:
            missed = str(error)
        if missed:
            say(f"monitor: {missed}; the next sync queues {queued} pairs of what drifted")
    if not decided:
        return None
    last = decided[0]
    if last.action not in ("ok", "watch"):
        tell(settings, f"tuneloop: drift check says {last.action}", reasons_line(last.reasons))
    return write_report(run, drift=last)


def _decide(run: Run, evidence: Evidence, learnable: int, window: Window | None) -> Decision:
    ledger, settings = Ledger(run.home, say_once), run.settings
    others = [row for row in ledger.rows(Decision) if row.id != evidence.id]
    limits = settings.monitor, settings.retrain
    decision = decide(evidence, others, ledger.rows(Retrain), learnable, now(), *limits)
    ledger.decide(evidence, decision, window)
    say(f"monitor: {decision.action}: {reasons_line(decision.reasons)}")
    return decision


def _act(run: Run, decision: Decision, screened: Dataset, pulled: Pulled) -> tuple[int, list[str]]:
    """Do what a decision asks for; return how many pairs to show, and what is most unlike."""
    run.event("DECISION", "monitor", action=decision.action, evidence_id=decision.id)
    if decision.action == "retrain":
        emit_drift(run.home, decision.id, reasons_line(decision.reasons))
    if decision.action != "review":
        return 0, []
    evidence = Ledger(run.home, say_once).evidence(decision.id)
    far = [key for kind in evidence.kinds for key in kind.far] if evidence else []
    pairs = run.store.read(screened, ScreenedPairs)
    rank = pl.DataFrame({"key": far}, {"key": pl.String}).with_row_index("rank")
    drifted = (
        pairs.filter(~pl.col("pair_id").is_in(sorted(pulled.decided)))
        .join(rank.unique("key", keep="first"), left_on="doc_id", right_on="key")
        .sort("rank", "pair_id")
        .head(run.settings.monitor.review_pairs)
    )
    target(run.home, drifted["pair_id"].to_list(), decision.id)
    return drifted.height, far
