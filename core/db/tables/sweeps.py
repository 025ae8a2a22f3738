"""Sweeps and their trials."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from chainrule.contract.status import JobStatus, SweepStatus
from core.db.clock import now
from core.db.tables.base import Base, Big, Created, Key, one_of
from core.db.tables.datasets import DatasetVersion
from core.db.types import Timestamp

_OPEN = text("status = 'open'")


class Sweep(Base):
    """A search over the hyperparameters of a job; its trials are jobs.

    `issued` of at most `n_trials` trials were started. `turn` is the fencing token of the processes
    that advance the sweep; the current one holds its lock until `turn_until`. `state` is the state
    of the sampler, `added` are points that the owner added, by trial number. `mirrored_status` is
    the last status that MLflow confirmed. The sweep ran for `spent_ms` and since `running_since`;
    its ended trials trained `epochs_told` epochs; `stopped_by` is the budget that ended it early.
    `leading` has the numbers and costs of the best trials (None: not recorded), `changes` the
    changes by the owner. `outcomes` counts the outcomes of trials and the retries; it never falls.
    """

    __tablename__ = "sweeps"
    __table_args__ = (
        CheckConstraint("issued >= 0 AND issued <= n_trials", name="within_budget"),
        Index(None, "created_at", "id"),
        Index(None, "status"),
    )

    id: Mapped[Key] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    spec: Mapped[dict[str, Any]]
    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"))
    status: Mapped[SweepStatus] = mapped_column(
        one_of(SweepStatus, "status_known"), default=SweepStatus.RUNNING
    )
    n_trials: Mapped[int]
    max_parallel: Mapped[int]
    max_attempts: Mapped[int]
    issued: Mapped[int] = mapped_column(default=0)
    turn: Mapped[int] = mapped_column(default=0)
    turn_until: Mapped[datetime] = mapped_column(Timestamp, default=now())
    state: Mapped[dict[str, Any] | None]
    added: Mapped[dict[str, Any] | None]
    created_at: Mapped[Created]
    finished_at: Mapped[datetime | None]
    spent_ms: Mapped[Big] = mapped_column(default=0)
    running_since: Mapped[datetime | None]
    epochs_told: Mapped[Big] = mapped_column(default=0)
    stopped_by: Mapped[str | None] = mapped_column(String(16))
    leading: Mapped[list[Any] | None]
    changes: Mapped[list[Any] | None]
    mlflow_run_id: Mapped[str | None] = mapped_column(String(64))
    outcomes: Mapped[int] = mapped_column(default=0, server_default="0")
    mirrored_status: Mapped[str | None] = mapped_column(String(16))
    mirror_failures: Mapped[int] = mapped_column(default=0)
    mirror_not_before: Mapped[datetime] = mapped_column(Timestamp, default=now())

    dataset_version: Mapped[DatasetVersion] = relationship(lazy="joined", innerjoin=True)


class Trial(Base):
    """A point of a sweep, numbered from 0, with its job; an invalid point has none.

    `status` is `open` until the sampler has processed the end of the job, then the final status.
    `point` has the values by path, `objectives` the results. A cross-validated trial has a `Fold`
    for each of its jobs instead of `job_id`; its objectives are means and `deviations` the standard
    deviations over the folds. `attributes` is the state of sampler and pruner for the trial,
    `judged_epoch` the last epoch that the pruner saw. `ordinal` is the value of the sweep's
    `outcomes` when the trial ended, None while it is open.
    """

    __tablename__ = "trials"
    __table_args__ = (
        CheckConstraint("(status = 'open') = (told_at IS NULL)", name="told_iff_ended"),
        CheckConstraint(
            "status IN ('open', 'finished', 'failed', 'cancelled', 'pruned')", name="status_known"
        ),
        Index(None, "sweep_id", "status"),
        Index("ix_trials_open", "sweep_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    sweep_id: Mapped[Key] = mapped_column(ForeignKey("sweeps.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("jobs.id"), unique=True)
    status: Mapped[str] = mapped_column(String(16), default="open")
    point: Mapped[dict[str, Any]]
    objectives: Mapped[list[Any] | None]
    deviations: Mapped[list[Any] | None]
    attributes: Mapped[dict[str, Any] | None]
    judged_epoch: Mapped[int] = mapped_column(default=0)
    shown: Mapped[bool] = mapped_column(default=True)
    cause: Mapped[dict[str, Any] | None]
    created_at: Mapped[Created]
    told_at: Mapped[datetime | None]
    ordinal: Mapped[int | None]

    @property
    def open(self) -> bool:
        """Whether the sampler has not processed its end yet."""
        return self.status == "open"

    @property
    def finished(self) -> bool:
        """Whether it ended with valid objectives."""
        return self.status == JobStatus.FINISHED.value


class Fold(Base):
    """The job of a cross-validated trial that validates on fold `fold`."""

    __tablename__ = "folds"
    __table_args__ = (
        ForeignKeyConstraint(["sweep_id", "number"], ["trials.sweep_id", "trials.number"]),
    )

    sweep_id: Mapped[Key] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    fold: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(String(32), ForeignKey("jobs.id"), unique=True)
