"""Claim jobs for an attempt, one job or a stack, and keep the claims by renewing their leases."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from chainrule.contract.status import JobKind, JobStatus
from core.db.clock import later, now
from core.db.tables import Attempt, Checkpoint, Job
from core.jobs.attempt.ownership import Owned, own, still_owned
from core.jobs.eligibility import eligible
from core.jobs.history import log, worker
from core.spec.version import SPEC_VERSION

_SIGNALS = (Job.id, Job.cancel_requested_at, Job.pause_requested_at)


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

    `claimed_at` is the database's time; the moment of an event is `claimed_at` plus the monotonic
    time since. `checkpoint` is None when training starts from the beginning; `model_job_id` is the
    job whose model an evaluation or a scoring uses.
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

    @property
    def owned(self) -> Owned:
        """The one job of this claim, for use cases that take several."""
        return {self.job_id: self.attempt}


@dataclass(frozen=True)
class Signals:
    """What the owner of a job asks of its running attempt."""

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
    """Start the next attempt at a queued job and own it for `lease_seconds`.

    None when the job is unknown, not queued, not due yet, or not for this worker (see `eligible`):
    drop the message. Of several claims at one moment exactly one succeeds.
    """
    claims = _take(
        session,
        Job.id == job_id,
        eligible(node, worker),
        node=node,
        worker=worker,
        lease_seconds=lease_seconds,
        pid=pid,
        versions=versions,
    )
    return claims[0] if claims else None


def stackable(session: Session, stack_key: str) -> int:
    """How many jobs with this stack key could be claimed now."""
    return session.execute(
        select(func.count()).select_from(_stackable(stack_key).subquery())
    ).scalar_one()


def claim_stack(
    session: Session,
    first: Claim,
    most: int,
    *,
    lease_seconds: float,
    pid: int | None = None,
    versions: dict[str, Any] | None = None,
) -> list[Claim]:
    """Claim up to `most` more jobs that train in one stack with the claimed one, oldest first.

    Only jobs without a checkpoint: a stack starts from the beginning.
    """
    if first.stack_key is None or first.checkpoint is not None or most < 1:
        return []
    mine = eligible(first.node, first.worker)
    job_ids = list(session.scalars(_stackable(first.stack_key).where(mine).limit(most)))
    if not job_ids:
        return []
    return _take(
        session,
        Job.id.in_(job_ids),
        node=first.node,
        worker=first.worker,
        lease_seconds=lease_seconds,
        pid=pid,
        versions=versions,
    )


def renew(session: Session, owned: Owned, lease_seconds: float) -> dict[str, Signals]:
    """Own these jobs for `lease_seconds` from now; by job id what its owner asks for.

    A job that is missing from the answer belongs to another attempt: write nothing more for it.
    """
    statement = (
        update(Job)
        .where(*still_owned(owned))
        .values(lease_until=later(lease_seconds), heartbeat_at=now())
        .execution_options(synchronize_session=False)
        .returning(*_SIGNALS)
    )
    return _signals(session, statement)


def signals(session: Session, owned: Owned) -> dict[str, Signals]:
    """As `renew`, without renewing: cheap enough for several calls a second."""
    return _signals(session, select(*_SIGNALS).where(*still_owned(owned)))


def resumed(session: Session, job_id: str, attempt: int, step: int) -> None:
    """Record that `attempt` resumed from `step`, an older checkpoint than its claim names.

    Call it before the attempt's first metrics, when the newest checkpoint is unreadable (0: from
    the beginning). Raises SupersededError.
    """
    own(session, job_id, attempt)
    session.execute(
        update(Attempt)
        .where(Attempt.job_id == job_id, Attempt.number == attempt)
        .values(resumed_from_step=step)
    )


def _take(
    session: Session,
    *chosen: Any,
    node: str,
    worker: str,
    lease_seconds: float,
    pid: int | None,
    versions: dict[str, Any] | None,
) -> list[Claim]:
    """Start attempts at those of the `chosen` jobs that are queued and due, oldest first."""
    taken = (
        update(Job)
        .where(*chosen, Job.status == JobStatus.QUEUED, Job.not_before <= now())
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
        .returning(Job.id)
    )
    job_ids = list(session.scalars(taken))
    if not job_ids:
        return []
    claimed = (
        select(Job)
        .where(Job.id.in_(job_ids))
        .order_by(Job.created_at, Job.id)
        .execution_options(populate_existing=True)
    )
    jobs = list(session.scalars(claimed))
    resumable = _checkpoints(session, jobs)
    for job in jobs:
        _begin(session, job, resumable.get(job.id), pid, versions)
    session.flush()
    claimed_at = session.execute(select(now())).scalar_one()
    return [_claim(job, resumable.get(job.id), claimed_at) for job in jobs]


def _checkpoints(session: Session, jobs: list[Job]) -> dict[str, Checkpoint]:
    """The checkpoints that these jobs resume from, by job id."""
    ids = [job.checkpoint_id for job in jobs if job.checkpoint_id is not None]
    rows = session.scalars(select(Checkpoint).where(Checkpoint.id.in_(ids))) if ids else ()
    return {row.job_id: row for row in rows}


def _begin(
    session: Session,
    job: Job,
    checkpoint: Checkpoint | None,
    pid: int | None,
    versions: dict[str, Any] | None,
) -> None:
    """Add the row of a new attempt and the event of its claim; the caller flushes."""
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


def _claim(job: Job, checkpoint: Checkpoint | None, claimed_at: datetime) -> Claim:
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
        claimed_at=claimed_at,
        stack_key=job.stack_key,
        model_job_id=job.model_job_id,
    )


def _saved(row: Checkpoint) -> SavedCheckpoint:
    return SavedCheckpoint(row.id, row.key, row.digest, row.bytes, row.step, row.epoch)


def _stackable(stack_key: str) -> Select[str]:
    """The ids of queued jobs of this key that are due and start from the beginning."""
    return (
        select(Job.id)
        .where(
            Job.stack_key == stack_key,
            Job.status == JobStatus.QUEUED,
            Job.not_before <= now(),
            Job.spec_version <= SPEC_VERSION,
            Job.checkpoint_id.is_(None),
        )
        .order_by(Job.priority.desc(), Job.created_at, Job.id)
    )


def _signals(session: Session, statement: Any) -> dict[str, Signals]:
    return {
        job_id: Signals(cancelled_at is not None, paused_at is not None)
        for job_id, cancelled_at, paused_at in session.execute(statement)
    }
