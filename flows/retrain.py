"""Train on what is accepted now, judge against the champion, promote or keep, and say why."""

from typing import TYPE_CHECKING

from prefect import flow

from flows.engine.context import Run, open_run, say, say_once
from flows.models.loaded_model import base_model
from flows.monitor import latest_corpus
from flows.review import review_pairs
from flows.run import train_and_judge
from flows.training import build_examples
from flows.views.report import write_report
from pipeline.core.home import Home
from pipeline.core.journal import now
from pipeline.core.registry import CHAMPION
from pipeline.drift.ledger import Ledger
from pipeline.drift.policy import Retrain, next_retrain_at
from pipeline.drift.windows import new_rows, watched
from pipeline.report.contents import Retraining
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.report.contents import Report


@flow(name="retrain", timeout_seconds=48 * 3600)
def retrain(
    settings: Settings, reason: str = "", evidence_id: str = "", dry_run: bool = False
) -> "Report | None":
    """Train a challenger and judge it; the drift reference follows the champion.

    Args:
        settings: all settings.
        reason: why, for the ledger and the report.
        evidence_id: the drift decision that started it; the same evidence never trains twice.
        dry_run: say what would be trained on, and stop before the training.

    Returns:
        The report; None when there was nothing to do.

    Raises:
        MissingDataset: nothing was synthesized yet, or the champion is not in the store any more.
        InputError: no row to train on.
    """
    with open_run("retrain", settings) as run:
        ledger = Ledger(run.home, say_once)
        before = ledger.ended(evidence_id) if evidence_id else None
        if before is not None:
            say(f"retrain: evidence {evidence_id} was trained on at {before.at}: {before.outcome}")
            return None
        if dry_run:
            return _rehearse(run, reason, evidence_id)
        row = Retrain(
            evidence_id=evidence_id,
            at=now(),
            reason=reason,
            outcome="started",
            run=run.folder.name,
        )
        ledger.retrain(row)
        try:
            return _retrain(run, row)
        except BaseException:
            ledger.retrain(row.model_copy(update={"at": now(), "outcome": "failed"}))
            raise


def _retrain(run: Run, row: Retrain) -> "Report":
    home = Home.at(run.home)
    before = run.registry.get(CHAMPION)
    about = watched(home)
    base = base_model(run.settings)
    corpus, screened = latest_corpus(home)
    data = build_examples(run, corpus, review_pairs(run, corpus, screened))
    learnable = new_rows(home, about, data.examples) if about else data.examples.rows
    judged = train_and_judge(run, base, corpus, data)
    after = run.registry.get(CHAMPION)
    moved = after is not None and (before is None or after.fingerprint != before.fingerprint)
    ended = row.model_copy(update={"at": now(), "outcome": "promoted" if moved else "kept"})
    ledger = Ledger(run.home, say_once)
    ledger.retrain(ended)
    say(f"retrain: {ended.outcome}: {judged.verdict.summary}")
    return write_report(
        run,
        judged,
        retrain=Retraining(
            reason=row.reason,
            evidence_id=row.evidence_id,
            outcome=ended.outcome,
            champion_before=before.fingerprint if before else None,
            champion_after=after.fingerprint if after else None,
            new_rows=learnable,
            next_retrain_at=next_retrain_at(ledger.retrains(), now(), run.settings.retrain),
        ),
    )


def _rehearse(run: Run, reason: str, evidence_id: str) -> "Report":
    home, ledger = Home.at(run.home), Ledger(run.home, say_once)
    about = watched(home)
    corpus, screened = latest_corpus(home)
    data = build_examples(run, corpus, review_pairs(run, corpus, screened))
    learnable = new_rows(home, about, data.examples) if about else data.examples.rows
    held = next_retrain_at(ledger.retrains(), now(), run.settings.retrain)
    champion = run.registry.get(CHAMPION)
    say(
        f"retrain: dry run: {data.examples.rows} rows, {learnable} new for the champion; by "
        f"itself a retrain may start {'now' if held is None else f'from {held} on'}"
    )
    return write_report(
        run,
        retrain=Retraining(
            reason=reason,
            evidence_id=evidence_id,
            outcome="dry run",
            champion_before=champion.fingerprint if champion else None,
            champion_after=champion.fingerprint if champion else None,
            new_rows=learnable,
            next_retrain_at=held,
        ),
    )
