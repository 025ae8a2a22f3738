"""Runs in MLflow that outlive their jobs and sweeps."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.clock import now
from core.db.tables.base import Base, Created, Key
from core.db.types import Timestamp


class DeletedRun(Base):
    """The run of a deleted job or sweep, which MLflow may still show.

    `id` is that of the job or sweep, `tag` the tag by which MLflow knows it. `run_id` is None if no
    mirror recorded a run. It is deleted in MLflow after `not_before`, when no mirror can be at it.
    """

    __tablename__ = "deleted_runs"

    id: Mapped[Key] = mapped_column(primary_key=True)
    tag: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[Created]
    not_before: Mapped[datetime] = mapped_column(Timestamp, default=now())
