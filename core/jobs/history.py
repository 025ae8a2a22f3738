"""The event log of jobs: every change, its actor and its reason. Ends are sent to webhooks."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import notices
from core.db.tables import Job, JobEvent

SCHEDULER = "scheduler"
"""The actor of changes by the scheduler."""


def client(owner: str) -> str:
    """The actor of a request by `owner`."""
    return f"client:{owner}"


def worker(node: str, name: str) -> str:
    """The actor of changes by worker `name` on `node`."""
    return f"worker:{node}/{name}"


def log(
    session: Session, job: Job, kind: str, actor: str, reason: dict[str, Any] | None = None
) -> None:
    """Add an event of `kind` (a past participle) to `job`, with the state it is in now."""
    session.add(
        JobEvent(
            job_id=job.id,
            kind=kind,
            status=job.status.value,
            attempt=job.attempt,
            actor=actor[:255],
            reason=reason,
        )
    )
    if job.status.terminal and kind == job.status.value:
        notices.announce(session, f"job.{job.status.value}", lambda: _message(job))


def _message(job: Job) -> dict[str, Any]:
    """The webhook message about a job that has ended."""
    result, version = job.result or {}, job.dataset_version
    return {
        "id": job.id,
        "status": job.status.value,
        "experiment": job.experiment.name,
        "name": job.name,
        "dataset": f"{version.dataset.name}@{version.version}",
        "tags": job.tags,
        "owner": job.owner,
        "kind": job.kind.value,
        "attempt": job.attempt,
        "metrics": result.get("metrics"),
        "weights_digest": result.get("weights_digest"),
        "cause": job.cause,
    }


def events(session: Session, job_id: str, *, after: int = 0, limit: int = 1000) -> list[JobEvent]:
    """The events of a job whose id is above `after`, oldest first."""
    statement = (
        select(JobEvent)
        .where(JobEvent.job_id == job_id, JobEvent.id > after)
        .order_by(JobEvent.id)
        .limit(limit)
    )
    return list(session.scalars(statement))
