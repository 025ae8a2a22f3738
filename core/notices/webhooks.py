"""Webhooks: who is told of what; what was told, and telling it again."""

import uuid
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Delivery, Webhook
from core.errors import ConflictError, FieldError, InvalidError, NotFoundError
from core.notices.addresses import check_url
from core.notices.publication import EVENTS, PING, message
from core.notices.signatures import new_secret

MOST_WEBHOOKS = 100


def add(
    session: Session,
    url: str,
    *,
    events: Sequence[str] = EVENTS,
    description: str = "",
    owner: str = "local",
    allow_private: bool = False,
) -> Webhook:
    """Let `url` be told of `events` from now on; the row holds the new secret.

    Raises InvalidError for an address or event that cannot be, ConflictError beyond MOST_WEBHOOKS.
    """
    check_url(url, allow_private=allow_private)
    unknown = sorted(set(events) - set(EVENTS))
    if unknown or not events:
        wrong = f"{unknown[0][:40]!r} is none" if unknown else "name one at least"
        text = f"{wrong}; there are {', '.join(EVENTS)}"
        raise InvalidError(f"wrong events: {text}", [FieldError("events", text)])
    if (session.scalar(select(func.count()).select_from(Webhook)) or 0) >= MOST_WEBHOOKS:
        raise ConflictError(f"there are {MOST_WEBHOOKS} webhooks already; remove one first")
    webhook = Webhook(
        id=uuid.uuid4().hex,
        url=url,
        secret=new_secret(),
        events=[event for event in EVENTS if event in events],
        description=description,
        owner=owner,
    )
    session.add(webhook)
    session.flush()
    return webhook


def get(session: Session, webhook_id: str) -> Webhook:
    """The webhook. Raises NotFoundError."""
    found = session.get(Webhook, webhook_id)
    if found is None:
        raise NotFoundError(f"there is no webhook {webhook_id[:40]}")
    return found


def list_webhooks(session: Session, *, after: str | None = None, limit: int = 50) -> list[Webhook]:
    """Webhooks by id, those after `after`."""
    statement = select(Webhook).order_by(Webhook.id).limit(limit)
    if after is not None:
        statement = statement.where(Webhook.id > after)
    return list(session.scalars(statement))


def remove(session: Session, webhook_id: str) -> None:
    """Tell it nothing any more, also not what still waits. Raises NotFoundError."""
    session.delete(get(session, webhook_id))
    session.execute(delete(Delivery).where(Delivery.webhook_id == webhook_id))
    session.flush()


def deliveries(
    session: Session, webhook_id: str, *, before: int | None = None, limit: int = 50
) -> list[Delivery]:
    """What a webhook was or is to be told, newest first. Raises NotFoundError."""
    get(session, webhook_id)
    statement = (
        select(Delivery)
        .where(Delivery.webhook_id == webhook_id)
        .order_by(Delivery.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(Delivery.id < before)
    return list(session.scalars(statement))


def replay(session: Session, webhook_id: str, delivery_id: int) -> Delivery:
    """Send a message once more, under the id it had. Raises NotFoundError."""
    get(session, webhook_id)
    row = session.get(Delivery, delivery_id, with_for_update=True)
    if row is None or row.webhook_id != webhook_id:
        raise NotFoundError(f"webhook {webhook_id} has no delivery {delivery_id}")
    row.attempts, row.next_attempt_at = 0, now()
    row.delivered_at = row.status_code = row.error = None
    session.flush()
    session.refresh(row)
    return row


def ping(session: Session, webhook_id: str) -> Delivery:
    """Send a webhook a message that says nothing, to see whether it arrives.

    Raises NotFoundError.
    """
    row = message(get(session, webhook_id).id, PING, {"webhook_id": webhook_id})
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def state(row: Delivery) -> Literal["delivered", "waiting", "failed"]:
    """Whether a message has arrived, is to be sent (again), or was given up."""
    if row.delivered_at is not None:
        return "delivered"
    return "failed" if row.next_attempt_at is None else "waiting"
