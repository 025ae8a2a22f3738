"""Jobs: submit, list, read, cancel, pause, resume, retry, reprioritize, describe, delete."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.auth import Owner
from api.context import Context, Here
from api.http.openapi import ALWAYS, problems
from api.http.strict_body import Exact
from api.parameters import CreatedAfter, CreatedBefore, JobId, Paging, Tags, Text, pairs
from api.resources.jobs import Job, JobSummary
from api.resources.pages import Page
from api.submission import Submitting, dataset_version
from chainrule.contract.status import JobKind, JobStatus
from core import jobs, nodes
from core.data.table.column_warnings import stored_warnings
from core.data.table.schema import DatasetSchema
from core.db import tables
from core.db.session import reading, transaction
from core.spec import JobSpec
from core.spec.admission import admit
from core.spec.base import TagKey
from core.spec.version import encode

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problems(*ALWAYS))


class Filters(Paging):
    """Filters of the list of jobs; a job must match all of them."""

    experiment: str | None = None
    dataset: Annotated[str, Field(description="`name` or `name@3`")] | None = None
    name: str | None = None
    kind: JobKind | None = None
    status: Annotated[list[JobStatus], Field(default_factory=list)]
    tag: Tags
    metric: Annotated[
        list[Annotated[str, Field(pattern=rf"^{jobs.METRIC_KEY}(<=|>=|<|>|=)[-+.0-9eE]+$")]],
        Field(
            default_factory=list,
            max_length=16,
            description="condition on the last value, like `valid/accuracy>=0.9`; repeatable",
        ),
    ]
    created_after: CreatedAfter = None
    created_before: CreatedBefore = None
    sort: Annotated[
        str,
        Field(
            pattern=rf"^-?{jobs.METRIC_KEY}$",
            description="created_at, started_at, finished_at or a metric; `-` before it: "
            "descending. Jobs without the time or metric are left out",
        ),
    ] = "-created_at"


class JobChange(BaseModel):
    """The fields to change; omitted fields stay as they are."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"note": "the best so far", "tags": {"team": "a"}}]},
    )

    note: Text | None = Field(None, description="a text of your own; empty: none")
    tags: dict[TagKey, Text | None] = Field(
        {},
        max_length=64,
        description="tags to set; null removes a tag",
        examples=[{"team": "a"}],
    )


class Priority(BaseModel):
    """The priority of a queued job."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"priority": 10}]})

    priority: Annotated[
        int, Field(ge=-100, le=100, description="jobs with a higher priority start first")
    ]


_SAME_JOB = {"job_id": "$response.body#/id"}
LINKS = {
    name: {"operationId": name, "parameters": _SAME_JOB}
    for name in ("read_job", "cancel_job", "pause_job", "resume_job", "read_metrics", "predict")
}
"""OpenAPI links from a submitted job to its operations."""


@router.post("", status_code=202, responses={202: {"links": LINKS}, **problems(403, 413, 415, 422)})
def submit_job(spec: Exact[JobSpec], submission: Submitting) -> Job:
    """Queue a job, which starts when a worker has a free slot.

    Returns 422 with the path of each invalid field if the spec does not fit the data.
    """
    settings = submission.here.settings

    def make(session: Session) -> tables.Job:
        data = dataset_version(session, spec.dataset)
        jobs.use_source(session, spec.source, "source")
        schema = DatasetSchema.model_validate(data.schema)
        warnings = stored_warnings(data.warnings)
        return jobs.submit(
            session,
            admit(spec, schema, settings.max_weights_bytes, warnings),
            data,
            owner=submission.owner,
            max_attempts=settings.max_attempts,
            max_queued=settings.max_queued_jobs,
        )

    return submission.job(encode(spec).document, make)


@router.get("", responses=problems(422))
def list_all_jobs(filters: Annotated[Filters, Query()], here: Here, _: Owner) -> Page[JobSummary]:
    """List jobs, newest first unless sorted otherwise."""
    with reading(here.engine) as session:
        page = jobs.list_jobs(
            session,
            experiment=filters.experiment,
            dataset=filters.dataset,
            name=filters.name,
            kind=filters.kind,
            status=filters.status,
            tags=pairs(filters.tag),
            metrics=[jobs.MetricCondition.parse(text, "query.metric") for text in filters.metric],
            created=(filters.created_after, filters.created_before),
            order=jobs.Order.parse(filters.sort),
            cursor=filters.cursor,
            limit=filters.limit,
        )
        queues = nodes.queue_workers(session)
        items = [JobSummary.of(row, here.settings, queues) for row in page.items]
    return Page(items=items, next=page.next)


@router.get("/{job_id}", responses=problems(404, 422))
def read_job(job_id: JobId, here: Here, _: Owner) -> Job:
    """Return a job with its state, progress, metrics, attempts and MLflow run."""
    with reading(here.engine) as session:
        return _view(session, jobs.get(session, job_id), here)


@router.patch("/{job_id}", responses=problems(403, 404, 413, 415, 422))
def describe_job(job_id: JobId, change: Exact[JobChange], here: Here, _: Owner) -> Job:
    """Change the note or the tags of a job, in any state. MLflow shows the change, too."""
    with transaction(here.engine) as session:
        row = jobs.describe(session, job_id, note=change.note, tags=change.tags)
        return _view(session, row, here)


@router.delete("/{job_id}", status_code=204, responses=problems(403, 404, 409, 422))
def delete_job(job_id: JobId, here: Here, _: Owner) -> None:
    """Delete an ended job with its history, checkpoints, model, predictions and run in MLflow.

    Returns 409 and names what uses it if it is registered as a model, evaluated or scored by other
    jobs, or a trial of a sweep.
    """
    with transaction(here.engine) as session:
        jobs.delete(session, here.store, job_id)


@router.post("/{job_id}/cancel", responses=problems(403, 404, 409, 422))
def cancel_job(job_id: JobId, here: Here, owner: Owner) -> Job:
    """Cancel a job: a queued job ends at once, a running job as soon as its worker stops it.

    Repeating the request has no effect. Returns 409 if the job has ended in another way.
    """
    with transaction(here.engine) as session:
        return _view(session, jobs.cancel(session, job_id, owner=owner), here)


@router.post("/{job_id}/pause", responses=problems(403, 404, 409, 422))
def pause_job(job_id: JobId, here: Here, owner: Owner) -> Job:
    """Pause a job. A running job saves a checkpoint and stops."""
    with transaction(here.engine) as session:
        return _view(session, jobs.pause(session, job_id, owner=owner), here)


@router.post("/{job_id}/resume", responses=problems(403, 404, 409, 422))
def resume_job(job_id: JobId, here: Here, owner: Owner) -> Job:
    """Resume a paused job from its last checkpoint."""
    return _queued(here, lambda session: jobs.resume(session, job_id, owner=owner))


@router.post("/{job_id}/retry", status_code=202, responses=problems(403, 404, 409, 422))
def retry_job(job_id: JobId, here: Here, owner: Owner) -> Job:
    """Queue a new job with the spec of a job that failed or was cancelled or pruned.

    A queued job that waits after a lost attempt may start at once instead.
    """
    return _queued(here, lambda session: jobs.retry(session, job_id, owner=owner))


@router.post("/{job_id}/priority", responses=problems(403, 404, 409, 413, 415, 422))
def move_job(job_id: JobId, body: Exact[Priority], here: Here, owner: Owner) -> Job:
    """Change the priority of a job that has not ended."""
    with transaction(here.engine) as session:
        row = jobs.set_priority(session, job_id, body.priority, owner=owner)
        return _view(session, row, here)


def _queued(here: Context, change: Callable[[Session], tables.Job]) -> Job:
    """Apply a change that queues a job, and wake a worker after the commit."""
    with transaction(here.engine) as session:
        row = change(session)
        publish = jobs.may_notify(session, row)
        job = _view(session, row, here)
    if publish:
        here.wakeups.publish(job.id, job.device)
    return job


def _view(session: Session, row: tables.Job, here: Context) -> Job:
    attempts = jobs.attempts(session, row.id)
    queued = row.status is JobStatus.QUEUED
    queues = nodes.queue_workers(session) if queued else {}
    return Job.with_attempts(row, attempts, here.settings, queues)
