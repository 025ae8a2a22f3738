"""The fence that every write of an attempt passes: which jobs its numbers still own."""

from collections.abc import Collection, Mapping
from typing import TypeAlias

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.orm import Session, load_only

from chainrule.contract.status import JobStatus
from core.db.tables import Attempt, Job
from core.errors import SupersededError
from core.jobs.queries import ALONE

Owned: TypeAlias = Mapping[str, int]
"""Attempt number by job id: what a writer claimed, one job or the members of a stack."""

_WRITTEN = (
    load_only(
        Job.attempt,
        Job.cancel_requested_at,
        Job.checkpoint_id,
        Job.infra_failures,
        Job.lost_at_step,
        Job.max_attempts,
        Job.node,
        Job.pause_requested_at,
        Job.progress,
        Job.progress_step,
        Job.prune_requested_at,
        Job.spec_version,
        Job.stack_key,
        Job.status,
        Job.worker,
    ),
    *ALONE,
)
"""The columns that writes of attempts read. The others, a spec among them, load on access."""


def still_owned(owned: Owned) -> tuple[ColumnElement[bool], ...]:
    """The conditions that a Job runs under the attempt number that `owned` names for it."""
    # The ids once more by themselves: SQLite finds rows by key with these, not with pairs.
    return (
        Job.id.in_(list(owned)),
        tuple_(Job.id, Job.attempt).in_(list(owned.items())),
        Job.status == JobStatus.RUNNING,
    )


def own_all(session: Session, owned: Owned) -> dict[str, Job]:
    """The locked rows of the jobs that these attempts still own, by id; the others are left out."""
    if not owned:
        return {}
    statement = (
        select(Job)
        .where(*still_owned(owned))
        .options(*_WRITTEN)
        .order_by(Job.id)  # all writers lock several rows in this order
        .with_for_update(of=Job)
        .execution_options(populate_existing=True)
    )
    return {job.id: job for job in session.scalars(statement)}


def own(session: Session, job_id: str, attempt: int) -> Job:
    """The locked row of a job that `attempt` still owns. Raises SupersededError otherwise."""
    job = own_all(session, {job_id: attempt}).get(job_id)
    if job is None:
        raise superseded(job_id, attempt)
    return job


def superseded(job_id: str, attempt: int) -> SupersededError:
    """The error of an attempt that no longer owns its job."""
    return SupersededError(f"attempt {attempt} no longer owns job {job_id}")


def attempt_rows(session: Session, jobs: Collection[Job]) -> dict[str, Attempt]:
    """The rows of the current attempts at these jobs, by job id, in one statement."""
    pairs = [(job.id, job.attempt) for job in jobs]
    statement = select(Attempt).where(
        Attempt.job_id.in_([job.id for job in jobs]),
        tuple_(Attempt.job_id, Attempt.number).in_(pairs),
    )
    return {row.job_id: row for row in session.scalars(statement)} if pairs else {}
