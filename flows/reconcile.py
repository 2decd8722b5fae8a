"""Start what an event missed: a retrain that was decided on and never ran to its end."""

from datetime import datetime, timedelta

from prefect import flow
from prefect.deployments import run_deployment

from flows.engine.context import say, say_once
from flows.engine.home import RUN_LOCK
from flows.engine.mirror import is_held
from pipeline.core.journal import now
from pipeline.drift.ledger import Ledger
from pipeline.drift.policy import Decision, Retrain
from pipeline.report.drift_words import reasons_line
from pipeline.settings import Settings

DEPLOYMENT = "retrain/tuneloop"
MAX_TRIES = 3  # starts of one retrain that did not end; after them a person has to look


@flow(name="reconcile", timeout_seconds=600)
def reconcile(settings: Settings) -> list[str]:
    """Start the latest retrain that waits longer than ``retrain.grace_minutes``; return which."""
    home = settings.paths.home
    ledger = Ledger(home, say_once)
    late = [row for row in ledger.waiting() if _is_late(row, settings)]
    if not late:
        say("reconcile: no decision waits for its retrain")
        return []
    if is_held(home / RUN_LOCK):
        say("reconcile: a run holds the home folder; the next reconcile looks again")
        return []
    decision = late[-1]  # the latest evidence stands for those before it
    rows = [row for row in ledger.rows(Retrain) if row.evidence_id == decision.id]
    tries = sum(row.outcome == "started" for row in rows)
    if tries >= MAX_TRIES:
        say(
            f"reconcile: the retrain of evidence {decision.id} was started {tries} times and never "
            f"ended; look at {home / 'runs' / rows[-1].run}, then start it with `tuneloop retrain`"
        )
        return []
    why = {"evidence_id": decision.id, "reason": reasons_line(decision.reasons)}
    key = f"{decision.id}-{tries}"
    run_deployment(DEPLOYMENT, parameters=why, timeout=0, idempotency_key=key, as_subflow=False)
    say(f"reconcile: started the retrain of evidence {decision.id}")
    return [decision.id]


def _is_late(decision: Decision, settings: Settings) -> bool:
    waited = datetime.fromisoformat(now()) - datetime.fromisoformat(decision.at)
    # Decided in what is the future by now: the clock was set back.
    return not timedelta(0) <= waited < timedelta(minutes=settings.retrain.grace_minutes)
