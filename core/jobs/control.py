"""What the owner of a job may request: cancel, pause, resume, another priority, other tags."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.db.clock import now
from core.db.tables import Job
from core.errors import ConflictError, FieldError, InvalidError
from core.jobs.history import SCHEDULER, client, log
from core.jobs.queries import get

CHANNEL = "chainrule_jobs"
"""The PostgreSQL channel that receives the id of a job when its owner requests something."""

MOST_TAGS = 64
OWN_TAGS = "chainrule."
"""The beginning of tags that the system sets, such as that of a sweep."""


def cancel(session: Session, job_id: str, *, owner: str = "local") -> Job:
    """End a queued job; request the attempt of a running one to end.

    Cancelling twice is harmless. Raises NotFoundError, ConflictError when the job has already
    ended in another way.
    """
    job = get(session, job_id, lock=True)
    if job.status is JobStatus.CANCELLED:
        return job
    _refuse_ended(job, "cancelled")
    if job.status is JobStatus.RUNNING:
        if job.cancel_requested_at is None:
            job.cancel_requested_at = now()
            _record(session, job, "cancel_requested", owner)
        return job
    job.status = JobStatus.CANCELLED
    job.cancel_requested_at = now()
    job.finished_at = now()
    _record(session, job, "cancelled", owner)
    return job


def prune(session: Session, job_id: str, *, reason: dict[str, Any]) -> Job:
    """End a job because its sweep predicts that it will not be among the best.

    As `cancel`, but its end is `pruned`. Nothing happens to a job that ended or was cancelled.
    """
    job = get(session, job_id, lock=True)
    if job.status.terminal or job.cancel_requested_at is not None:
        return job
    job.prune_requested_at = now()
    return _end_early(session, job, JobStatus.PRUNED, "prune_requested", reason)


def stop(session: Session, job_id: str, *, reason: dict[str, Any]) -> Job:
    """End a job because its sweep has spent its budget. As `prune`, but its end is `cancelled`."""
    job = get(session, job_id, lock=True)
    if job.status.terminal or job.cancel_requested_at is not None:
        return job
    return _end_early(session, job, JobStatus.CANCELLED, "cancel_requested", reason)


def _end_early(
    session: Session, job: Job, status: JobStatus, kind: str, reason: dict[str, Any]
) -> Job:
    """Request the attempt of a running job to end; end a queued job here."""
    job.cancel_requested_at = now()
    log(session, job, kind, SCHEDULER, reason)
    if job.status is not JobStatus.RUNNING:
        job.status, job.cause = status, reason
        job.finished_at = now()
        log(session, job, status.value, SCHEDULER, reason)
    session.flush()
    _notify(session, job)
    return job


def pause(session: Session, job_id: str, *, owner: str = "local") -> Job:
    """Keep a queued job from running; request a running attempt to save a checkpoint and stop.

    Pausing twice is harmless. Raises NotFoundError, ConflictError when the job has ended.
    """
    job = get(session, job_id, lock=True)
    _refuse_ended(job, "paused")
    if job.status is JobStatus.RUNNING and job.pause_requested_at is None:
        job.pause_requested_at = now()
        _record(session, job, "pause_requested", owner)
    elif job.status is JobStatus.QUEUED:
        job.status = JobStatus.PAUSED
        _record(session, job, "paused", owner)
    return job


def resume(session: Session, job_id: str, *, owner: str = "local") -> Job:
    """Queue a paused job again; withdraw a pause that was only requested.

    Resuming a job that is not paused is harmless. Raises NotFoundError, ConflictError when the job
    has ended.
    """
    job = get(session, job_id, lock=True)
    _refuse_ended(job, "resumed")
    if job.status is JobStatus.PAUSED:
        job.status = JobStatus.QUEUED
        job.not_before = now()
        job.published_at = None
        _record(session, job, "resumed", owner)
    elif job.pause_requested_at is not None:
        job.pause_requested_at = None
        _record(session, job, "resumed", owner)
    return job


def set_priority(session: Session, job_id: str, priority: int, *, owner: str = "local") -> Job:
    """Run a job before those of lower `priority`.

    Raises NotFoundError, ConflictError when the job has ended.
    """
    job = get(session, job_id, lock=True)
    _refuse_ended(job, "moved")
    if job.priority != priority:
        reason = {"from": job.priority, "to": priority}
        job.priority = priority
        log(session, job, "moved", client(owner), reason)
        session.flush()
    return job


def describe(
    session: Session,
    job_id: str,
    *,
    note: str | None = None,
    tags: Mapping[str, str | None] | None = None,
) -> Job:
    """Change the note of a job, if given, and the given tags, in any state.

    A tag of None is removed; tags that are not named stay. Raises NotFoundError, and InvalidError
    for more than 64 tags and for tags that the system sets.
    """
    job = get(session, job_id, lock=True)
    changes = dict(tags or {})
    for key in changes:
        if key.startswith(OWN_TAGS):
            message = f"tags that begin with {OWN_TAGS} are set by the system: use another name"
            raise InvalidError(message, [FieldError(f"tags.{key}", message)])
    remaining = {k: v for k, v in {**job.tags, **changes}.items() if v is not None}
    if len(remaining) > MOST_TAGS:
        message = f"a job has {MOST_TAGS} tags at most"
        raise InvalidError(message, [FieldError("tags", message)])
    removed = {*(job.removed_tags or ()), *job.tags} - remaining.keys()
    job.tags, job.removed_tags = remaining, sorted(removed) or None
    if note is not None:
        job.note = note or None
    job.edits += 1
    if job.mlflow_run_id is not None:
        job.mirrored_status = None
    session.flush()
    return job


def _refuse_ended(job: Job, request: str) -> None:
    if job.status.terminal:
        raise ConflictError(f"job {job.id} is {job.status} and cannot be {request} any more")


def _record(session: Session, job: Job, kind: str, owner: str) -> None:
    log(session, job, kind, client(owner))
    session.flush()
    _notify(session, job)


def _notify(session: Session, job: Job) -> None:
    if session.get_bind().dialect.name == "postgresql":
        # Delivered at the commit, and only then.
        session.execute(select(func.pg_notify(CHANNEL, job.id)))
