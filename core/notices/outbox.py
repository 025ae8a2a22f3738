"""Messages that are due: taken by one sender at a time, sent again after growing pauses."""

import json
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from core.db.clock import later, now
from core.db.tables import Delivery, Webhook
from core.notices.delivery import Outcome

MOST_ATTEMPTS = 10
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 6 * 3600.0

_TAKEN_SECONDS = 60.0
_KEPT_DAYS = 7


@dataclass(frozen=True)
class Parcel:
    """One attempt to send a message: where to, and the bytes that are signed and sent."""

    delivery_id: int
    webhook_id: str
    attempt: int
    message_id: str
    body: bytes = field(repr=False)
    url: str = field(repr=False)
    secret: str = field(repr=False)


def due(session: Session) -> list[str]:
    """The webhooks for which a message is due."""
    statement = (
        select(Delivery.webhook_id)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.next_attempt_at <= now())
        .distinct()
    )
    return list(session.scalars(statement))


def take(session: Session, webhook_id: str) -> Parcel | None:
    """Take the oldest message that is due for a webhook; None when there is none.

    Nobody else takes it for a minute. Whoever dies with it in hand loses nothing: then it is due
    again.
    """
    found = session.execute(
        select(Delivery, Webhook)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.webhook_id == webhook_id, Delivery.next_attempt_at <= now())
        .order_by(Delivery.id)
        .limit(1)
    ).one_or_none()
    if found is None:
        return None
    row, webhook = found
    attempt = row.attempts + 1
    taken = session.execute(
        update(Delivery)
        .where(
            Delivery.id == row.id,
            Delivery.attempts == row.attempts,
            Delivery.next_attempt_at <= now(),
        )
        .values(attempts=attempt, next_attempt_at=later(_TAKEN_SECONDS))
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if taken is None:  # another scheduler was faster
        return None
    return Parcel(
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
    parcel: Parcel,
    outcome: Outcome,
    *,
    first_pause_seconds: float = FIRST_PAUSE_SECONDS,
) -> None:
    """Write down how an attempt went, and when the next one is due if it did not arrive."""
    changes: dict[str, Any] = {"status_code": outcome.status_code, "error": outcome.error}
    if outcome.delivered:
        changes |= {"delivered_at": now(), "next_attempt_at": None}
    elif outcome.final or parcel.attempt >= MOST_ATTEMPTS:
        changes["next_attempt_at"] = None
    else:
        pause = first_pause_seconds * 4.0 ** (parcel.attempt - 1)
        changes["next_attempt_at"] = later(min(pause, LONGEST_PAUSE_SECONDS))
    session.execute(
        update(Delivery)
        # A message that is being replayed begins anew: this attempt counts no more.
        .where(Delivery.id == parcel.delivery_id, Delivery.attempts == parcel.attempt)
        .values(**changes)
        .execution_options(synchronize_session=False)
    )


def forget(session: Session) -> None:
    """Delete messages that arrived or were given up long ago, or whose webhook is gone."""
    gone = Delivery.webhook_id.not_in(select(Webhook.id))
    old = Delivery.created_at < later(-_KEPT_DAYS * 86_400)
    session.execute(
        delete(Delivery)
        .where(or_(gone, old & Delivery.next_attempt_at.is_(None)))
        .execution_options(synchronize_session=False)
    )


def _body(row: Delivery) -> bytes:
    """The message as bytes, the same at each attempt."""
    moment = row.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
    document = {"type": row.event, "timestamp": moment.replace("+00:00", "Z"), "data": row.data}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
