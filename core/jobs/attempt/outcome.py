"""How attempts end: they finish their jobs, give them back, or are lost."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chainrule.contract.status import AttemptStatus, JobStatus
from core.db.clock import now
from core.db.tables import Attempt, Checkpoint, Job
from core.jobs.attempt.ownership import Owned, attempt_rows, own_all
from core.jobs.eligibility import untried_elsewhere
from core.jobs.history import log, worker

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


@dataclass(frozen=True)
class End:
    """How a job ends for good, as finished, failed, cancelled or pruned.

    `result` is what training produced, `insights` what was observed of it, `cause` why it failed:
    {kind, message, ...}.
    """

    status: JobStatus
    result: dict[str, Any] | None = None
    insights: dict[str, Any] | None = None
    cause: dict[str, Any] | None = None
    exit_code: int | None = None
    peak_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if not self.status.terminal:
            raise ValueError(f"{self.status} is not an end")


def finish_all(session: Session, owned: Owned, ends: Mapping[str, End]) -> set[str]:
    """End jobs for good; the ids of those that these attempts ended so, now or in an earlier call.

    So a call whose outcome is unknown is repeated. Jobs of other attempts are left alone.
    """
    jobs = own_all(session, {job_id: owned[job_id] for job_id in ends})
    rows = attempt_rows(session, jobs.values())
    moment = _moment(session)
    for job_id, job in jobs.items():
        end = ends[job_id]
        status = final_status(job, end.status)
        job.result, job.insights = end.result, end.insights or None
        _end_attempt(
            rows[job_id],
            AttemptStatus(status.value),
            moment,
            end.cause,
            end.exit_code,
            end.peak_memory_bytes,
        )
        _end_job(session, job, status, moment, _worker(job), end.cause)
    session.flush()
    others = ends.keys() - jobs.keys()
    return set(jobs) | {
        job_id for job_id in others if _ended_by(session, job_id, owned[job_id], ends[job_id])
    }


def release_all(
    session: Session, owned: Owned, *, cause: dict[str, Any] | None = None, alone: bool = False
) -> set[str]:
    """Give jobs back on purpose (a worker drains, an owner pauses), uncharged; the ids given back.

    Each waits again, or is paused or cancelled when its owner asked for that. With `alone` it joins
    no stack again: the attempts then show which member broke the stack.
    """
    jobs = own_all(session, owned)
    rows = attempt_rows(session, jobs.values())
    moment = _moment(session)
    for job_id, job in jobs.items():
        _end_attempt(rows[job_id], AttemptStatus.RELEASED, moment, cause)
        job.stack_key = None if alone else job.stack_key
        _wait_again(session, job, "released", moment, _worker(job), cause)
    session.flush()
    return set(jobs)


def lose_all(
    session: Session,
    owned: Owned,
    *,
    cause: dict[str, Any],
    exit_code: int | None = None,
    peak_memory_bytes: int | None = None,
    charged: bool = True,
) -> set[str]:
    """End attempts that something else than the spec broke; the ids of the jobs that were owned.

    A signal, a lost worker, the store. Each job waits again after a growing pause, until
    `max_attempts` attempts in a row were lost without the checkpoint advancing (`poison`), or two
    for memory or for data that is missing: then it has failed, under the cause's own name. It fails
    only when attempts on two nodes were lost, or no other node takes jobs of its queue. A loss that
    is not `charged` was the machine's and never fails a job. A job whose owner asked for an end or
    a pause gets that.
    """
    jobs = own_all(session, owned)
    loss = Loss(cause, exit_code, peak_memory_bytes, charged)
    lose_rows(session, jobs.values(), lambda _: loss)
    return set(jobs)


@dataclass(frozen=True)
class Loss:
    """Why attempts were lost, who noticed it (None: their worker), and whether they are charged."""

    cause: dict[str, Any]
    exit_code: int | None = None
    peak_memory_bytes: int | None = None
    charged: bool = True
    actor: str | None = None


def lose_rows(session: Session, jobs: Collection[Job], loss_of: Callable[[Job], Loss]) -> None:
    """As `lose_all`, for rows that are locked and run."""
    rows = attempt_rows(session, jobs)
    moment = _moment(session)
    for job in jobs:
        _lose(session, job, rows[job.id], moment, loss_of(job))
    session.flush()


def _lose(session: Session, job: Job, row: Attempt, moment: datetime, loss: Loss) -> None:
    actor = loss.actor or _worker(job)
    _end_attempt(
        row, AttemptStatus.LOST, moment, loss.cause, loss.exit_code, loss.peak_memory_bytes
    )
    row.charged = loss.charged
    session.flush()  # what follows reads the attempts of the job
    if loss.charged:
        _charge(session, job)
    final = _final_cause(session, job, loss.cause) if loss.charged else None
    if final is not None and job.cancel_requested_at is None:
        _end_job(session, job, JobStatus.FAILED, moment, actor, final)
        return
    failures = job.infra_failures if loss.charged else _uncharged(session, job)
    _wait_again(session, job, "lost", moment, actor, loss.cause, seconds=_backoff(failures))


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
    row: Attempt,
    status: AttemptStatus,
    moment: datetime,
    cause: dict[str, Any] | None,
    exit_code: int | None = None,
    peak_memory_bytes: int | None = None,
) -> None:
    row.status, row.ended_at, row.cause = status, moment, cause
    row.exit_code, row.peak_memory_bytes = exit_code, peak_memory_bytes


def _end_job(
    session: Session,
    job: Job,
    status: JobStatus,
    moment: datetime,
    actor: str,
    cause: dict[str, Any] | None,
) -> None:
    job.status, job.cause = status, cause
    job.lease_until, job.finished_at = None, moment
    log(session, job, status.value, actor, cause)


def _wait_again(
    session: Session,
    job: Job,
    kind: str,
    moment: datetime,
    actor: str,
    cause: dict[str, Any] | None,
    *,
    seconds: float = 0.0,
) -> None:
    """Queue a job again in `seconds`, or do what its owner asked for; `kind` names the event."""
    if job.cancel_requested_at is not None:
        log(session, job, kind, actor, cause)
        _end_job(session, job, final_status(job, JobStatus.CANCELLED), moment, actor, cause)
        return
    job.status = JobStatus.QUEUED if job.pause_requested_at is None else JobStatus.PAUSED
    job.pause_requested_at = None
    job.lease_until = None
    job.published_at = None
    job.not_before = moment + timedelta(seconds=seconds)
    log(session, job, kind, actor, cause)


def final_status(job: Job, status: JobStatus) -> JobStatus:
    """The status that a job ends with: one to be pruned is stopped as if it were cancelled."""
    pruned = status is JobStatus.CANCELLED and job.prune_requested_at is not None
    return JobStatus.PRUNED if pruned else status


def _ended_by(session: Session, job_id: str, attempt: int, end: End) -> bool:
    """Whether exactly this attempt ended the job as `end` says."""
    row, job = session.get(Attempt, (job_id, attempt)), session.get(Job, job_id)
    if row is None or job is None:
        return False
    status = final_status(job, end.status)
    return row.status.value == status.value and job.status is status and job.attempt == attempt


def _worker(job: Job) -> str:
    """The actor of what the worker of a running job does."""
    return worker(job.node or "", job.worker or "")


def _moment(session: Session) -> datetime:
    """The time by the database's clock."""
    moment: datetime = session.execute(select(now())).scalar_one()
    return moment
