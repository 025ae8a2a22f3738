"""Evaluations: metrics of models on dataset versions."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobKind
from core.db.tables import DatasetVersion, Evaluation, Job
from core.errors import ConflictError, NotFoundError
from core.events import EvaluationEnded


def record(session: Session, job: Job, event: EvaluationEnded) -> Evaluation:
    """Store the result of an evaluating job; return the present row if it is stored already."""
    present = session.scalar(select(Evaluation).where(Evaluation.evaluated_by == job.id))
    if present is not None:
        return present
    row = Evaluation(
        job_id=job.model_job_id,
        evaluated_by=job.id,
        dataset_version_id=job.dataset_version_id,
        rows=event.rows,
        metrics=event.metrics,
        slices=event.slices,
        confusion=event.confusion,
        owner=job.owner,
    )
    session.add(row)
    session.flush()
    return row


def evaluation_by(session: Session, job_id: str) -> Evaluation:
    """Return the evaluation by a job.

    Raises NotFoundError, and ConflictError while the job has no result.
    """
    job = session.get(Job, job_id)
    if job is None or job.kind is not JobKind.EVALUATE:
        raise NotFoundError(f"there is no job {job_id} that evaluates a model")
    row = session.scalar(select(Evaluation).where(Evaluation.evaluated_by == job_id))
    if row is None:
        raise ConflictError(f"job {job_id} is {job.status}: it has no result")
    return row


def latest_evaluation(session: Session, job_id: str, dataset: DatasetVersion) -> Evaluation | None:
    """Return the newest evaluation of a job's model on a dataset version, or None."""
    statement = (
        select(Evaluation)
        .where(Evaluation.job_id == job_id, Evaluation.dataset_version_id == dataset.id)
        .order_by(Evaluation.id.desc())
        .limit(1)
    )
    return session.scalar(statement)


def evaluations(
    session: Session, job_ids: list[str], *, before: int | None = None, limit: int = 50
) -> list[Evaluation]:
    """Return evaluations of the models of these jobs, newest first."""
    statement = (
        select(Evaluation)
        .where(Evaluation.job_id.in_(job_ids))
        .order_by(Evaluation.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(Evaluation.id < before)
    return list(session.scalars(statement))
