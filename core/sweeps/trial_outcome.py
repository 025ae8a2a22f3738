"""From a trial's jobs to what the search is told of it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core import jobs
from core.db.tables import Job, Trial
from core.search.study import Outcome, Tried
from core.spec.sweep import SweepSpec
from core.status import JobStatus

_OUTCOMES: Mapping[str, Outcome] = {
    "open": "open",
    "finished": "finished",
    "pruned": "pruned",
    "failed": "failed",
    "cancelled": "failed",
}

_UNHAPPY = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.PRUNED)
"""How a job may end that did not finish: what outweighs the others first."""


def tell(spec: SweepSpec, trial: Trial, mine: Sequence[Job], moment: datetime) -> bool:
    """Let an open trial end as its jobs did; whether it did. Telling twice changes nothing.

    It ends when the last of its jobs has. Objectives are means over them.
    """
    if not trial.open or not all(job.status.terminal for job in mine):
        return False
    broken = spoiling(spec, mine)
    found = _measured(spec, mine)
    if broken is None:
        status, cause = JobStatus.FINISHED, None
    else:
        fold, status, cause = broken
        if cause is not None and len(mine) > 1:
            said = cause.get("message") or cause.get("kind")
            cause = {**cause, "fold": fold, "message": f"fold {fold}: {said}"}
    if status is JobStatus.PRUNED:
        found = found[:1]
    finite = [[value for value in one if value is not None] for one in found]
    if status in (JobStatus.FINISHED, JobStatus.PRUNED) and finite == found:
        trial.objectives = [statistics.fmean(one) for one in finite]
        if len(mine) > 1:
            # Of the folds there are, not of all there could be: as scikit-learn's `std_test_score`.
            trial.deviations = [statistics.pstdev(one) for one in finite]
    trial.status, trial.cause, trial.told_at = status.value, cause, moment
    return True


def spoiling(
    spec: SweepSpec, mine: Sequence[Job]
) -> tuple[int, JobStatus, dict[str, Any] | None] | None:
    """The first job that keeps a trial from finishing, how it ends the trial, and why.

    None as long as there is none among those that have ended.
    """
    for status in _UNHAPPY:
        for number, job in enumerate(mine):
            if job.status is status:
                return number, status, job.cause
            if status is JobStatus.FAILED and _worthless(spec, job):
                names = ", ".join(objective.metric for objective in spec.objectives)
                message = f"{names} is not a finite number"
                return number, status, {"kind": "no_objective", "message": message}
    return None


def _worthless(spec: SweepSpec, job: Job) -> bool:
    return job.status is JobStatus.FINISHED and None in _of(spec, job)


def _measured(spec: SweepSpec, mine: Sequence[Job]) -> list[list[float | None]]:
    """By objective what each job came to."""
    return [list(one) for one in zip(*(_of(spec, job) for job in mine), strict=True)]


def _of(spec: SweepSpec, job: Job) -> list[float | None]:
    """The objectives of a job that ended; None: not finite, or not there."""
    found = [measured(job, objective.metric) for objective in spec.objectives]
    return [value if value is not None and math.isfinite(value) else None for value in found]


def measured(job: Job, metric: str) -> float | None:
    """The value of a metric when the job ended; None when nothing reported it."""
    at_the_end = (job.result or {}).get("metrics") or {}
    last = (job.progress or {}).get("last") or {}
    value = at_the_end.get(metric, last.get(metric))
    return None if value is None else float(value)


def reports(session: Session, job_ids: Sequence[str], metric: str) -> dict[int, float]:
    """The value of a metric after each epoch that all jobs of a trial have reported: its mean."""
    found = []
    for job_id in job_ids:
        points = jobs.metrics(session, job_id, [metric]).points()
        found.append({point.epoch: point.value for point in points if point.epoch > 0})
    return mean_curve(found)


def mean_curve(curves: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """The mean of curves at each epoch that is in all of them."""
    if len(curves) == 1:
        return dict(curves[0])
    shared = set.intersection(*map(set, curves)) if curves else set()
    return {epoch: statistics.fmean(one[epoch] for one in curves) for epoch in sorted(shared)}


def tried(trial: Trial, reported: Mapping[int, float] | None = None) -> Tried:
    """A trial as the search knows it."""
    return Tried(
        trial.number,
        trial.point,
        _OUTCOMES[trial.status],
        tuple(trial.objectives or ()),
        reported or {},
        trial.attributes or {},
    )
