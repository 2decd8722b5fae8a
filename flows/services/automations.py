"""Prefect's automations: a drift decision starts a retrain, and people get notices.

A drift event is a nudge: its decision is in the ledger, and ``reconcile`` starts what it missed.

Notices of flows, failed runs and stopped schedules go over a block (mail, Slack, a webhook) that is
made on Prefect's page of blocks, where its address and key stay: ``notify.block`` names it.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.actions import RunDeployment, SendNotification
from prefect.events.filters import AutomationFilter, AutomationFilterName
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.worker import EventsWorker
from prefect.exceptions import ObjectNotFound

from flows.engine.context import say
from pipeline.core.cache import digest
from pipeline.settings import Settings

DRIFT_EVENT = "tuneloop.drift.confirmed"
RETRAIN_ON_DRIFT = "tuneloop retrain on drift"
"""Name of the automation; Prefect lets several have one name, we do not."""
NOTICE = "tuneloop.notice"
TOLD, FAILED = "tuneloop notice", "tuneloop failed run"
STOPPED = "tuneloop stopped schedule: "
ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Crashed", "TimedOut")}
MISSED = 2  # runs in a row that did not end, by which a schedule counts as stopped


def drift_resource(home: Path) -> dict[str, str]:
    """Return the resource that the events of a home are about."""
    return {"prefect.resource.id": f"tuneloop.home.{digest(str(home.resolve()))[:16]}"}


def emit_drift(home: Path, evidence_id: str, reason: str) -> UUID:
    """Tell Prefect that drift was confirmed; returns the id of the event once it was sent.

    The id follows from home and evidence: the same evidence emitted again is the same event.
    """
    name = f"{DRIFT_EVENT}/{drift_resource(home)['prefect.resource.id']}/{evidence_id}"
    key = uuid5(NAMESPACE_URL, name)
    _emit(home, DRIFT_EVENT, {"evidence_id": evidence_id, "reason": reason}, key)
    return key


def tell(settings: Settings, subject: str, body: str) -> None:
    """Send people a notice, where a block is configured for it."""
    if settings.notify.block:
        _emit(settings.paths.home, NOTICE, {"subject": subject, "body": body})


def _emit(home: Path, event: str, payload: dict[str, str], key: UUID | None = None) -> None:
    emit_event(event, resource=drift_resource(home), payload=payload, id=key)
    EventsWorker.instance().wait_until_empty()


def apply_automations(settings: Settings, deployments: Mapping[str, UUID]) -> None:
    """Make the automations of a home; ``deployments``: ids by the names of their flows.

    A drift event starts the retrain deployment with its evidence and reason. Without a block those
    that send are taken away.
    """
    retrain = RunDeployment(
        source="selected",
        deployment_id=deployments["retrain"],
        job_variables=None,
        parameters={
            name: {"__prefect_kind": "jinja", "template": f"{{{{ event.payload.{name} }}}}"}
            for name in ("evidence_id", "reason")
        },
    )
    drift = EventTrigger(expect={DRIFT_EVENT}, match={**drift_resource(settings.paths.home)})
    about = "Starts a retrain when the monitor has confirmed drift."
    made = [Automation(name=RETRAIN_ON_DRIFT, description=about, trigger=drift, actions=[retrain])]
    kind, _, name = settings.notify.block.partition("/")
    with get_client(sync_client=True) as client:
        if name:
            try:
                block = client.read_block_document_by_name(name, kind).id
                made += _notices(settings, deployments, block)
            except ObjectNotFound:
                say(
                    f"notify.block: no block {settings.notify.block!r} found; expected one of "
                    "Prefect's page of blocks; make it there, and start `tuneloop up` again"
                )
        names = [RETRAIN_ON_DRIFT, TOLD, FAILED, *(f"{STOPPED}{flow}" for flow in deployments)]
        ours = AutomationFilter(name=AutomationFilterName(any_=names))
        there: dict[str, Any] = {}
        for old in client.read_automations(automations=ours):
            if old.name in there or old.name not in {item.name for item in made}:
                client.delete_automation(old.id)
            there.setdefault(old.name, old)
    for automation in made:
        if known := there.get(automation.name):
            automation.id, automation.enabled = known.id, known.enabled  # switched off, it stays so
            automation.update()
        else:
            automation.create()


def _notices(settings: Settings, deployments: Mapping[str, UUID], block: UUID) -> list[Automation]:
    def send(subject: str, body: str) -> SendNotification:
        return SendNotification(block_document_id=block, subject=subject, body=body)

    def of(ids: list[UUID]) -> dict[str, str | list[str]]:
        names = [f"prefect.deployment.{key}" for key in ids]
        return {"prefect.resource.role": "deployment", "prefect.resource.id": names}

    told = EventTrigger(expect={NOTICE}, match={**drift_resource(settings.paths.home)})
    failed = EventTrigger(
        expect=ENDED - {"prefect.flow-run.Completed"}, match_related=of([*deployments.values()])
    )
    failure = "tuneloop: {{ flow.name }} ended as {{ flow_run.state.name }}"
    notice = send("{{ event.payload.subject }}", "{{ event.payload.body }}")
    alarm = send(failure, "{{ flow_run.state.message }}")
    found = [
        Automation(name=TOLD, trigger=told, actions=[notice]),
        Automation(name=FAILED, trigger=failed, actions=[alarm]),
    ]
    for name, key in deployments.items():
        if not (cron := getattr(settings.schedule, name, "")):
            continue
        patience = MISSED * longest_gap(cron, settings.schedule.timezone)
        stopped = EventTrigger(
            expect=ENDED, match_related=of([key]), posture=Posture.Proactive, within=patience
        )
        body = f"No run of {name} ended for {patience}: its schedule is paused, or nothing runs it."
        notice = send(f"tuneloop: {name} has stopped", body)
        found.append(Automation(name=f"{STOPPED}{name}", trigger=stopped, actions=[notice]))
    return found


def longest_gap(cron: str, timezone: str) -> timedelta:
    """Return the longest time between two of the next runs of a schedule."""
    from prefect.server.schemas.schedules import CronSchedule  # takes a second to import

    schedule = CronSchedule(cron=cron, timezone=timezone)
    dates = asyncio.run(schedule.get_dates(10, start=datetime.now(UTC)))
    gaps = (later - earlier for earlier, later in pairwise(dates))
    return timedelta(seconds=max(gap.total_seconds() for gap in gaps))
