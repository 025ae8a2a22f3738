"""The files that an ended job leaves in MLflow: what was asked and done, and the model if any."""

from collections.abc import Iterator

from sqlalchemy import Engine

from core import jobs, models
from core.data.storage.stores import Store
from core.db.session import reading
from core.status import JobKind, JobStatus
from core.tracking import Artifact
from worker.mlflow.description import Subject
from worker.mlflow.model_artifacts import model_artifacts
from worker.mlflow.provenance import source_files
from worker.mlflow.run_artifacts import evaluation_files, insight_files, run_files


def artifacts(engine: Engine, store: Store, subject: Subject, run_id: str) -> Iterator[Artifact]:
    """The files of a job's run, made one after the other; none of a job that has not ended.

    Raises as the store does, UnavailableError when the database does not answer.
    """
    if not subject.status.terminal or not subject.files:
        return
    with reading(engine) as session:
        attempts = jobs.attempts(session, subject.job_id)
        found = run_files(subject.spec, attempts, jobs.metrics(session, subject.job_id))
        job = jobs.get(session, subject.job_id)
        found += source_files(jobs.source_of(session, job)) + insight_files(job.insights)
        if job.kind is JobKind.EVALUATE and job.status is JobStatus.FINISHED:
            found += evaluation_files(models.evaluation_by(session, job.id))
    yield from found
    if subject.status is JobStatus.FINISHED and subject.model_key is not None:
        yield from model_artifacts(
            store,
            subject.model_key,
            spec=subject.spec,
            schema=subject.schema,
            run_id=run_id,
        )
