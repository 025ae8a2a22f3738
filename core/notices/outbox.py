"""Messages that are due. One sender claims each; failed ones are due again after a pause."""

import json
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db.clock import later, now
from core.db.tables import Delivery, Webhook
from core.notices.delivery import Outcome

MOST_ATTEMPTS = 10
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 6 * 3600.0

_CLAIM_SECONDS = 60.0


@dataclass(frozen=True)
class ClaimedMessage:
    """A message claimed for one attempt: its destination and the bytes to sign and send."""

    delivery_id: int
    webhook_id: str
    attempt: int
    message_id: str
    body: bytes = field(repr=False)
    url: str = field(repr=False)
    secret: str = field(repr=False)


def due(session: Session) -> list[str]:
    """Return the ids of webhooks with a message that is due."""
    statement = (
        select(Delivery.webhook_id)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.next_attempt_at <= now())
        .distinct()
    )
    return list(session.scalars(statement))


def claim(session: Session, webhook_id: str) -> ClaimedMessage | None:
    """Claim the oldest due message of a webhook for a minute; None if there is none.

    If the sender dies, the message is due again after that minute.
    """
    rows = session.execute(
        select(Delivery, Webhook)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.webhook_id == webhook_id, Delivery.next_attempt_at <= now())
        .order_by(Delivery.id)
        .limit(1)
    ).one_or_none()
    if rows is None:
        return None
    row, webhook = rows
    attempt = row.attempts + 1
    claimed = session.execute(
        update(Delivery)
        .where(
            Delivery.id == row.id,
            Delivery.attempts == row.attempts,
            Delivery.next_attempt_at <= now(),
        )
        .values(attempts=attempt, next_attempt_at=later(_CLAIM_SECONDS))
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if claimed is None:  # another scheduler was faster
        return None
    return ClaimedMessage(
        delivery_id=row.id,
        webhook_id=webhook.id,
        attempt=attempt,
        message_id=row.message_id,
        body=_body(row),
        url=webhook.url,
        secret=webhook.secret,
    )


def record(
    session: Session,
    message: ClaimedMessage,
    outcome: Outcome,
    *,
    first_pause_seconds: float = FIRST_PAUSE_SECONDS,
) -> None:
    """Store the outcome of an attempt, and when the next attempt is due if it failed."""
    changes: dict[str, Any] = {"status_code": outcome.status_code, "error": outcome.error}
    if outcome.delivered:
        changes |= {"delivered_at": now(), "next_attempt_at": None}
    elif outcome.final or message.attempt >= MOST_ATTEMPTS:
        changes["next_attempt_at"] = None
    else:
        pause = first_pause_seconds * 4.0 ** (message.attempt - 1)
        changes["next_attempt_at"] = later(min(pause, LONGEST_PAUSE_SECONDS))
    session.execute(
        update(Delivery)
        # A replay resets the attempts: then this outcome is ignored.
        .where(Delivery.id == message.delivery_id, Delivery.attempts == message.attempt)
        .values(**changes)
        .execution_options(synchronize_session=False)
    )


def _body(row: Delivery) -> bytes:
    """Return the body of a message; it is the same in each attempt."""
    moment = row.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
    document = {"type": row.event, "timestamp": moment.replace("+00:00", "Z"), "data": row.data}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
