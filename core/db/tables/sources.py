"""The source code that jobs were submitted from."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.clock import now
from core.db.tables.base import Base, Created
from core.db.types import Timestamp

_UNUSED = text("used_at IS NULL")


class Source(Base):
    """A SourceSpec, stored once by the digest of its content.

    `document` is loaded only on access; the other columns are shown as tags in MLflow.
    It was sent last at `sent_at`. Since `used_at` a job or sweep names it; None: none does.
    After `erased_at` the row has only its digest and commit left, so that jobs can still name it.
    """

    __tablename__ = "sources"
    __table_args__ = (
        Index("ix_sources_unused", "sent_at", sqlite_where=_UNUSED, postgresql_where=_UNUSED),
    )

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    repository: Mapped[str] = mapped_column(String(2048))
    commit: Mapped[str] = mapped_column(String(64))
    branch: Mapped[str] = mapped_column(String(2048))
    command: Mapped[str] = mapped_column(String(2048))
    dirty: Mapped[bool]
    document: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    created_at: Mapped[Created]
    sent_at: Mapped[datetime | None] = mapped_column(Timestamp, default=now())
    used_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
