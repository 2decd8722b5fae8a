"""The wire from a drift decision to a retrain: an event, and the automation that answers it.

The event is a nudge, not the record: the decision is in the ledger before it is emitted, and
the flow ``reconcile`` starts what an event missed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import NAMESPACE_URL, UUID, uuid5

from pipeline.core.cache import digest
from pipeline.settings import Settings

if TYPE_CHECKING:
    from prefect.automations import Automation

DRIFT_EVENT = "tuneloop.drift.confirmed"

RETRAIN_ON_DRIFT = "tuneloop retrain on drift"
"""Name of the automation; Prefect lets several have one name, we do not."""


def drift_resource(home: Path) -> dict[str, str]:
    """Return the resource that the events of a home are about."""
    return {"prefect.resource.id": f"tuneloop.home.{digest(str(home.resolve()))[:16]}"}


def emit_drift(home: Path, evidence_id: str, reason: str) -> UUID:
    """Tell Prefect that drift was confirmed; returns the id of the event once it was sent.

    The id follows from home and evidence: the same evidence emitted again is the same event.
    """
    name = f"{DRIFT_EVENT}/{drift_resource(home)['prefect.resource.id']}/{evidence_id}"
    key = uuid5(NAMESPACE_URL, name)
    emit(home, DRIFT_EVENT, {"evidence_id": evidence_id, "reason": reason}, key)
    return key


def emit(home: Path, event: str, payload: dict[str, str], key: UUID | None = None) -> None:
    """Send an event about a home to Prefect, and return once it was sent."""
    from prefect.events import emit_event
    from prefect.events.worker import EventsWorker

    emit_event(event, resource=drift_resource(home), payload=payload, id=key)
    EventsWorker.instance().wait_until_empty()


def apply_automations(settings: Settings, deployments: Mapping[str, UUID]) -> "Automation":
    """Let a drift event start the retrain deployment with its evidence and reason.

    Args:
        settings: of the home whose events count.
        deployments: id of each deployment by the name of its flow.
    """
    from prefect.automations import Automation
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import EventTrigger

    def from_payload(field: str) -> dict[str, str]:
        return {"__prefect_kind": "jinja", "template": f"{{{{ event.payload.{field} }}}}"}

    return upsert(
        Automation(
            name=RETRAIN_ON_DRIFT,
            description="Starts a retrain when the monitor has confirmed drift.",
            trigger=EventTrigger(
                expect={DRIFT_EVENT}, match={**drift_resource(settings.paths.home)}
            ),
            actions=[
                RunDeployment(
                    source="selected",
                    deployment_id=deployments["retrain"],
                    job_variables=None,
                    parameters={name: from_payload(name) for name in ("evidence_id", "reason")},
                )
            ],
        )
    )


def upsert(automation: "Automation") -> "Automation":
    """Create an automation, or update the one of its name; one that was switched off stays off."""
    from prefect.automations import Automation
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        same = client.read_automations_by_name(name=automation.name)
    if not same:
        return cast(Automation, automation.create())  # typed as if it could be awaited
    automation.id = same[0].id
    automation.enabled = same[0].enabled
    automation.update()
    for extra in same[1:]:
        Automation(**extra.model_dump()).delete()
    return automation
