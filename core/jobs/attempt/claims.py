"""Claim a job for an attempt and keep the claim by renewing its lease."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.db.clock import later, now
from core.db.tables import Attempt, Checkpoint, Job
from core.errors import SupersededError
from core.jobs.eligibility import eligible
from core.jobs.history import log, worker
from core.jobs.queries import get, own
from core.status import JobKind, JobStatus


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint in the store: its key, the SHA-256 and size of its bytes, how far it is."""

    id: str
    key: str
    digest: str
    bytes: int
    step: int
    epoch: int


@dataclass(frozen=True)
class Claim:
    """What a worker needs to do a job that it owns as `attempt` (the fencing token).

    `claimed_at` is the database's time: moments of events are it plus the monotonic time since.
    `checkpoint` is None when training starts from the beginning; `model_job_id` is the job whose
    model is used, where none is trained.
    """

    job_id: str
    attempt: int
    kind: JobKind
    owner: str
    spec: dict[str, Any]
    dataset: str
    dataset_version: int
    dataset_digest: str
    dataset_schema: dict[str, Any]
    experiment: str
    name: str | None
    tags: dict[str, str]
    mlflow_run_id: str | None
    checkpoint: SavedCheckpoint | None
    progress: dict[str, Any] | None
    node: str
    worker: str
    claimed_at: datetime
    stack_key: str | None = None
    model_job_id: str | None = None


@dataclass(frozen=True)
class Renewal:
    """What the owner of the job wants of a running attempt."""

    cancel_requested: bool
    pause_requested: bool


def claim(
    session: Session,
    job_id: str,
    *,
    node: str,
    worker: str,
    lease_seconds: float,
    pid: int | None = None,
    versions: dict[str, Any] | None = None,
) -> Claim | None:
    """Make the next attempt at a waiting job and own it for `lease_seconds`.

    None when the job does not wait (any more, or not yet, or not for this worker: see `eligible`)
    or is unknown: drop the message. Of many claims at one moment exactly one is given.
    """
    taken = (
        update(Job)
        .where(
            Job.id == job_id,
            Job.status == JobStatus.QUEUED,
            Job.not_before <= now(),
            eligible(node, worker),
        )
        .values(
            status=JobStatus.RUNNING,
            attempt=Job.attempt + 1,
            node=node,
            worker=worker,
            lease_until=later(lease_seconds),
            heartbeat_at=now(),
            started_at=func.coalesce(Job.started_at, now()),
            published_at=None,
        )
        .execution_options(synchronize_session=False)
        .returning(Job.attempt)
    )
    attempt = session.scalar(taken)
    if attempt is None:
        return None
    job = get(session, job_id, lock=True)
    checkpoint = session.get(Checkpoint, job.checkpoint_id) if job.checkpoint_id else None
    begin(session, job, checkpoint, pid, versions)
    session.flush()
    return described(job, checkpoint, session.execute(select(now())).scalar_one())


def renew(session: Session, claim: Claim, lease_seconds: float) -> Renewal:
    """Own the job for `lease_seconds` from now; says whether its owner wants it to stop.

    Raises SupersededError when the job is no longer this attempt's: stop at once, write nothing.
    """
    statement = (
        update(Job)
        .where(
            Job.id == claim.job_id,
            Job.attempt == claim.attempt,
            Job.status == JobStatus.RUNNING,
        )
        .values(lease_until=later(lease_seconds), heartbeat_at=now())
        .execution_options(synchronize_session=False)
        .returning(Job.cancel_requested_at, Job.pause_requested_at)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        raise SupersededError(f"attempt {claim.attempt} no longer owns job {claim.job_id}")
    return Renewal(row[0] is not None, row[1] is not None)


def wanted(session: Session, claim: Claim) -> Renewal:
    """What the job's owner wants, without renewing: cheap enough to be asked every half second.

    Raises SupersededError as `renew` does.
    """
    statement = select(Job.cancel_requested_at, Job.pause_requested_at).where(
        Job.id == claim.job_id, Job.attempt == claim.attempt, Job.status == JobStatus.RUNNING
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        raise SupersededError(f"attempt {claim.attempt} no longer owns job {claim.job_id}")
    return Renewal(row[0] is not None, row[1] is not None)


def resumed(session: Session, job_id: str, attempt: int, step: int) -> None:
    """Say that `attempt` really went on from `step`, an older checkpoint than its claim named.

    To be told before its first metrics, when the newest checkpoint turned out unreadable (0: from
    the beginning). Raises SupersededError.
    """
    own(session, job_id, attempt)
    session.execute(
        update(Attempt)
        .where(Attempt.job_id == job_id, Attempt.number == attempt)
        .values(resumed_from_step=step)
    )


def begin(
    session: Session,
    job: Job,
    checkpoint: Checkpoint | None,
    pid: int | None,
    versions: dict[str, Any] | None,
) -> None:
    """Note on a job just taken, and in its history, that an attempt begins; the caller flushes."""
    step = checkpoint.step if checkpoint else 0
    epoch = checkpoint.epoch if checkpoint else 0
    node, name = job.node or "", job.worker or ""
    session.add(
        Attempt(
            job_id=job.id,
            number=job.attempt,
            node=node,
            worker=name,
            pid=pid,
            versions=versions,
            resumed_from_step=step,
        )
    )
    job.progress_step = step
    if job.progress is not None:
        job.progress = {**job.progress, "step": step, "epoch": epoch}
    log(session, job, "claimed", worker(node, name), {"resumed_from_step": step})


def described(job: Job, checkpoint: Checkpoint | None, moment: datetime) -> Claim:
    """The claim on a job that was taken at `moment`, the database's time."""
    version = job.dataset_version
    return Claim(
        job_id=job.id,
        attempt=job.attempt,
        kind=job.kind,
        owner=job.owner,
        spec=job.spec,
        dataset=version.dataset.name,
        dataset_version=version.version,
        dataset_digest=version.digest,
        dataset_schema=version.schema,
        experiment=job.experiment.name,
        name=job.name,
        tags=job.tags,
        mlflow_run_id=job.mlflow_run_id,
        checkpoint=_saved(checkpoint) if checkpoint else None,
        progress=job.progress,
        node=job.node or "",
        worker=job.worker or "",
        claimed_at=moment,
        stack_key=job.stack_key,
        model_job_id=job.model_job_id,
    )


def _saved(row: Checkpoint) -> SavedCheckpoint:
    return SavedCheckpoint(row.id, row.key, row.digest, row.bytes, row.step, row.epoch)
