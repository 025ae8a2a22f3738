"""Faults of a cluster in which a client uses the next release and the workers do not yet."""

import time
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import object_session

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import transaction
from core.db.tables import Job
from core.spec.version import SPEC_VERSION
from tests.faults.context import FaultContext
from tests.faults.matrix import WITHIN_LEASE, fault
from tests.support.present import present
from tests.support.worker_cases import until

FIELD = "field_of_the_next_release"


def _rewrite(job: Job, spec: dict[str, Any], spec_version: int) -> None:
    """Write another spec, which the rules of the database refuse to everybody else."""
    session = present(object_session(job))
    session.execute(text("SET LOCAL session_replication_role = replica"))
    job.spec, job.spec_version = spec, spec_version


def _extend(job: Job) -> None:
    """Add a field that these workers do not know, with the spec version that needs it."""
    _rewrite(job, {**job.spec, FIELD: 1}, SPEC_VERSION + 1)


def _extend_silently(job: Job) -> None:
    """Add a field that these workers do not know, but leave the spec version as it is."""
    _rewrite(job, {**job.spec, FIELD: 1}, job.spec_version)


def _upgrade(context: FaultContext, job_id: str) -> None:
    """Make the job readable by removing the field, since these workers cannot be upgraded."""
    with transaction(context.stack.bench.engine) as session:
        job = jobs.get(session, job_id, lock=True)
        known = {name: value for name, value in job.spec.items() if name != FIELD}
        _rewrite(job, known, SPEC_VERSION)


def _check_queued(context: FaultContext, job_id: str) -> None:
    job = context.stack.bench.job(job_id)
    if job.status is not JobStatus.QUEUED or job.infra_failures:
        context.violations.append(
            f"a job of the next release is {job.status} after {job.attempt} claims"
        )


@fault()
def job_of_the_next_release(context: FaultContext) -> None:
    job_id = context.submit(_extend)
    context.hit(f"{job_id} needs a worker of the next release")
    for _ in range(3):
        context.stack.notify(job_id)
    time.sleep(WITHIN_LEASE)
    _check_queued(context, job_id)
    if context.stack.bench.attempts(job_id):
        context.violations.append("a worker claimed what it cannot read")
    _upgrade(context, job_id)


@fault()
def job_of_the_next_release_that_does_not_say_so(context: FaultContext) -> None:
    job_id = context.submit(_extend_silently)
    until(lambda: any(attempt.ended_at for attempt in context.stack.bench.attempts(job_id)))
    context.hit(f"a worker cannot read {job_id}")
    time.sleep(WITHIN_LEASE)
    _check_queued(context, job_id)
    _upgrade(context, job_id)
