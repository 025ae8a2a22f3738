"""Who wants to be told of what happens, and what is still to be told them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.tables.base import Base, Created, Key

_WAITING = text("next_attempt_at IS NOT NULL")


class Webhook(Base):
    """An address that is told of `events`; `secret` signs what it gets and is never shown again."""

    __tablename__ = "webhooks"

    id: Mapped[Key] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(String(2048))
    secret: Mapped[str] = mapped_column(String(128))
    events: Mapped[list[str]]
    description: Mapped[str] = mapped_column(String(4096))
    owner: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Created]


class Delivery(Base):
    """One message to one webhook, written by the transaction whose change it tells of.

    `message_id` stays the same however often it is sent. It is due at `next_attempt_at`; none: it
    has arrived (`delivered_at`) or was given up. There is no foreign key: a webhook that goes away
    must never break the end of a job; what is left for it is not sent and soon deleted.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("attempts >= 0", name="attempts_from_zero"),
        Index("ix_webhook_deliveries_due", "next_attempt_at",
              sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index(None, "webhook_id", "id"),
        {"sqlite_autoincrement": True},
    )  # fmt: skip

    # SQLite numbers rows by itself only when the key is called INTEGER.
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    webhook_id: Mapped[Key]
    message_id: Mapped[Key]
    event: Mapped[str] = mapped_column(String(32))
    data: Mapped[dict[str, Any]]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[Created]
    delivered_at: Mapped[datetime | None]
