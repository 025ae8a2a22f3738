"""Jobs: submit, read, cancel, pause, resume, retry, move, and what happened to them."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.auth import Owner
from api.context import Context, Here
from api.http.openapi import ALWAYS, problems
from api.http.strict_body import Exact
from api.parameters import JobId, Paging, Tags, pairs
from api.resources.jobs import Job, JobSummary
from api.resources.pages import Page
from api.submission import Submitting, dataset_version
from core import jobs, nodes
from core.data.table.schema import DatasetSchema
from core.db import tables
from core.db.session import reading, transaction
from core.spec import JobSpec
from core.spec.admission import check
from core.status import JobKind, JobStatus

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problems(*ALWAYS))


class Filters(Paging):
    """Which jobs to list; all filters given must match."""

    experiment: str | None = None
    dataset: Annotated[str, Field(description="`name` or `name@3`")] | None = None
    name: str | None = None
    kind: JobKind | None = None
    status: Annotated[list[JobStatus], Field(default_factory=list)]
    tag: Tags


class Priority(BaseModel):
    """Where a job stands among those that wait."""

    model_config = ConfigDict(extra="forbid")

    priority: Annotated[int, Field(ge=-100, le=100, description="higher goes first")]


_SAME_JOB = {"job_id": "$response.body#/id"}
LINKS = {
    name: {"operationId": name, "parameters": _SAME_JOB}
    for name in ("read_job", "cancel_job", "pause_job", "resume_job", "read_metrics", "predict")
}
"""What a client may do next with the job it submitted."""


@router.post("", status_code=202, responses={202: {"links": LINKS}, **problems(403, 413, 415, 422)})
def submit_job(spec: Exact[JobSpec], submission: Submitting) -> Job:
    """Queue a job. Answers at once; a worker takes it when one is free.

    A spec that cannot work is refused with the path of each wrong field.
    """
    settings = submission.here.settings

    def make(session: Session) -> tables.Job:
        data = dataset_version(session, spec.dataset)
        jobs.check_source(session, spec.source, "source")
        check(spec, DatasetSchema.model_validate(data.schema), settings.max_weights_bytes)
        return jobs.submit(
            session,
            spec,
            data,
            owner=submission.owner,
            max_attempts=settings.max_attempts,
            max_queued=settings.max_queued_jobs,
        )

    return submission.job(spec.model_dump(mode="json"), make)


@router.get("", responses=problems(422))
def list_all_jobs(filters: Annotated[Filters, Query()], here: Here, _: Owner) -> Page[JobSummary]:
    """Jobs, newest first."""
    with reading(here.engine) as session:
        page = jobs.list_jobs(
            session,
            experiment=filters.experiment,
            dataset=filters.dataset,
            name=filters.name,
            kind=filters.kind,
            status=filters.status,
            tags=pairs(filters.tag),
            cursor=filters.cursor,
            limit=filters.limit,
        )
        items = [JobSummary.of(row, here.settings) for row in page.items]
    return Page(items=items, next=page.next)


@router.get("/{job_id}", responses=problems(404, 422))
def read_job(job_id: JobId, here: Here, _: Owner) -> Job:
    """A job: its state, progress, metrics, attempts and where its run is in MLflow."""
    with reading(here.engine) as session:
        return _view(session, jobs.get(session, job_id), here)


@router.post("/{job_id}/cancel", responses=problems(403, 404, 409, 422))
def cancel_job(job_id: JobId, here: Here, owner: Owner) -> Job:
    """End a job that waits; ask the worker of one that runs to stop it.

    Cancelling twice is harmless. 409 when the job has ended in another way.
    """
    with transaction(here.engine) as session:
        return _view(session, jobs.cancel(session, job_id, owner=owner), here)


@router.post("/{job_id}/pause", responses=problems(403, 404, 409, 422))
def pause_job(job_id: JobId, here: Here, owner: Owner) -> Job:
    """Keep a job from running; one that runs saves a checkpoint and stops."""
    with transaction(here.engine) as session:
        return _view(session, jobs.pause(session, job_id, owner=owner), here)


@router.post("/{job_id}/resume", responses=problems(403, 404, 409, 422))
def resume_job(job_id: JobId, here: Here, owner: Owner) -> Job:
    """Let a paused job go on from its last checkpoint."""
    return _queued(here, lambda session: jobs.resume(session, job_id, owner=owner))


@router.post("/{job_id}/retry", status_code=202, responses=problems(403, 404, 409, 422))
def retry_job(job_id: JobId, here: Here, owner: Owner) -> Job:
    """Try again: a job that ended unhappily stays as it is, a new one with its spec is queued.

    A queued job that waits after a loss starts at once.
    """
    return _queued(here, lambda session: jobs.retry(session, job_id, owner=owner))


@router.post("/{job_id}/priority", responses=problems(403, 404, 409, 413, 415, 422))
def move_job(job_id: JobId, wanted: Exact[Priority], here: Here, owner: Owner) -> Job:
    """Let a job go before or after others that wait."""
    with transaction(here.engine) as session:
        row = jobs.set_priority(session, job_id, wanted.priority, owner=owner)
        return _view(session, row, here)


def _queued(here: Context, change: Callable[[Session], tables.Job]) -> Job:
    """Apply a change that queues a job, and wake a worker after the commit."""
    with transaction(here.engine) as session:
        row = change(session)
        publish = jobs.may_ring(session, row)
        job = _view(session, row, here)
    if publish:
        here.wakeups.publish(job.id, job.device)
    return job


def _view(session: Session, row: tables.Job, here: Context) -> Job:
    attempts = jobs.attempts(session, row.id)
    waits = row.status is JobStatus.QUEUED
    known = nodes.spec_versions(session) if waits else None
    return Job.with_attempts(row, attempts, here.settings, known=known)
