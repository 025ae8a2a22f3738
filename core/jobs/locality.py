"""Prefer workers that hold a job's data: the others leave the job alone for a few seconds."""

from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.db.availability import takes_jobs
from core.db.clock import later
from core.db.tables import DatasetVersion, Job, Node, Worker

HEAD_START_SECONDS = 5.0
LEAST_BYTES = 32 * 2**20
"""Fetching fewer bytes takes less time than waiting for another worker."""


def left_to_others(
    session: Session,
    job_id: str,
    *,
    worker: str,
    holds: Callable[[str], bool],
    alive_seconds: float,
) -> bool:
    """Whether `worker` must leave a queued job to a free worker that holds its data.

    `holds` says whether `worker` itself has the version with a digest. Other workers count if their
    last heartbeat is younger than `alive_seconds`. False once the job has been due for
    `HEAD_START_SECONDS`.
    """
    waiting = (
        select(DatasetVersion.digest, Job.queue)
        .join(DatasetVersion, DatasetVersion.id == Job.dataset_version_id)
        .where(
            Job.id == job_id,
            Job.status == JobStatus.QUEUED,
            Job.not_before > later(-HEAD_START_SECONDS),
            DatasetVersion.bytes >= LEAST_BYTES,
        )
    )
    job = session.execute(waiting).one_or_none()
    if job is None or holds(job.digest):
        return False
    counted = (
        select(Job.worker, func.count()).where(Job.status == JobStatus.RUNNING).group_by(Job.worker)
    )
    running = {row[0]: int(row[1]) for row in session.execute(counted)}
    others = (
        select(Worker)
        .join(Node, Node.name == Worker.node)
        .where(Worker.id != worker, *takes_jobs(alive_seconds))
    )
    return any(
        job.digest in (other.datasets or ())
        and job.queue in other.queues
        and running.get(other.id, 0) < other.slots
        for other in session.scalars(others)
    )
