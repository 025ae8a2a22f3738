"""Announce an event to webhooks, in the transaction of the change itself."""

import uuid
from collections.abc import Callable
from typing import Any, Literal, get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Delivery, Sweep, Trial, Webhook

Event = Literal[
    "job.finished",
    "job.failed",
    "job.cancelled",
    "job.pruned",
    "sweep.finished",
    "sweep.cancelled",
    "dataset.registered",
    "dataset.erased",
    "model.registered",
    "model.alias_moved",
]

EVENTS: tuple[Event, ...] = get_args(Event)
"""All events; a webhook subscribes to some of them."""

PING = "ping"
"""Event of a test message, which is sent on request."""

_SUBSCRIPTIONS = "core.notices.subscriptions"


def announce(session: Session, event: str, data: Callable[[], dict[str, Any]]) -> None:
    """Add a message for each webhook subscribed to `event`; it is sent after the commit.

    `data` returns the content of the message. It is called only if there is a subscriber.
    """
    with session.no_autoflush:
        # Read once a transaction: a stack of trials ends many jobs in one.
        if _SUBSCRIPTIONS not in session.info:
            rows = session.execute(select(Webhook.id, Webhook.events))
            session.info[_SUBSCRIPTIONS] = [(row[0], frozenset(row[1])) for row in rows]
        subscribed = [key for key, events in session.info[_SUBSCRIPTIONS] if event in events]
        if subscribed:
            content = data()
            session.add_all(message(webhook_id, event, content) for webhook_id in subscribed)


def announce_sweep_end(session: Session, sweep: Sweep) -> None:
    """Announce that a sweep has ended, with its status and its trials by status."""

    def data() -> dict[str, Any]:
        version = sweep.dataset_version
        by_status = select(Trial.status, func.count()).where(Trial.sweep_id == sweep.id)
        rows = session.execute(by_status.group_by(Trial.status))
        return {
            "id": sweep.id,
            "status": sweep.status.value,
            "name": sweep.name,
            "dataset": f"{version.dataset.name}@{version.version}",
            "owner": sweep.owner,
            "n_trials": sweep.n_trials,
            "trials": {str(status): count for status, count in rows},
        }

    announce(session, f"sweep.{sweep.status.value}", data)


def message(webhook_id: str, event: str, data: dict[str, Any]) -> Delivery:
    """Return a message that is due immediately."""
    return Delivery(
        webhook_id=webhook_id,
        message_id=uuid.uuid4().hex,
        event=event,
        data=data,
        next_attempt_at=now(),
    )
