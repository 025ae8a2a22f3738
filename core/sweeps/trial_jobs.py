"""Jobs of a sweep's trials: one job a trial, or one a fold in a cross-validation."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from chainrule.contract.status import TERMINAL, JobStatus
from core import jobs
from core.data.table.schema import DatasetSchema
from core.db.tables import Fold, Job, Sweep, Trial
from core.spec import JobSpec
from core.spec.stack import stack_key
from core.spec.sweep import SweepSpec


def is_cross_validated(sweep: Sweep) -> bool:
    """Return whether the trials of a sweep have one job for each fold."""
    return sweep.spec.get("cross_validation") is not None


def select_with_jobs(sweep: Sweep, *columns: Any) -> Select[Any]:
    """Select columns of the sweep's trials joined with their jobs.

    `Fold` is joined too if the trials are cross-validated.
    """
    statement = select(*columns).select_from(Trial)
    if is_cross_validated(sweep):
        same_trial = and_(Fold.sweep_id == Trial.sweep_id, Fold.number == Trial.number)
        statement = statement.join(Fold, same_trial).join(Job, Job.id == Fold.job_id)
    else:
        statement = statement.join(Job, Job.id == Trial.job_id)
    return statement.where(Trial.sweep_id == sweep.id)


def trial_order(sweep: Sweep) -> tuple[Any, ...]:
    """Return the columns that order `select_with_jobs` by trial number, then by fold."""
    return (Trial.number, Fold.fold) if is_cross_validated(sweep) else (Trial.number,)


def unfinished_jobs(session: Session, sweep: Sweep) -> list[str]:
    """Return the ids of jobs of open trials that have not ended."""
    statement = select_with_jobs(sweep, Job.id).where(
        Trial.status == "open", Job.status.not_in(list(TERMINAL))
    )
    return list(session.scalars(statement))


def job_ids(
    session: Session, sweep: Sweep, numbers: Collection[int] | None = None
) -> dict[int, list[str]]:
    """Return job ids by trial number, in the order of folds; of all trials without `numbers`."""
    statement = select_with_jobs(sweep, Trial.number, Job.id)
    if numbers is not None:
        statement = statement.where(Trial.number.in_(numbers))
    return _by_number(session, statement.order_by(*trial_order(sweep)))


def folds(session: Session, sweep: Sweep, numbers: Collection[int]) -> dict[int, list[Job]]:
    """Return the jobs of cross-validated trials by trial number, in the order of folds.

    The result is empty for a sweep that is not cross-validated.
    """
    if not is_cross_validated(sweep) or not numbers:
        return {}
    statement = select_with_jobs(sweep, Trial.number, Job).where(Trial.number.in_(numbers))
    return _by_number(session, statement.order_by(*trial_order(sweep)))


def _by_number(session: Session, statement: Select[Any]) -> dict[int, list[Any]]:
    """Group the rows `(trial number, value)` of a statement by trial number."""
    grouped: dict[int, list[Any]] = {}
    for number, value in session.execute(statement):
        grouped.setdefault(number, []).append(value)
    return grouped


def combined_status(statuses: Iterable[JobStatus]) -> JobStatus:
    """Return the status of an open trial from the statuses of its jobs.

    The trial runs if any job runs, else it is queued or paused if any job is.
    """
    distinct = set(statuses)
    for status in (JobStatus.RUNNING, JobStatus.QUEUED, JobStatus.PAUSED):
        if status in distinct:
            return status
    return min(distinct) if len(distinct) == 1 else JobStatus.RUNNING


def submit(
    session: Session, sweep: Sweep, spec: SweepSpec, specs: Iterable[tuple[Trial, JobSpec]]
) -> list[Fold]:
    """Queue the jobs of trials, each with the JobSpec of its point.

    Return the rows of the folds: the caller adds them after the rows of the trials.
    """
    places = [
        (trial, fold, _labelled(fold_spec, sweep, trial.number))
        for trial, job_spec in specs
        for fold, fold_spec in enumerate(spec.jobs(job_spec))
    ]
    queued = _queue(session, sweep, [job_spec for _, _, job_spec in places])
    rows = []
    for (trial, fold, _), job_id in zip(places, queued, strict=True):
        if spec.cross_validation is None:
            trial.job_id = job_id
        else:
            rows.append(Fold(sweep_id=sweep.id, number=trial.number, fold=fold, job_id=job_id))
    return rows


def submit_again(
    session: Session, sweep: Sweep, spec: SweepSpec, trials: Collection[Trial]
) -> None:
    """Queue new jobs for those jobs of the trials that did not finish; keep the finished ones."""
    again: list[tuple[Fold | Trial, JobSpec]] = []
    for trial in trials:
        rows: list[Fold | Trial] = [trial]
        if is_cross_validated(sweep):
            own = select(Fold).where(Fold.sweep_id == sweep.id, Fold.number == trial.number)
            rows = list(session.scalars(own.order_by(Fold.fold)))
        again += [
            (row, _labelled(job_spec, sweep, trial.number))
            for row, job_spec in zip(rows, spec.jobs(spec.at(trial.point)), strict=True)
            if session.get_one(Job, row.job_id).status is not JobStatus.FINISHED
        ]
    queued = _queue(session, sweep, [job_spec for _, job_spec in again])
    for (row, _), job_id in zip(again, queued, strict=True):
        session.get_one(Job, job_id).retry_of = row.job_id
        row.job_id = job_id


def _queue(session: Session, sweep: Sweep, specs: Sequence[JobSpec]) -> list[str]:
    schema = DatasetSchema.model_validate(sweep.dataset_version.schema)
    return jobs.submit_all(
        session,
        [(job_spec, stack_key(job_spec, schema, sweep.id)) for job_spec in specs],
        sweep.dataset_version,
        owner=sweep.owner,
        max_attempts=sweep.max_attempts,
    )


def _labelled(job_spec: JobSpec, sweep: Sweep, number: int) -> JobSpec:
    """Return the JobSpec with the trial (and fold) in its name and the sweep in its tags."""
    name = f"{sweep.name[:230]} {number}"
    tags = {**job_spec.tags, jobs.SWEEP_TAG: sweep.id}
    fold = job_spec.data.split.fold
    if fold is not None:
        name = f"{name} fold {fold.number}"
        tags |= {jobs.TRIAL_TAG: str(number), jobs.FOLD_TAG: str(fold.number)}
    return job_spec.model_copy(update={"name": name, "tags": tags})
