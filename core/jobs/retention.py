"""What jobs left behind and nobody needs any more: found, then erased one by one.

Rows stay: they tell what there was. Only the bytes go.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.data.stores import Store
from core.db.clock import later
from core.db.tables import Checkpoint, Job, MetricChunk, ModelVersion
from core.errors import NotFoundError
from core.jobs.detail import detail_bytes, thin
from core.jobs.effects import forget_checkpoint
from core.jobs.thinning import MOST_POINTS
from core.status import TERMINAL, JobStatus

_DAY = 86_400.0


@dataclass(frozen=True)
class Rules:
    """After how many days since a job ended its files are not needed; None: they are kept.

    A model that is registered, under whatever name and version, is always kept.
    """

    checkpoints_days: float | None = 7.0
    models_days: float | None = None
    metrics_days: float | None = None
    """Of curves with more than a thousand points the outline stays."""
    mirrored_only: bool = False
    """Keep models and curves that MLflow does not have yet."""


@dataclass(frozen=True)
class Disposable:
    """A file in the store that may go, or the detail of a job's curves, which has no `key`.

    `checkpoint_id` is the file's row, if it has one.
    """

    kind: Literal["checkpoint", "model", "metrics"]
    job_id: str
    key: str
    bytes: int
    checkpoint_id: str | None = None


def disposable(session: Session, store: Store, rules: Rules) -> list[Disposable]:
    """What may go by `rules`, and is there. Changes nothing."""
    return [
        *_checkpoints(session, rules),
        *_models(session, store, rules),
        *_metrics(session, rules),
    ]


def erase(session: Session, store: Store, one: Disposable) -> bool:
    """Delete it; False when it came to be needed since it was found.

    Raises UnavailableError when the store does not answer.
    """
    # The job's row is locked: nobody registers its model at the same moment.
    session.scalars(select(Job.id).where(Job.id == one.job_id).with_for_update()).one()
    if one.kind == "metrics":
        thin(session, one.job_id)
        return True
    if one.checkpoint_id is not None:
        forget_checkpoint(session, one.checkpoint_id)
    else:
        statement = select(ModelVersion.version).where(ModelVersion.job_id == one.job_id).limit(1)
        if session.scalar(statement) is not None:
            return False
    store.delete(one.key)
    return True


def _checkpoints(session: Session, rules: Rules) -> Iterator[Disposable]:
    if rules.checkpoints_days is None:
        return
    statement = (
        select(Checkpoint)
        .join(Job, Job.id == Checkpoint.job_id)
        .where(Checkpoint.erased_at.is_(None), Job.status.in_(TERMINAL))
        .where(Job.finished_at <= later(-_DAY * rules.checkpoints_days))
        .order_by(Checkpoint.created_at, Checkpoint.id)
    )
    for row in session.scalars(statement):
        yield Disposable("checkpoint", row.job_id, row.key, row.bytes, row.id)


def _metrics(session: Session, rules: Rules) -> Iterator[Disposable]:
    if rules.metrics_days is None:
        return
    many = (
        select(MetricChunk.job_id)
        .group_by(MetricChunk.job_id)
        .having(func.sum(MetricChunk.count) > MOST_POINTS)
    )
    statement = (
        select(Job.id)
        .where(Job.status.in_(TERMINAL), Job.id.in_(many))
        .where(Job.finished_at <= later(-_DAY * rules.metrics_days))
        .order_by(Job.finished_at, Job.id)
    )
    if rules.mirrored_only:
        statement = statement.where(Job.mirrored_status == Job.status)
    for job_id in session.scalars(statement).all():
        if size := detail_bytes(session, job_id):
            yield Disposable("metrics", job_id, "", size)


def _models(session: Session, store: Store, rules: Rules) -> Iterator[Disposable]:
    if rules.models_days is None:
        return
    registered = select(ModelVersion.job_id)
    statement = (
        select(Job)
        .where(Job.status == JobStatus.FINISHED, Job.id.not_in(registered))
        .where(Job.finished_at <= later(-_DAY * rules.models_days))
        .order_by(Job.finished_at, Job.id)
    )
    if rules.mirrored_only:
        statement = statement.where(Job.mirrored_status == JobStatus.FINISHED.value)
    for job in session.scalars(statement):
        key = (job.result or {}).get("model_key")
        if key is None:
            continue
        try:
            yield Disposable("model", job.id, key, store.size(key))
        except NotFoundError:
            continue
