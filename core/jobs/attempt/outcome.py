"""How an attempt ends: it finishes its job, gives it back, or is lost."""

from itertools import takewhile
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.clock import later, now
from core.db.tables import Attempt, Checkpoint, Job
from core.errors import SupersededError
from core.jobs.eligibility import untried_elsewhere
from core.jobs.history import log, worker
from core.jobs.queries import get, own
from core.status import AttemptStatus, JobStatus

OUT_OF_MEMORY = "out_of_memory"
"""The `kind` of a cause whose job needs more memory than there was."""

DATA_MISSING = "data_missing"
"""The `kind` of a cause whose job needs bytes that the store answered it does not have."""

DATA_DAMAGED = "data_damaged"
"""The `kind` of a cause whose job needs bytes that are others than their digest says."""

DATA_TOO_LARGE = "data_too_large"
"""The `kind` of a cause whose job needs more bytes at once than a machine's cache may hold."""

_MOST_ALIKE = 2
_NAMED = frozenset({OUT_OF_MEMORY, DATA_MISSING, DATA_DAMAGED, DATA_TOO_LARGE})
"""Causes that a job fails by, and not as poison, once `_MOST_ALIKE` attempts were lost by them."""

_LONGEST_BACKOFF_SECONDS = 60.0
_BACKOFF_ATTEMPTS = 8


def finish(
    session: Session,
    job_id: str,
    attempt: int,
    status: JobStatus,
    *,
    result: dict[str, Any] | None = None,
    insights: dict[str, Any] | None = None,
    cause: dict[str, Any] | None = None,
    exit_code: int | None = None,
    peak_memory_bytes: int | None = None,
) -> Job:
    """End the job for good as `status` (finished, failed, cancelled, pruned).

    Saying the same again is harmless, so an unknown outcome is met by another call. `result` is
    what training gave, `insights` what was seen of it, `cause` why it failed: {kind, message, ...}.
    Raises SupersededError when the job is not this attempt's.
    """
    if not status.terminal:
        raise ValueError(f"{status} is not an end")
    try:
        job = own(session, job_id, attempt)
    except SupersededError:
        ours = _ended_by(session, job_id, attempt, status)
        if ours is None:
            raise
        return ours
    status = as_wished(job, status)
    job.result = result
    job.insights = insights or None
    _end_attempt(session, job, AttemptStatus(status.value), cause, exit_code, peak_memory_bytes)
    _end_job(session, job, status, worker(job.node or "", job.worker or ""), cause)
    return job


def release(
    session: Session, job_id: str, attempt: int, *, cause: dict[str, Any] | None = None
) -> Job:
    """Give a job back on purpose (the worker drains, its owner pauses it); it is not charged.

    It waits again, or is paused or cancelled when its owner asked for that. Raises SupersededError.
    """
    job = own(session, job_id, attempt)
    actor = worker(job.node or "", job.worker or "")
    _end_attempt(session, job, AttemptStatus.RELEASED, cause, None, None)
    _wait_again(session, job, "released", actor, cause, seconds=0)
    return job


def lose(
    session: Session,
    job_id: str,
    attempt: int,
    *,
    cause: dict[str, Any],
    exit_code: int | None = None,
    peak_memory_bytes: int | None = None,
    actor: str | None = None,
    charged: bool = True,
) -> Job:
    """End an attempt that something else than the spec broke: a signal, a lost worker, the store.

    The job waits again after a growing pause, until `max_attempts` attempts in a row were lost
    without the checkpoint advancing (`poison`), or two for memory or data that is not there: then
    it has failed, by the cause's own name. It does so only when attempts on two nodes were lost, or
    no other node takes jobs of its queue. What is not `charged` was the machine's doing and never
    fails a job. A job whose owner asked for an end or a pause gets that. Raises SupersededError.
    """
    job = own(session, job_id, attempt)
    return lose_owned(session, job, cause, exit_code, peak_memory_bytes, actor, charged=charged)


def lose_owned(
    session: Session,
    job: Job,
    cause: dict[str, Any],
    exit_code: int | None = None,
    peak_memory_bytes: int | None = None,
    actor: str | None = None,
    *,
    charged: bool = True,
) -> Job:
    """As `lose`, for a row that is locked and runs."""
    actor = actor or worker(job.node or "", job.worker or "")
    _end_attempt(
        session, job, AttemptStatus.LOST, cause, exit_code, peak_memory_bytes, charged=charged
    )
    if charged:
        _charge(session, job)
    final = _final_cause(session, job, cause) if charged else None
    if final is not None and job.cancel_requested_at is None:
        _end_job(session, job, JobStatus.FAILED, actor, final)
    else:
        failures = job.infra_failures if charged else _uncharged(session, job)
        _wait_again(session, job, "lost", actor, cause, seconds=_backoff(failures))
    return job


def _uncharged(session: Session, job: Job) -> int:
    """How many of the newest attempts in a row were lost without a charge."""
    newest = (
        select(Attempt)
        .where(Attempt.job_id == job.id)
        .order_by(Attempt.number.desc())
        .limit(_BACKOFF_ATTEMPTS)
    )
    rows = session.scalars(newest)
    return len(
        list(takewhile(lambda row: row.status is AttemptStatus.LOST and not row.charged, rows))
    )


def _backoff(failures: int) -> float:
    """The first retry comes at once; then 2, 4, 8 ... seconds, a minute at most."""
    return 0.0 if failures <= 1 else min(2.0 ** (failures - 1), _LONGEST_BACKOFF_SECONDS)


def _charge(session: Session, job: Job) -> None:
    checkpoint = session.get(Checkpoint, job.checkpoint_id) if job.checkpoint_id else None
    reached = checkpoint.step if checkpoint else 0
    # A machine that dies each hour must not end a job of days: advancing clears the account.
    advanced = job.lost_at_step is not None and reached > job.lost_at_step
    job.infra_failures = 1 if advanced else job.infra_failures + 1
    job.lost_at_step = reached


def _final_cause(session: Session, job: Job, cause: dict[str, Any]) -> dict[str, Any] | None:
    """Why the job fails with this charged loss; None while another attempt may do better."""
    if job.infra_failures >= job.max_attempts == 1:
        return cause
    losses = _charged_losses(session, job)
    kind = cause.get("kind")
    alike = [row for row in losses if (row.cause or {}).get("kind") == kind]
    if kind in _NAMED:
        return cause if len(alike) >= _MOST_ALIKE and _conclusive(session, job, alike) else None
    recent = losses[: job.infra_failures]
    if job.infra_failures >= job.max_attempts and _conclusive(session, job, recent):
        why = cause.get("message") or kind
        lost = f"{job.infra_failures} attempts in a row were lost without progress; the last: {why}"
        return {"kind": "poison", "message": lost, "last": cause}
    return None


def _charged_losses(session: Session, job: Job) -> list[Attempt]:
    """The charged attempts at the job that were lost, newest first."""
    statement = (
        select(Attempt)
        .where(Attempt.job_id == job.id, Attempt.status == AttemptStatus.LOST, Attempt.charged)
        .order_by(Attempt.number.desc())
    )
    return list(session.scalars(statement))


def _conclusive(session: Session, job: Job, losses: list[Attempt]) -> bool:
    """Whether these losses show that the job is to blame and not the machine.

    They do when they happened on two nodes, or when no other node is there to try.
    """
    return len({row.node for row in losses}) > 1 or not untried_elsewhere(session, job.id)


def _end_attempt(
    session: Session,
    job: Job,
    status: AttemptStatus,
    cause: dict[str, Any] | None,
    exit_code: int | None,
    peak_memory_bytes: int | None,
    *,
    charged: bool = True,
) -> None:
    row = session.get_one(Attempt, (job.id, job.attempt))
    row.charged = charged
    row.status = status
    row.ended_at = now()
    row.cause = cause
    row.exit_code = exit_code
    row.peak_memory_bytes = peak_memory_bytes
    session.flush()


def _end_job(
    session: Session, job: Job, status: JobStatus, actor: str, cause: dict[str, Any] | None
) -> None:
    job.status = status
    job.cause = cause
    job.lease_until = None
    job.finished_at = now()
    log(session, job, status.value, actor, cause)
    session.flush()


def _wait_again(
    session: Session,
    job: Job,
    kind: str,
    actor: str,
    cause: dict[str, Any] | None,
    *,
    seconds: float,
) -> None:
    if job.cancel_requested_at is not None:
        log(session, job, kind, actor, cause)
        _end_job(session, job, as_wished(job, JobStatus.CANCELLED), actor, cause)
        return
    job.status = JobStatus.QUEUED if job.pause_requested_at is None else JobStatus.PAUSED
    job.pause_requested_at = None
    job.lease_until = None
    job.published_at = None
    job.not_before = later(seconds)
    log(session, job, kind, actor, cause)
    session.flush()


def as_wished(job: Job, status: JobStatus) -> JobStatus:
    """The status that a job ends with: to be pruned it is stopped like a cancelled one."""
    pruned = status is JobStatus.CANCELLED and job.prune_requested_at is not None
    return JobStatus.PRUNED if pruned else status


def _ended_by(session: Session, job_id: str, attempt: int, status: JobStatus) -> Job | None:
    """The job if it was exactly this attempt that ended it as `status`."""
    row = session.get(Attempt, (job_id, attempt))
    job = get(session, job_id)
    status = as_wished(job, status)
    if row is None or row.status.value != status.value:
        return None
    return job if job.status is status and job.attempt == attempt else None
