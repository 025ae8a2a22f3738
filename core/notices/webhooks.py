"""Webhooks: add, read and remove them; list, repeat and test their deliveries."""

import uuid
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Delivery, Webhook
from core.errors import ConflictError, FieldError, InvalidError, NotFoundError, existing
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
    """Subscribe `url` to `events`; the row contains the new secret.

    Raises InvalidError for an invalid URL or unknown event, and ConflictError if there are
    MOST_WEBHOOKS already.
    """
    check_url(url, allow_private=allow_private)
    unknown = sorted(set(events) - set(EVENTS))
    if unknown or not events:
        problem = f"{unknown[0][:40]!r} is unknown" if unknown else "name at least one"
        text = f"{problem}; events are {', '.join(EVENTS)}"
        raise InvalidError(f"invalid events: {text}", [FieldError("events", text)])
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
    """Return a webhook. Raises NotFoundError."""
    webhook = session.get(Webhook, webhook_id)
    return existing(webhook, f"there is no webhook {webhook_id[:40]}")


def list_webhooks(session: Session, *, after: str | None = None, limit: int = 50) -> list[Webhook]:
    """Return webhooks in the order of ids, those after `after`."""
    statement = select(Webhook).order_by(Webhook.id).limit(limit)
    if after is not None:
        statement = statement.where(Webhook.id > after)
    return list(session.scalars(statement))


def remove(session: Session, webhook_id: str) -> None:
    """Remove a webhook and its messages, sent or not. Raises NotFoundError."""
    session.delete(get(session, webhook_id))
    session.execute(delete(Delivery).where(Delivery.webhook_id == webhook_id))
    session.flush()


def deliveries(
    session: Session, webhook_id: str, *, before: int | None = None, limit: int = 50
) -> list[Delivery]:
    """Return the messages of a webhook, sent or not, newest first. Raises NotFoundError."""
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
    """Make a message due again under the same id. Raises NotFoundError."""
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
    """Add a test message for a webhook. Raises NotFoundError."""
    row = message(get(session, webhook_id).id, PING, {"webhook_id": webhook_id})
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def state(row: Delivery) -> Literal["delivered", "waiting", "failed"]:
    """Return whether a message was delivered, is due now or later, or was given up."""
    if row.delivered_at is not None:
        return "delivered"
    return "failed" if row.next_attempt_at is None else "waiting"
