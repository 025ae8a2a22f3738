"""Webhooks and the deliveries of their messages."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.tables.base import Base, Created, Key

_WAITING = text("next_attempt_at IS NOT NULL")


class Webhook(Base):
    """A URL that receives `events`, signed with `secret`."""

    __tablename__ = "webhooks"

    id: Mapped[Key] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(String(2048))
    secret: Mapped[str] = mapped_column(String(128))
    events: Mapped[list[str]]
    description: Mapped[str] = mapped_column(String(4096))
    owner: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Created]


class Delivery(Base):
    """One message to a webhook, added in the transaction of the change that it reports.

    Every attempt uses the same `message_id`. The next attempt is due at `next_attempt_at`; None
    means delivered (`delivered_at`) or abandoned. There is no foreign key, so that deleting a
    webhook cannot break the end of a job; deliveries without webhook are deleted.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("attempts >= 0", name="attempts_from_zero"),
        Index("ix_webhook_deliveries_due", "next_attempt_at",
              sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index(None, "webhook_id", "id"),
        Index(None, "created_at"),
        {"sqlite_autoincrement": True},
    )  # fmt: skip

    # SQLite assigns keys only to a column of type INTEGER.
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
