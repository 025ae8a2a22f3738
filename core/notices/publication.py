"""Say that something happened, in the transaction that makes it happen."""

import uuid
from collections.abc import Callable
from typing import Any, Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Delivery, Webhook

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
"""All that can be told; a webhook names those it wants."""

PING = "ping"
"""What is told on request, to see whether it arrives."""

_LISTENING = "core.notices.listening"


def announce(session: Session, event: str, data: Callable[[], dict[str, Any]]) -> None:
    """Leave a message for each webhook that wants `event`; it is sent after the commit, if any.

    `data` says what the message tells; it is asked only when somebody listens.
    """
    with session.no_autoflush:
        # Asked once a transaction: a stack of trials ends many jobs in one.
        if _LISTENING not in session.info:
            rows = session.execute(select(Webhook.id, Webhook.events))
            session.info[_LISTENING] = [(row[0], frozenset(row[1])) for row in rows]
        wanting = [key for key, events in session.info[_LISTENING] if event in events]
        if wanting:
            told = data()
            session.add_all(message(webhook_id, event, told) for webhook_id in wanting)


def message(webhook_id: str, event: str, data: dict[str, Any]) -> Delivery:
    """A message that is due at once."""
    return Delivery(
        webhook_id=webhook_id,
        message_id=uuid.uuid4().hex,
        event=event,
        data=data,
        next_attempt_at=now(),
    )
