"""Which workers may claim a job: those that read its spec and did not lose it by their own fault.

The conditions are SQL and part of the claim itself: no message, restart or second slot evades them.
"""

from typing import Any

from sqlalchemy import and_, exists, func, not_, or_, select
from sqlalchemy.orm import Session, aliased

from chainrule.contract.status import AttemptStatus, JobStatus
from core.db.availability import serves, takes_jobs
from core.db.clock import later
from core.db.tables import Attempt, Job, Node, Worker
from core.spec.version import SPEC_VERSION

KEPT_OFF_SECONDS = 60.0
"""A worker may try a job again that it lost so long ago, even if a free one did not take it."""


def eligible(node: str, worker: str) -> Any:
    """The condition that `worker` on `node`, of this release, may claim a Job.

    It may not when the spec needs a newer release. It may not while it lost the job recently and a
    free worker did not, or its node lost it and a worker is free on another node. A node that used
    up the job's `max_attempts` leaves it to any live node that has not tried. The only worker may
    always try again.
    """
    left_to_others = or_(
        _left_to_free(Attempt.worker, Worker.id, worker),
        _left_to_free(Attempt.node, Worker.node, node),
        and_(Job.infra_failures >= Job.max_attempts, _charged(node), _untried()),
    )
    return and_(Job.spec_version <= SPEC_VERSION, or_(Job.attempt == 0, not_(left_to_others)))


def kept_off(session: Session, job_id: str, *, node: str, worker: str) -> bool:
    """Whether a job is queued but `worker` on `node` may not claim it."""
    waits = select(Job.id).where(
        Job.id == job_id, Job.status == JobStatus.QUEUED, not_(eligible(node, worker))
    )
    return session.scalar(waits) is not None


def untried_elsewhere(session: Session, job_id: str) -> bool:
    """Whether a live worker of the job's queue is on a node without a charged attempt."""
    return session.scalar(select(Job.id).where(Job.id == job_id, _untried())) is not None


def _left_to_free(of_attempt: Any, of_worker: Any, own: str) -> Any:
    """The condition that `own` (a worker or node) lost the Job recently and a free one did not."""
    free = exists().where(
        Node.name == Worker.node,
        *takes_jobs(),
        *_could_train(),
        of_worker != own,
        _running() < Worker.slots,
        not_(_lost(of_attempt, of_worker)),
    )
    return and_(_lost(of_attempt, own), free.correlate(Job))


def _could_train() -> tuple[Any, ...]:
    """Conditions that a Worker serves the queue of the Job and reads its spec."""
    return serves(Job.queue), Worker.spec_version >= Job.spec_version


def _lost(of_attempt: Any, value: Any) -> Any:
    """The condition that an attempt at the Job by `value` was lost in the last minute."""
    lost = aliased(Attempt)
    condition = exists().where(
        lost.job_id == Job.id,
        getattr(lost, of_attempt.key) == value,
        lost.status == AttemptStatus.LOST,
        lost.ended_at > later(-KEPT_OFF_SECONDS),
    )
    return condition.correlate(Job, Worker)


def _charged(node: Any) -> Any:
    """The condition that an attempt at the Job was lost on `node` and charged."""
    lost = aliased(Attempt)
    condition = exists().where(
        lost.job_id == Job.id, lost.node == node, lost.status == AttemptStatus.LOST, lost.charged
    )
    return condition.correlate(Job, Worker)


def _untried() -> Any:
    """The condition that a worker that takes jobs is on a node where none was charged."""
    other = exists().where(
        Node.name == Worker.node, *takes_jobs(), *_could_train(), not_(_charged(Worker.node))
    )
    return other.correlate(Job)


def _running() -> Any:
    """The number of jobs that a Worker runs now."""
    running = aliased(Job)
    count = select(func.count()).where(
        running.status == JobStatus.RUNNING, running.worker == Worker.id
    )
    return count.correlate(Worker).scalar_subquery()
