"""Submit jobs: one transaction writes the row that is the truth; the broker is not involved."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.db.tables import DatasetVersion, Experiment, Job
from core.db.upsert import upsert
from core.errors import ConflictError, UnavailableError
from core.jobs.history import client, log
from core.jobs.queries import get
from core.spec import JobSpec
from core.spec.version import encode


def submit(
    session: Session,
    spec: JobSpec,
    dataset_version: DatasetVersion,
    *,
    owner: str,
    priority: int | None = None,
    max_attempts: int = 3,
    max_queued: int | None = None,
    stack_key: str | None = None,
) -> Job:
    """Queue a job that trains `spec` on `dataset_version`; the caller commits, then may notify.

    `priority` overrides that of the spec, `max_attempts` applies if the spec has none. Jobs with
    the same `stack_key` may be trained as a stack. Raises UnavailableError if `max_queued` jobs
    are queued already.
    """
    job = _row(session, spec, dataset_version, owner, max_attempts, stack_key)
    job.priority = spec.priority if priority is None else priority
    return enter(session, job, max_queued=max_queued)


def enter(session: Session, job: Job, *, max_queued: int | None) -> Job:
    """Queue a new row. Raises as `submit` does."""
    if max_queued is not None:
        refuse_flood(session, max_queued)
    _queue(session, [job])
    # Readers of the job see these rows, too.
    session.refresh(job, ["experiment", "dataset_version"])
    return job


def submit_all(
    session: Session,
    specs: Sequence[tuple[JobSpec, str | None]],
    dataset_version: DatasetVersion,
    *,
    owner: str,
    max_attempts: int = 3,
) -> list[str]:
    """Queue many jobs, each with its stack key, as `submit` does; their ids, in order."""
    made = [
        _row(session, spec, dataset_version, owner, max_attempts, stack_key)
        for spec, stack_key in specs
    ]
    _queue(session, made)
    return [job.id for job in made]


def retry(session: Session, job_id: str, *, owner: str) -> Job:
    """Try a job again.

    A failed, cancelled or pruned job stays as it is: a new job with its spec is queued, and its
    `retry_of` names the old one. A queued job that waits after a loss may start at once. Raises
    NotFoundError, and ConflictError for a job that is running, paused or finished.
    """
    old = get(session, job_id, lock=True)
    if old.status is JobStatus.QUEUED:
        old.not_before = old.created_at
        log(session, old, "retried", client(owner))
        session.flush()
        return old
    if not old.status.terminal or old.status is JobStatus.FINISHED:
        raise ConflictError(
            f"job {job_id} is {old.status}; only a failed, cancelled or pruned job can be retried"
        )
    job = Job(
        id=uuid.uuid4().hex,
        owner=owner,
        retry_of=old.id,
        **{
            name: getattr(old, name)
            for name in (
                "kind", "model_job_id", "experiment_id", "dataset_version_id", "name", "tags",
                "spec", "spec_hash", "spec_version", "queue", "priority", "max_attempts",
            )
        },
    )  # fmt: skip
    log(session, old, "retried", client(owner), {"job": job.id})
    _queue(session, [job])
    session.refresh(job, ["experiment", "dataset_version"])
    return job


def spec_hash(document: dict[str, Any]) -> str:
    """SHA-256 of a spec's JSON document, whatever the order of its keys."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _row(
    session: Session,
    spec: JobSpec,
    dataset_version: DatasetVersion,
    owner: str,
    max_attempts: int,
    stack_key: str | None,
) -> Job:
    """The row of a new job, not yet in the session."""
    document, version = encode(spec)
    return Job(
        id=uuid.uuid4().hex,
        owner=owner,
        experiment_id=_experiment(session, spec.experiment),
        dataset_version_id=dataset_version.id,
        name=spec.name,
        tags=dict(spec.tags),
        spec=document,
        spec_hash=spec_hash(document),
        spec_version=version,
        queue=spec.device,
        priority=spec.priority,
        max_attempts=spec.max_attempts or max_attempts,
        stack_key=stack_key,
        status=JobStatus.QUEUED,
        attempt=0,
    )


def _queue(session: Session, made: Sequence[Job]) -> None:
    session.add_all(made)
    session.flush()
    for job in made:
        log(session, job, "submitted", client(job.owner))
    session.flush()


def _experiment(session: Session, name: str) -> int:
    by_name = select(Experiment.id).where(Experiment.name == name)
    experiment_id = session.scalar(by_name)
    if experiment_id is not None:
        return experiment_id
    session.execute(upsert(session, Experiment).values(name=name).on_conflict_do_nothing())
    return session.execute(by_name).scalar_one()


def refuse_flood(session: Session, most: int) -> None:
    """Raise UnavailableError if `most` jobs are queued already."""
    waiting = select(Job.id).where(Job.status == JobStatus.QUEUED).limit(most).subquery()
    if (session.scalar(select(func.count()).select_from(waiting)) or 0) >= most:
        raise UnavailableError(f"{most} jobs are queued already; try again when some have run")
