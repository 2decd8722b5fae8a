"""Train on what is accepted now, judge against the champion, promote or keep, and say why."""

from prefect import flow

from flows.engine.context import Run, open_run, say, say_once
from flows.models.loaded_model import base_model
from flows.run import train_and_judge
from flows.training import latest_data
from flows.views.report import write_report
from pipeline.core.home import Home
from pipeline.core.journal import now
from pipeline.core.registry import CHAMPION
from pipeline.drift.ledger import Ledger
from pipeline.drift.policy import Retrain, next_retrain_at
from pipeline.drift.windows import new_rows, watched
from pipeline.report.contents import Report, Retraining
from pipeline.settings import Settings


@flow(name="retrain", timeout_seconds=48 * 3600)
def retrain(
    settings: Settings, reason: str = "", evidence_id: str = "", dry_run: bool = False
) -> Report | None:
    """Train a challenger and judge it; the drift reference follows the champion.

    The same evidence, a drift decision, never trains twice: None then. A MissingDataset without
    pairs, or where the champion is gone; an InputError where there is no row to train on.
    """
    with open_run("retrain", settings) as run:
        ledger = Ledger(run.home, say_once)
        before = ledger.ended(evidence_id) if evidence_id else None
        if before is not None:
            say(f"retrain: evidence {evidence_id} was trained on at {before.at}: {before.outcome}")
            return None
        row = Retrain(
            evidence_id=evidence_id, at=now(), reason=reason, outcome="started", run=run.folder.name
        )
        if dry_run:
            return _retrain(run, row, dry_run)
        ledger.add(row)
        try:
            return _retrain(run, row)
        except BaseException:
            ledger.add(row.model_copy(update={"at": now(), "outcome": "failed"}))
            raise


def _retrain(run: Run, row: Retrain, dry_run: bool = False) -> Report:
    home, ledger = Home.at(run.home), Ledger(run.home, say_once)
    before, about = run.registry.get(CHAMPION), watched(home)
    base = None if dry_run else base_model(run.settings)
    corpus, _, data = latest_data(run)
    learnable = new_rows(home, about, data.examples) if about else data.examples.rows
    judged = None if base is None else train_and_judge(run, base, corpus, data)
    after = run.registry.get(CHAMPION)
    if judged is not None:
        moved = after is not None and (before is None or after.fingerprint != before.fingerprint)
        row = row.model_copy(update={"at": now(), "outcome": "promoted" if moved else "kept"})
        ledger.add(row)
        say(f"retrain: {row.outcome}: {judged.verdict.summary}")
    held = next_retrain_at(ledger.rows(Retrain), now(), run.settings.retrain)
    if judged is None:
        say(
            f"retrain: dry run: {data.examples.rows} rows, {learnable} new for the champion; by "
            f"itself a retrain may start {'now' if held is None else f'from {held} on'}"
        )
    return write_report(
        run,
        judged,
        retrain=Retraining(
            reason=row.reason,
            evidence_id=row.evidence_id,
            outcome="dry run" if dry_run else row.outcome,
            champion_before=before.fingerprint if before else None,
            champion_after=after.fingerprint if after else None,
            new_rows=learnable,
            next_retrain_at=held,
        ),
    )
