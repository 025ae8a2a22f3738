"""Jobs that are trained side by side as a stack: claimed, renewed, written and ended together.

Each member keeps its own attempt and is fenced by it; a member that is no longer this attempt's
drops out and the others go on.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, select, tuple_, update
from sqlalchemy.orm import Session, load_only

from core.db.clock import later, now
from core.db.tables import Attempt, Job, MetricChunk
from core.jobs.attempt.checkpoints import apply_progress
from core.jobs.attempt.claims import Claim, Renewal, begin, described
from core.jobs.attempt.outcome import as_wished, lose_owned
from core.jobs.eligibility import eligible
from core.jobs.history import log, worker
from core.jobs.points import Point, pack
from core.jobs.queries import ALONE
from core.spec.version import SPEC_VERSION
from core.status import AttemptStatus, JobStatus

_SLIM = (
    load_only(
        Job.attempt,
        Job.cancel_requested_at,
        Job.node,
        Job.pause_requested_at,
        Job.progress,
        Job.progress_step,
        Job.prune_requested_at,
        Job.stack_key,
        Job.status,
        Job.worker,
    ),
    *ALONE,
)
"""What those who write for many members read of each; the rest is loaded when it is asked for."""

Owned: TypeAlias = Mapping[str, int]
"""By job id the number of the attempt that acts."""


@dataclass(frozen=True)
class Written:
    """What one member of a stack reports at once: a chunk of packed points, and its progress."""

    sequence: int
    keys: list[str]
    points: NDArray[np.void]
    progress: dict[str, Any] = field(default_factory=dict)

    def joined(self, points: Sequence[Point], progress: Mapping[str, Any]) -> "Written":
        """It with more points, and progress that outdoes its own."""
        packed, names = self.points, list(self.keys)
        if points:
            keys, more = pack(points)
            places = {name: len(names) + number for number, name in enumerate(keys)}
            more["key"] = [places[point.key] for point in points]
            packed, names = np.concatenate([packed, more]), [*names, *keys]
        return Written(self.sequence, names, packed, {**self.progress, **progress})


@dataclass(frozen=True)
class Ended:
    """How one member of a stack ended for good."""

    status: JobStatus
    result: dict[str, Any] | None = None
    cause: dict[str, Any] | None = None


def waiting_beside(session: Session, stack_key: str) -> int:
    """How many jobs of this key could be claimed now."""
    return session.execute(
        select(func.count()).select_from(_fitting(stack_key).subquery())
    ).scalar_one()


def claim_beside(
    session: Session,
    first: Claim,
    most: int,
    *,
    lease_seconds: float,
    pid: int | None = None,
    versions: dict[str, Any] | None = None,
) -> list[Claim]:
    """Claim up to `most` more jobs that can be trained beside the claimed one, oldest first.

    Only jobs without a checkpoint: a stack begins at the beginning.
    """
    if first.stack_key is None or first.checkpoint is not None or most < 1:
        return []
    mine = eligible(first.node, first.worker)
    wanted = list(session.scalars(_fitting(first.stack_key).where(mine).limit(most)))
    taken = (
        update(Job)
        .where(Job.id.in_(wanted), Job.status == JobStatus.QUEUED, Job.not_before <= now())
        .values(
            status=JobStatus.RUNNING,
            attempt=Job.attempt + 1,
            node=first.node,
            worker=first.worker,
            lease_until=later(lease_seconds),
            heartbeat_at=now(),
            started_at=func.coalesce(Job.started_at, now()),
            published_at=None,
        )
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    got = list(session.scalars(taken)) if wanted else []
    claimed = select(Job).where(Job.id.in_(got)).order_by(Job.created_at, Job.id)
    rows = list(session.scalars(claimed)) if got else []
    for job in rows:
        begin(session, job, None, pid, versions)
    session.flush()
    moment = session.execute(select(now())).scalar_one()
    return [described(job, None, moment) for job in rows]


def renew_all(session: Session, owned: Owned, lease_seconds: float) -> dict[str, Renewal]:
    """Own all members for `lease_seconds` from now; what is wanted of those that are still ours."""
    statement = (
        update(Job)
        .where(*_ours(owned))
        .values(lease_until=later(lease_seconds), heartbeat_at=now())
        .execution_options(synchronize_session=False)
        .returning(Job.id, Job.cancel_requested_at, Job.pause_requested_at)
    )
    return _renewals(session, statement)


def wanted_of_all(session: Session, owned: Owned) -> dict[str, Renewal]:
    """What is wanted of the members that are still ours, without renewing."""
    return _renewals(
        session,
        select(Job.id, Job.cancel_requested_at, Job.pause_requested_at).where(*_ours(owned)),
    )


def record_all(session: Session, owned: Owned, written: Mapping[str, Written]) -> set[str]:
    """Write what members report; the ids of those that are still ours, the others' are dropped.

    A chunk that was written before is not written again.
    """
    rows = _own_all(session, owned, written)
    chunks = select(MetricChunk.job_id, MetricChunk.attempt, MetricChunk.sequence)
    found = session.execute(chunks.where(MetricChunk.job_id.in_(rows)))
    present = {(job_id, attempt, sequence) for job_id, attempt, sequence in found}
    for job_id, job in rows.items():
        report = written[job_id]
        apply_progress(job, report.progress)
        points = report.points
        if len(points) and (job_id, job.attempt, report.sequence) not in present:
            session.add(
                MetricChunk(
                    job_id=job_id,
                    attempt=job.attempt,
                    sequence=report.sequence,
                    keys=report.keys,
                    points=points.tobytes(),
                    count=len(points),
                    first_step=int(points["step"].min()),
                    last_step=int(points["step"].max()),
                )
            )
    session.flush()
    return set(rows)


def finish_all(
    session: Session, owned: Owned, ended: Mapping[str, Ended], *, peak_memory_bytes: int | None
) -> set[str]:
    """End members for good as `jobs.finish` does; the ids of those that were still ours.

    Saying it again is harmless: who has ended is not ours any more.
    """
    rows = _own_all(session, owned, ended)
    moment = session.execute(select(now())).scalar_one()
    attempts = _attempts(session, rows.values())
    for job_id, job in rows.items():
        end = ended[job_id]
        status = as_wished(job, end.status)
        row = attempts[job_id]
        row.status, row.ended_at, row.cause = AttemptStatus(status.value), moment, end.cause
        row.peak_memory_bytes = peak_memory_bytes
        job.result, job.status, job.cause = end.result, status, end.cause
        job.lease_until, job.finished_at = None, moment
        log(session, job, status.value, worker(job.node or "", job.worker or ""), end.cause)
    session.flush()
    return set(rows)


def release_all(
    session: Session, owned: Owned, *, cause: dict[str, Any], alone: bool = False
) -> set[str]:
    """Give members back, not charged; the ids of those that were still ours.

    With `alone` they are not trained side by side again: what broke the stack then shows which of
    them it was.
    """
    rows = _own_all(session, owned, owned)
    moment: datetime = session.execute(select(now())).scalar_one()
    attempts = _attempts(session, rows.values())
    for job_id, job in rows.items():
        actor = worker(job.node or "", job.worker or "")
        row = attempts[job_id]
        row.status, row.ended_at, row.cause = AttemptStatus.RELEASED, moment, cause
        job.lease_until = job.published_at = None
        job.stack_key = None if alone else job.stack_key
        if job.cancel_requested_at is not None:
            job.status = as_wished(job, JobStatus.CANCELLED)
            job.finished_at, job.cause = moment, cause
        else:
            paused = job.pause_requested_at is not None
            job.status = JobStatus.PAUSED if paused else JobStatus.QUEUED
            job.pause_requested_at = None
        log(session, job, "released", actor, cause)
    session.flush()
    return set(rows)


def lose_all(session: Session, owned: Owned, *, cause: dict[str, Any]) -> set[str]:
    """End members that their machine broke, uncharged; the ids of those that were still ours.

    They wait again after a growing pause and may be trained side by side again.
    """
    rows = _own_all(session, owned, owned)
    for job in rows.values():
        lose_owned(session, job, cause, charged=False)
    return set(rows)


def _fitting(stack_key: str) -> Select[str]:
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


def _ours(owned: Owned) -> tuple[Any, ...]:
    pairs = list(owned.items())
    return tuple_(Job.id, Job.attempt).in_(pairs), Job.status == JobStatus.RUNNING


def _own_all(session: Session, owned: Owned, only: Collection[str]) -> dict[str, Job]:
    """The locked rows of members that these attempts still own, by id."""
    mine = {job_id: owned[job_id] for job_id in only}
    if not mine:
        return {}
    statement = (
        select(Job)
        .where(*_ours(mine))
        .options(*_SLIM)
        .order_by(Job.id)  # one order for all who lock several
        .with_for_update(of=Job)
        .execution_options(populate_existing=True)
    )
    return {job.id: job for job in session.scalars(statement)}


def _attempts(session: Session, jobs: Collection[Job]) -> dict[str, Attempt]:
    pairs = [(job.id, job.attempt) for job in jobs]
    statement = select(Attempt).where(tuple_(Attempt.job_id, Attempt.number).in_(pairs))
    return {row.job_id: row for row in session.scalars(statement)} if pairs else {}


def _renewals(session: Session, statement: Any) -> dict[str, Renewal]:
    return {
        job_id: Renewal(cancel is not None, pause is not None)
        for job_id, cancel, pause in session.execute(statement)
    }
