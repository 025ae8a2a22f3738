"""A job goes rather to a worker that holds its data: others leave it alone for a few seconds."""

from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db.availability import takes_jobs
from core.db.clock import later
from core.db.tables import DatasetVersion, Job, Node, Worker
from core.status import JobStatus

HEAD_START_SECONDS = 5.0
LEAST_BYTES = 32 * 2**20
"""Less than this is fetched sooner than another worker takes the job."""


def left_to_others(
    session: Session,
    job_id: str,
    *,
    worker: str,
    holds: Callable[[str], bool],
    alive_seconds: float,
) -> bool:
    """Whether `worker` is to leave a waiting job to a free worker that holds its data.

    `holds` says whether `worker` itself has the version with a digest. Others count that were heard
    of in the last `alive_seconds`. Never true once the job could be had for `HEAD_START_SECONDS`.
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
    found = session.execute(waiting).one_or_none()
    if found is None or holds(found.digest):
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
        found.digest in (one.datasets or ())
        and found.queue in one.queues
        and running.get(one.id, 0) < one.slots
        for one in session.scalars(others)
    )
