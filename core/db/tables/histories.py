"""What happened to a job: packed metric points, every change of its state, what was said of it."""

import builtins
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from core.db.tables.base import Base, Big, Created, Key

# SQLite numbers rows by itself only when the key is called INTEGER.
_Increasing = BigInteger().with_variant(Integer(), "sqlite")
_UNMIRRORED = text("mirrored_at IS NULL")


class MetricChunk(Base):
    """Metric points of one attempt, packed: a chunk is written once, in order of `sequence`.

    `keys` are the names that the points index; `points` is what core.jobs.points packed, `count` of
    them, of the steps `first_step` to `last_step`. `id` grows in the order of commits within a job,
    so a reader may continue after the last one it saw.
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
    """One change of a job: what (`kind`), to which status, who did it (`actor`) and why."""

    __tablename__ = "job_events"
    __table_args__ = (Index(None, "job_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_Increasing, primary_key=True, autoincrement=True)
    job_id: Mapped[Key] = mapped_column(ForeignKey("jobs.id"))
    at: Mapped[Created]
    kind: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int]
    actor: Mapped[str] = mapped_column(String(255))
    reason: Mapped[dict[str, Any] | None]


class LogLine(Base):
    """Something an attempt said for people to read; `level` is `info`, `warning` or `error`.

    `number` counts the attempt's lines from 1.
    """

    __tablename__ = "log_lines"
    __table_args__ = (
        Unique("job_id", "attempt", "number"),
        Index(None, "job_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Increasing, primary_key=True, autoincrement=True)
    job_id: Mapped[Key] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    number: Mapped[int]
    at: Mapped[Created]
    level: Mapped[str] = mapped_column(String(8))
    text: Mapped[str] = mapped_column(Text)
