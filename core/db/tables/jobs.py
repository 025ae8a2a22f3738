"""Jobs."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from chainrule.contract.status import JobKind, JobStatus
from core.db.clock import now
from core.db.tables.base import Base, Big, Created, Key, one_of
from core.db.tables.datasets import DatasetVersion
from core.db.tables.experiments import Experiment
from core.db.types import Timestamp

_QUEUED = text("status = 'queued'")
_RUNNING = text("status = 'running'")
_DETAILED = text("finished_at IS NOT NULL AND thinned_at IS NULL")
_UNMIRRORED = text(
    "(mlflow_run_id IS NOT NULL OR finished_at IS NOT NULL OR mirrored_status IS NOT NULL)"
    " AND (mirrored_status IS NULL OR mirrored_status <> status)"
)


class Job(Base):
    """A job: an immutable spec and its state. The row is the source of truth.

    `kind` says whether the job trains, evaluates or scores; the latter two use the model of
    `model_job_id`. `attempt` is the number of attempts and the fencing token: a write names its
    attempt and is refused if the row has a higher one or is not running. Jobs with a higher
    `priority` start first. `infra_failures` counts the attempts lost since the checkpoint last
    advanced. `progress` has epoch, step, last and best metrics; `result` has weights_digest, model
    key, metrics and reason; `cause` explains a failure. Jobs with equal `stack_key` may be trained
    as a stack. Workers need at least `spec_version` to read the spec. Since
    `thinned_at` the curves are known to be short. `mirrored_status` is the last status that MLflow
    confirmed, or `begun` while a run may exist that `mlflow_run_id` does not name. `edits` counts
    the changes of `tags` and `note` by the owner; `removed_tags` are keys that MLflow may still
    show.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "(status = 'running') = (lease_until IS NOT NULL)", name="lease_iff_running"
        ),
        CheckConstraint(
            "(status IN ('finished', 'failed', 'cancelled', 'pruned')) = (finished_at IS NOT NULL)",
            name="end_iff_terminal",
        ),
        CheckConstraint("attempt >= 0", name="attempt_from_zero"),
        CheckConstraint("(kind = 'train') = (model_job_id IS NULL)", name="model_iff_used"),
        Index("ix_jobs_waiting", "queue", "priority", "created_at",
              sqlite_where=_QUEUED, postgresql_where=_QUEUED),
        Index("ix_jobs_stacks", "stack_key", "created_at",
              sqlite_where=_QUEUED, postgresql_where=_QUEUED),
        Index("ix_jobs_leased", "lease_until", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
        Index("ix_jobs_unmirrored", "created_at",
              sqlite_where=_UNMIRRORED, postgresql_where=_UNMIRRORED),
        Index("ix_jobs_detailed", "finished_at",
              sqlite_where=_DETAILED, postgresql_where=_DETAILED),
        Index(None, "created_at", "id"),
        Index(None, "status", "created_at", "id"),
        Index(None, "experiment_id", "created_at", "id"),
        Index(None, "model_job_id", "dataset_version_id"),
    )  # fmt: skip

    id: Mapped[Key] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    kind: Mapped[JobKind] = mapped_column(one_of(JobKind, "kind_known"), default=JobKind.TRAIN)
    model_job_id: Mapped[str | None] = mapped_column(String(32))
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"))
    name: Mapped[str | None] = mapped_column(String(255))
    tags: Mapped[dict[str, str]]
    removed_tags: Mapped[list[str] | None]
    note: Mapped[str | None] = mapped_column(Text)
    edits: Mapped[int] = mapped_column(default=0, server_default="0")
    spec: Mapped[dict[str, Any]]
    spec_hash: Mapped[str] = mapped_column(String(64))
    spec_version: Mapped[int] = mapped_column(default=1, server_default="1")
    queue: Mapped[str] = mapped_column(String(32))
    priority: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    retry_of: Mapped[str | None] = mapped_column(String(32))
    stack_key: Mapped[str | None] = mapped_column(String(64))

    status: Mapped[JobStatus] = mapped_column(
        one_of(JobStatus, "status_known"), default=JobStatus.QUEUED
    )
    attempt: Mapped[int] = mapped_column(default=0)
    node: Mapped[str | None] = mapped_column(String(255))
    worker: Mapped[str | None] = mapped_column(String(255))
    lease_until: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    not_before: Mapped[datetime] = mapped_column(Timestamp, default=now())
    published_at: Mapped[datetime | None]
    publish_count: Mapped[int] = mapped_column(default=0)
    cancel_requested_at: Mapped[datetime | None]
    pause_requested_at: Mapped[datetime | None]
    prune_requested_at: Mapped[datetime | None]

    infra_failures: Mapped[int] = mapped_column(default=0)
    lost_at_step: Mapped[Big | None]
    progress_step: Mapped[Big] = mapped_column(default=0)
    progress: Mapped[dict[str, Any] | None]
    checkpoint_id: Mapped[str | None] = mapped_column(String(32))
    cause: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    insights: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)

    created_at: Mapped[Created]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    thinned_at: Mapped[datetime | None]

    mlflow_run_id: Mapped[str | None] = mapped_column(String(64))
    mirrored_status: Mapped[str | None] = mapped_column(String(16))
    mirror_failures: Mapped[int] = mapped_column(default=0)
    mirror_not_before: Mapped[datetime] = mapped_column(Timestamp, default=now())

    experiment: Mapped[Experiment] = relationship(lazy="joined", innerjoin=True)
    # Loaded once for all rows of a query: wide schemas dominated the time of a join.
    dataset_version: Mapped[DatasetVersion] = relationship(lazy="selectin")
