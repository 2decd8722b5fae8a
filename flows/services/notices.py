"""Notices to people over a block of Prefect's: mail, Slack, a webhook. Nothing is sent without one.

The block named by ``notify.block`` is made on Prefect's page of blocks, where its address and its
key stay. Prefect's automations send: what a flow tells, runs that failed, schedules that stopped.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

from flows.engine.context import say
from flows.services.automations import drift_resource, emit, upsert
from pipeline.settings import Settings

if TYPE_CHECKING:
    from prefect.automations import Automation
    from prefect.events.actions import SendNotification

NOTICE = "tuneloop.notice"
TOLD, FAILED = "tuneloop notice", "tuneloop failed run"
STOPPED = "tuneloop stopped schedule: "
ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Crashed", "TimedOut")}
MISSED = 2
"""Runs in a row that did not end, by which a schedule counts as stopped."""


def tell(settings: Settings, subject: str, body: str) -> None:
    """Send people a notice, where a block is configured for it."""
    if settings.notify.block:
        emit(settings.paths.home, NOTICE, {"subject": subject, "body": body})


def apply_notices(settings: Settings, deployments: Mapping[str, UUID]) -> None:
    """Make the automations that send; without a block, take them away.

    Args:
        settings: name the block.
        deployments: id of each deployment by the name of its flow.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    kind, _, name = settings.notify.block.partition("/")
    made: list[Automation] = []
    with get_client(sync_client=True) as client:
        if name:
            try:
                block = client.read_block_document_by_name(name, kind).id
                made = _automations(settings, deployments, block)
            except ObjectNotFound:
                say(
                    f"notify.block: no block {settings.notify.block!r} found; expected one of "
                    "Prefect's page of blocks; make it there, and start `tuneloop up` again"
                )
        names = {automation.name for automation in made}
        for old in client.read_automations():
            ours = old.name in (TOLD, FAILED) or old.name.startswith(STOPPED)
            if ours and old.name not in names:
                client.delete_automation(old.id)
    for automation in made:
        upsert(automation)


def _automations(
    settings: Settings, deployments: Mapping[str, UUID], block: UUID
) -> "list[Automation]":
    from prefect.automations import Automation
    from prefect.events.actions import SendNotification
    from prefect.events.schemas.automations import EventTrigger, Posture

    def send(subject: str, body: str) -> "SendNotification":
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
    found = [
        Automation(name=TOLD, trigger=told, actions=[notice]),
        Automation(
            name=FAILED, trigger=failed, actions=[send(failure, "{{ flow_run.state.message }}")]
        ),
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
    from prefect.server.schemas.schedules import CronSchedule

    schedule = CronSchedule(cron=cron, timezone=timezone)
    dates = asyncio.run(schedule.get_dates(10, start=datetime.now(UTC)))
    gaps = (later - earlier for earlier, later in pairwise(dates))
    return timedelta(seconds=max(gap.total_seconds() for gap in gaps))
