"""The history of jobs: metric points, events and log lines."""

import builtins
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from core.db.tables.base import Base, Big, Created, Key

# SQLite assigns keys only to a column of type INTEGER.
_Increasing = BigInteger().with_variant(Integer(), "sqlite")
_UNMIRRORED = text("mirrored_at IS NULL")


class MetricChunk(Base):
    """Packed metric points of one attempt, written once in the order of `sequence`.

    `points` holds `count` points of the steps `first_step` to `last_step`, packed by
    core.jobs.points; they refer to the metric names in `keys` by index. Within a job `id` grows in
    the order of commits, so a reader may continue after the last id it read.
    """

    __tablename__ = "metric_chunks"
    __table_args__ = (
        Unique("job_id", "attempt", "sequence"),
        Index(None, "job_id", "id"),
        Index("ix_metric_chunks_unmirrored", "job_id", "id",
              sqlite_where=_UNMIRRORED, postgresql_where=_UNMIRRORED),
        {"sqlite_autoincrement": True},
    )  # fmt: skip

    id: Mapped[int] = mapped_column(_Increasing, primary_key=True, autoincrement=True)
    job_id: Mapped[Key] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    sequence: Mapped[int]
    keys: Mapped[list[str]]
    points: Mapped[builtins.bytes] = mapped_column(LargeBinary)
    count: Mapped[int]
    first_step: Mapped[Big]
    last_step: Mapped[Big]
    created_at: Mapped[Created]
    mirrored_at: Mapped[datetime | None]


class JobEvent(Base):
    """An event of a job: its `kind`, the new `status`, the `actor` and the reason."""

    __tablename__ = "job_events"
    __table_args__ = (
        Index(None, "job_id", "id"),
        Index(None, "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Increasing, primary_key=True, autoincrement=True)
    job_id: Mapped[Key] = mapped_column(ForeignKey("jobs.id"))
    at: Mapped[Created]
    kind: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int]
    actor: Mapped[str] = mapped_column(String(255))
    reason: Mapped[dict[str, Any] | None]


class LogLine(Base):
    """A message of an attempt; `level` is `info`, `warning` or `error`.

    `number` counts the lines of the attempt from 1.
    """

    __tablename__ = "log_lines"
    __table_args__ = (
        Unique("job_id", "attempt", "number"),
        Index(None, "job_id", "id"),
        Index(None, "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Increasing, primary_key=True, autoincrement=True)
    job_id: Mapped[Key] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    number: Mapped[int]
    at: Mapped[Created]
    level: Mapped[str] = mapped_column(String(8))
    text: Mapped[str] = mapped_column(Text)
