"""Faults of a cluster in which one process is of the next release, and the workers are not yet."""

import time

from core import jobs
from core.db.session import transaction
from core.db.tables import Job
from core.spec.version import SPEC_VERSION
from core.status import JobStatus
from tests.faults.matrix import WITHIN_LEASE, fault
from tests.faults.scene import Scene
from tests.support.worker_cases import until

FIELD = "field_of_the_next_release"


def _extend(job: Job) -> None:
    """Write a field that the workers here do not know, and say so in the row."""
    job.spec = {**job.spec, FIELD: 1}
    job.spec_version = SPEC_VERSION + 1


def _extend_silently(job: Job) -> None:
    """Write a field that the workers here do not know; the row does not say so."""
    job.spec = {**job.spec, FIELD: 1}


def _upgrade(scene: Scene, job_id: str) -> None:
    """Have the workers know the field: as here they never do, the row loses it."""
    with transaction(scene.stack.bench.engine) as session:
        job = jobs.get(session, job_id, lock=True)
        job.spec = {name: value for name, value in job.spec.items() if name != FIELD}
        job.spec_version = SPEC_VERSION


def _waits(scene: Scene, job_id: str) -> None:
    job = scene.stack.bench.job(job_id)
    if job.status is not JobStatus.QUEUED or job.infra_failures:
        scene.wrong.append(f"a job of the next release is {job.status} after {job.attempt} claims")


@fault()
def job_of_the_next_release(scene: Scene) -> None:
    job_id = scene.more(_extend)
    scene.struck(f"{job_id} needs a worker of the next release")
    for _ in range(3):
        scene.stack.ring(job_id)
    time.sleep(WITHIN_LEASE)
    _waits(scene, job_id)
    if scene.stack.bench.attempts(job_id):
        scene.wrong.append("a worker claimed what it cannot read")
    _upgrade(scene, job_id)


@fault()
def job_of_the_next_release_that_does_not_say_so(scene: Scene) -> None:
    job_id = scene.more(_extend_silently)
    until(lambda: any(one.ended_at for one in scene.stack.bench.attempts(job_id)))
    scene.struck(f"a worker cannot read {job_id}")
    time.sleep(WITHIN_LEASE)
    _waits(scene, job_id)
    _upgrade(scene, job_id)
