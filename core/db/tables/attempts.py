"""Attempts at jobs, and their checkpoints."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text, true
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from chainrule.contract.status import AttemptStatus
from core.db.tables.base import Base, Big, Created, Key, one_of

_KEPT = text("erased_at IS NULL")


class Attempt(Base):
    """One attempt at a job by a worker: where it ran, with which versions, how it ended and why.

    `number` starts at 1 and is the fencing token. The attempt started from the checkpoint at
    `resumed_from_step` (0: from the beginning), which supersedes the later steps of earlier
    attempts. `cause` has `kind`, `message` and details of a failure. A lost attempt that is not
    `charged` does not count against `max_attempts`.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("number >= 1", name="number_from_one"),
        CheckConstraint("(status = 'running') = (ended_at IS NULL)", name="end_iff_ended"),
        Index(None, "node", "started_at"),
    )

    job_id: Mapped[Key] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(String(255))
    worker: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int | None]
    versions: Mapped[dict[str, Any] | None]
    started_at: Mapped[Created]
    ended_at: Mapped[datetime | None]
    status: Mapped[AttemptStatus] = mapped_column(
        one_of(AttemptStatus, "status_known"), default=AttemptStatus.RUNNING
    )
    cause: Mapped[dict[str, Any] | None]
    exit_code: Mapped[int | None]
    peak_memory_bytes: Mapped[Big | None]
    resumed_from_step: Mapped[Big] = mapped_column(default=0)
    charged: Mapped[bool] = mapped_column(default=True, server_default=true())


class Checkpoint(Base):
    """A file in the store from which training resumes; the row is added after the upload.

    `step` and `epoch` are the progress, `digest` is the SHA-256 of the file. The job's
    `checkpoint_id` refers to the checkpoint to resume from, `best` marks the best network.
    """

    __tablename__ = "checkpoints"
    __table_args__ = (
        Unique("job_id", "attempt", "step"),
        Index("ix_checkpoints_kept", "created_at", sqlite_where=_KEPT, postgresql_where=_KEPT),
    )

    id: Mapped[Key] = mapped_column(primary_key=True)
    job_id: Mapped[Key] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    step: Mapped[Big]
    epoch: Mapped[Big]
    key: Mapped[str] = mapped_column(String(1024))
    bytes: Mapped[Big]
    digest: Mapped[str] = mapped_column(String(64))
    best: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Created]
    erased_at: Mapped[datetime | None]
