"""What MLflow is told of a job besides its points, as its row says it."""

import json
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core import jobs
from core.db.tables import DatasetVersion, Job
from core.db.types import to_milliseconds
from core.settings import Settings
from core.status import JobKind, JobStatus
from core.tracking import (
    PARENT_TAG,
    DatasetInput,
    RunDescription,
    dataset_profile,
    dataset_schema,
    flatten,
)
from worker.mlflow.provenance import source_tags

_MOST_CAUSE = 2000
MOST_TRIALS_WITH_FILES = 100
_CONTEXTS = {
    JobKind.TRAIN: "training",
    JobKind.EVALUATE: "evaluation",
    JobKind.SCORE: "scoring",
}
"""What a dataset version is to a job, as MLflow shows it."""
_NOT_PARAMS = frozenset(
    {"tags", "name", "description", "experiment", "priority", "source", "max_attempts"}
)


@dataclass(frozen=True)
class Subject:
    """What the mirror needs of a job's row, read once a turn."""

    job_id: str
    status: JobStatus
    mirrored_status: str | None
    run_id: str | None
    description: RunDescription
    finished_at_ms: int | None
    tags: dict[str, str]
    spec: dict[str, object]
    model_key: str | None
    schema: dict[str, object]
    nesting: jobs.Nesting

    @property
    def files(self) -> bool:
        """Whether it leaves files: thousands of models of one sweep would only be in the way.

        The store has their models all the same.
        """
        return self.nesting.beside <= MOST_TRIALS_WITH_FILES


def _note(job: Job, settings: Settings) -> str:
    """What MLflow's page of a run says on top: its description, why it failed, where it is here."""
    parts = [str(job.spec.get("description") or "")]
    if job.cause and job.status in (JobStatus.FAILED, JobStatus.CANCELLED):
        said = str(job.cause.get("message") or job.cause.get("kind") or "")
        parts.append(f"**{job.status.value}:** {said[:_MOST_CAUSE]}")
    if settings.public_url:
        parts.append(f"[job {job.id[:8]}]({settings.public_url.rstrip('/')}/v1/jobs/{job.id})")
    return "\n\n".join(part for part in parts if part)


def dataset_input(version: DatasetVersion, kind: JobKind = JobKind.TRAIN) -> DatasetInput:
    """A dataset version as MLflow is told of it by a job of this kind."""
    return DatasetInput(
        version.dataset.name,
        version.version,
        version.digest,
        dataset_schema(version.schema),
        f"{version.dataset.name}@{version.version}",
        dataset_profile(version.schema),
        _CONTEXTS[kind],
    )


def read_subject(session: Session, job: Job, settings: Settings) -> Subject:
    """What MLflow is told of `job`, as it and what it belongs to stand now."""
    begins = job.mlflow_run_id is None
    tags = source_tags(jobs.source_of(session, job)) if begins else {}
    return subject_of(job, settings, jobs.nesting(session, job), tags)


def subject_of(
    job: Job, settings: Settings, nesting: jobs.Nesting, source: dict[str, str]
) -> Subject:
    """What MLflow is told of `job`, with the tags of its `source`, in its place."""
    version = job.dataset_version
    description = RunDescription(
        job_id=job.id,
        experiment=job.experiment.name,
        name=job.name or f"job-{job.id[:8]}",
        started_at_ms=to_milliseconds(job.started_at or job.created_at),
        params=flatten({k: v for k, v in job.spec.items() if k not in _NOT_PARAMS}),
        tags={
            **source,
            **job.tags,
            "mlflow.user": job.owner,
            "mlflow.note.content": _note(job, settings),
            "chainrule.dataset_digest": version.digest,
            "chainrule.kind": job.kind.value,
            "chainrule.model_job_id": job.model_job_id or "",
            PARENT_TAG: nesting.parent or "",
        },
        dataset=dataset_input(version, job.kind),
    )
    result = job.result or {}
    return Subject(
        job_id=job.id,
        status=job.status,
        mirrored_status=job.mirrored_status,
        run_id=job.mlflow_run_id,
        description=description,
        finished_at_ms=to_milliseconds(job.finished_at) if job.finished_at else None,
        tags={
            "chainrule.status": job.status.value,
            "chainrule.node": job.node or "",
            "chainrule.attempts": str(job.attempt),
            "chainrule.weights_digest": str(result.get("weights_digest", "")),
            "chainrule.predictions_digest": str(result.get("predictions_digest", "")),
            "chainrule.reason": str(result.get("reason", "")),
            "chainrule.cause": json.dumps(job.cause) if job.cause else "",
            "mlflow.note.content": _note(job, settings),
            PARENT_TAG: nesting.parent or "",
        },
        spec=job.spec,
        model_key=result.get("model_key"),
        schema=version.schema,
        nesting=nesting,
    )
