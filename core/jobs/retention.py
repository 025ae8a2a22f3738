"""Files of ended jobs that are no longer needed: listed, then erased one by one.

The rows stay and record what there was.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from chainrule.contract.status import TERMINAL, JobKind, JobStatus
from core.data.storage.stores import Store
from core.db.clock import later
from core.db.tables import Checkpoint, Job, MetricChunk, ModelVersion
from core.errors import NotFoundError
from core.jobs.attempt.checkpoints import forget_checkpoint
from core.jobs.curves.retention import detail_bytes, thin
from core.jobs.curves.simplification import MOST_POINTS

_DAY = 86_400.0


@dataclass(frozen=True)
class Rules:
    """For how many days after its end a job's files are kept; None: for ever.

    A model that is registered, under any name and version, or that a queued or running job uses, is
    always kept.
    """

    checkpoints_days: float | None = 7.0
    models_days: float | None = None
    predictions_days: float | None = None
    metrics_days: float | None = None
    """Curves with more than a thousand points keep their outline."""
    mirrored_only: bool = False
    """Keep models and curves that are not mirrored to MLflow yet."""


@dataclass(frozen=True)
class Disposable:
    """A file in the store that may be erased, or the detail of a job's curves, without a `key`.

    `checkpoint_id` is the file's row, if it has one.
    """

    kind: Literal["checkpoint", "model", "predictions", "metrics"]
    job_id: str
    key: str
    bytes: int
    checkpoint_id: str | None = None


def disposable(session: Session, store: Store, rules: Rules) -> list[Disposable]:
    """What `rules` allow to erase and still exists. Changes nothing."""
    return [
        *_checkpoints(session, rules),
        *_models(session, store, rules),
        *_predictions(session, store, rules),
        *_metrics(session, rules),
    ]


def erase(session: Session, store: Store, item: Disposable) -> bool:
    """Delete an item; False when it is needed by now.

    Raises UnavailableError when the store does not answer.
    """
    # The job's row is locked, so its model cannot be registered at the same moment.
    session.scalars(select(Job.id).where(Job.id == item.job_id).with_for_update()).one()
    if item.kind == "metrics":
        thin(session, item.job_id)
        return True
    if item.checkpoint_id is not None:
        forget_checkpoint(session, item.checkpoint_id)
    elif item.kind == "model" and session.scalar(select(_needed(item.job_id))):
        return False
    store.delete(item.key)
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
    statement = (
        select(Job)
        .where(Job.status == JobStatus.FINISHED, ~_needed(Job.id))
        .where(Job.finished_at <= later(-_DAY * rules.models_days))
        .order_by(Job.finished_at, Job.id)
    )
    if rules.mirrored_only:
        statement = statement.where(Job.mirrored_status == JobStatus.FINISHED.value)
    yield from _files(session, store, statement, "model")


def _predictions(session: Session, store: Store, rules: Rules) -> Iterator[Disposable]:
    if rules.predictions_days is None:
        return
    statement = (
        select(Job)
        .where(Job.status == JobStatus.FINISHED, Job.kind == JobKind.SCORE)
        .where(Job.finished_at <= later(-_DAY * rules.predictions_days))
        .order_by(Job.finished_at, Job.id)
    )
    yield from _files(session, store, statement, "predictions")


def _files(
    session: Session, store: Store, statement: Select[Job], kind: Literal["model", "predictions"]
) -> Iterator[Disposable]:
    """The files that the results of these jobs name and the store still has."""
    for job in session.scalars(statement):
        key = (job.result or {}).get(f"{kind}_key")
        if key is None:
            continue
        try:
            yield Disposable(kind, job.id, key, store.size(key))
        except NotFoundError:
            continue


def _needed(job_id: Any) -> ColumnElement[bool]:
    """Whether the model of a job is registered, or used by a job that has not ended."""
    user = aliased(Job)
    registered = exists().where(ModelVersion.job_id == job_id)
    used = exists().where(user.model_job_id == job_id, user.status.not_in(TERMINAL))
    return or_(registered, used)
