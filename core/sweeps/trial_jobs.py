"""The jobs of a sweep's trials: one each, or one for each fold of a cross-validation."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from core import jobs
from core.data.table.schema import DatasetSchema
from core.db.tables import Fold, Job, Sweep, Trial
from core.spec import JobSpec
from core.spec.stack import stack_key
from core.spec.sweep import SweepSpec
from core.status import TERMINAL, JobStatus


def cross_validated(sweep: Sweep) -> bool:
    """Whether the sweep's trials have a job for each fold."""
    return sweep.spec.get("cross_validation") is not None


def beside_jobs(sweep: Sweep, *columns: Any) -> Select[Any]:
    """Columns of the sweep's trials, of their jobs, and of `Fold` if they are cross-validated."""
    statement = select(*columns).select_from(Trial)
    if cross_validated(sweep):
        mine = and_(Fold.sweep_id == Trial.sweep_id, Fold.number == Trial.number)
        statement = statement.join(Fold, mine).join(Job, Job.id == Fold.job_id)
    else:
        statement = statement.join(Job, Job.id == Trial.job_id)
    return statement.where(Trial.sweep_id == sweep.id)


def in_order(sweep: Sweep) -> tuple[Any, ...]:
    """By which columns to sort `beside_jobs`: trials by number, their folds one after another."""
    return (Trial.number, Fold.fold) if cross_validated(sweep) else (Trial.number,)


def going_on(session: Session, sweep: Sweep) -> list[str]:
    """The ids of jobs of open trials that have not ended."""
    statement = beside_jobs(sweep, Job.id).where(
        Trial.status == "open", Job.status.not_in(list(TERMINAL))
    )
    return list(session.scalars(statement))


def job_ids(
    session: Session, sweep: Sweep, numbers: Collection[int] | None = None
) -> dict[int, list[str]]:
    """The ids of the jobs of trials (all of them without `numbers`), by number."""
    statement = beside_jobs(sweep, Trial.number, Job.id).order_by(*in_order(sweep))
    if numbers is not None:
        statement = statement.where(Trial.number.in_(numbers))
    found: dict[int, list[str]] = {}
    for number, job_id in session.execute(statement):
        found.setdefault(number, []).append(job_id)
    return found


def folds(session: Session, sweep: Sweep, numbers: Collection[int]) -> dict[int, list[Job]]:
    """The jobs of cross-validated trials, by number, the first fold's first; else nothing."""
    if not cross_validated(sweep) or not numbers:
        return {}
    statement = beside_jobs(sweep, Trial.number, Job).order_by(*in_order(sweep))
    found: dict[int, list[Job]] = {}
    for number, job in session.execute(statement.where(Trial.number.in_(numbers))):
        found.setdefault(number, []).append(job)
    return found


def standing(statuses: Iterable[JobStatus]) -> JobStatus:
    """How a trial stands that is not over, by its jobs: it runs when one of them does."""
    found = set(statuses)
    for status in (JobStatus.RUNNING, JobStatus.QUEUED, JobStatus.PAUSED):
        if status in found:
            return status
    return min(found) if len(found) == 1 else JobStatus.RUNNING


def submit(
    session: Session, sweep: Sweep, spec: SweepSpec, wanted: Iterable[tuple[Trial, JobSpec]]
) -> list[Fold]:
    """Queue the jobs of trials, each at its point; the folds to be added once the trials are."""
    places = [
        (trial, fold, named(one, sweep, trial.number))
        for trial, job in wanted
        for fold, one in enumerate(spec.jobs(job))
    ]
    queued = _queue(session, sweep, [job for _, _, job in places])
    made = []
    for (trial, fold, _), job_id in zip(places, queued, strict=True):
        if spec.cross_validation is None:
            trial.job_id = job_id
        else:
            made.append(Fold(sweep_id=sweep.id, number=trial.number, fold=fold, job_id=job_id))
    return made


def submit_again(
    session: Session, sweep: Sweep, spec: SweepSpec, trials: Collection[Trial]
) -> None:
    """Queue anew the jobs of trials that did not finish; those that did count as they are."""
    again: list[tuple[Fold | Trial, JobSpec]] = []
    for trial in trials:
        rows: list[Fold | Trial] = [trial]
        if cross_validated(sweep):
            mine = select(Fold).where(Fold.sweep_id == sweep.id, Fold.number == trial.number)
            rows = list(session.scalars(mine.order_by(Fold.fold)))
        wanted = (named(one, sweep, trial.number) for one in spec.jobs(spec.at(trial.point)))
        again += [
            (row, job)
            for row, job in zip(rows, wanted, strict=True)
            if session.get_one(Job, row.job_id).status is not JobStatus.FINISHED
        ]
    made = _queue(session, sweep, [job for _, job in again])
    for (row, _), job_id in zip(again, made, strict=True):
        session.get_one(Job, job_id).retry_of = row.job_id
        row.job_id = job_id


def _queue(session: Session, sweep: Sweep, wanted: Sequence[JobSpec]) -> list[str]:
    schema = DatasetSchema.model_validate(sweep.dataset_version.schema)
    return jobs.submit_all(
        session,
        [(job, stack_key(job, schema, sweep.id)) for job in wanted],
        sweep.dataset_version,
        owner=sweep.owner,
        max_attempts=sweep.max_attempts,
    )


def named(job: JobSpec, sweep: Sweep, number: int) -> JobSpec:
    """The job of a trial, with its number in the name and its sweep among the tags.

    One of several has its fold there, too.
    """
    name = f"{sweep.name[:230]} {number}"
    tags = {**job.tags, jobs.SWEEP_TAG: sweep.id}
    fold = job.data.split.fold
    if fold is not None:
        name = f"{name} fold {fold.number}"
        tags |= {jobs.TRIAL_TAG: str(number), jobs.FOLD_TAG: str(fold.number)}
    return job.model_copy(update={"name": name, "tags": tags})
