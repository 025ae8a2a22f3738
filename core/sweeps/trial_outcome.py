"""Outcome of a trial: its objectives and status, computed from its jobs, and its rank."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from heapq import nsmallest
from typing import Any, TypeAlias

from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.tables import Job, Trial
from core.search.study import Outcome, TrialRecord
from core.spec.sweep import SweepSpec

Ranked: TypeAlias = tuple[int, tuple[float, ...]]
"""Number of a trial and its costs: the objectives, negated where they are maximized."""

_OUTCOMES: Mapping[str, Outcome] = {
    "open": "open",
    "finished": "finished",
    "pruned": "pruned",
    "failed": "failed",
    "cancelled": "failed",
}

_NOT_FINISHED = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.PRUNED)
"""Terminal statuses other than finished, by precedence: which one decides the trial's status."""


def record_outcome(
    spec: SweepSpec, trial: Trial, own_jobs: Sequence[Job], moment: datetime
) -> bool:
    """End an open trial once all of its jobs have ended; return whether it ended.

    `own_jobs` are all jobs of the trial in the order of folds. Objectives are means over them.
    Calling again changes nothing.
    """
    if not trial.open or not all(job.status.terminal for job in own_jobs):
        return False
    failure = first_failure(spec, own_jobs)
    by_objective = list(zip(*(_objectives(spec, job) for job in own_jobs), strict=True))
    if failure is None:
        status, cause = JobStatus.FINISHED, None
    else:
        fold, status, cause = failure
        if cause is not None and len(own_jobs) > 1:
            message = cause.get("message") or cause.get("kind")
            cause = {**cause, "fold": fold, "message": f"fold {fold}: {message}"}
    if status is JobStatus.PRUNED:
        by_objective = by_objective[:1]
    values = [[value for value in row if value is not None] for row in by_objective]
    complete = all(len(row) == len(own_jobs) for row in values)
    if status in (JobStatus.FINISHED, JobStatus.PRUNED) and complete:
        trial.objectives = [statistics.fmean(row) for row in values]
        if len(own_jobs) > 1:
            # The population deviation, as scikit-learn's `std_test_score`.
            trial.deviations = [statistics.pstdev(row) for row in values]
    trial.status, trial.cause, trial.told_at = status.value, cause, moment
    return True


def first_failure(
    spec: SweepSpec, own_jobs: Sequence[Job]
) -> tuple[int, JobStatus, dict[str, Any] | None] | None:
    """Return the first job that keeps a trial from finishing: its fold, status and cause.

    Jobs that have not ended are ignored. None if no ended job keeps the trial from finishing.
    """
    for status in _NOT_FINISHED:
        for fold, job in enumerate(own_jobs):
            if job.status is status:
                return fold, status, job.cause
            if status is JobStatus.FAILED and _lacks_objective(spec, job):
                names = ", ".join(objective.metric for objective in spec.objectives)
                message = f"{names} is not a finite number"
                return fold, status, {"kind": "no_objective", "message": message}
    return None


def _lacks_objective(spec: SweepSpec, job: Job) -> bool:
    return job.status is JobStatus.FINISHED and None in _objectives(spec, job)


def _objectives(spec: SweepSpec, job: Job) -> list[float | None]:
    """Return the objectives of a job that ended; None for one that is missing or not finite."""
    values = [last_value(job, objective.metric) for objective in spec.objectives]
    return [value if value is not None and math.isfinite(value) else None for value in values]


def last_value(job: Job, metric: str) -> float | None:
    """Return the value of a metric when the job ended; None if the job never logged it."""
    final = (job.result or {}).get("metrics") or {}
    last = (job.progress or {}).get("last") or {}
    value = final.get(metric, last.get(metric))
    return None if value is None else float(value)


def mean_reports(session: Session, job_ids: Sequence[str], metric: str) -> dict[int, float]:
    """Return the mean of a metric over the jobs of a trial, by epoch that all of them logged."""
    curves = []
    for job_id in job_ids:
        points = jobs.metrics(session, job_id, [metric]).points()
        curves.append({point.epoch: point.value for point in points if point.epoch > 0})
    return mean_curve(curves)


def mean_curve(curves: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Return the mean of curves at each epoch that all of them have."""
    if len(curves) == 1:
        return dict(curves[0])
    shared = set.intersection(*map(set, curves)) if curves else set()
    return {epoch: statistics.fmean(curve[epoch] for curve in curves) for epoch in sorted(shared)}


def record_of(trial: Trial, reports: Mapping[int, float] | None = None) -> TrialRecord:
    """Return a trial in the form that the search takes; `reports` has the objective by epoch."""
    return TrialRecord(
        trial.number,
        trial.point,
        _OUTCOMES[trial.status],
        tuple(trial.objectives or ()),
        reports or {},
        trial.attributes or {},
    )


def ranked(spec: SweepSpec, number: int, objectives: Sequence[float]) -> Ranked:
    """Return a finished trial with its costs, so that lower is better in each of them."""
    return number, tuple(
        value if objective.direction == "minimize" else -value
        for objective, value in zip(spec.objectives, objectives, strict=True)
    )


def best_of(trials: Iterable[Ranked], most: int = 1) -> list[Ranked]:
    """Return the `most` trials with the lowest cost; of several objectives the Pareto front.

    Of trials with equal costs the lower number comes first. A front is ordered by number.
    """
    candidates = sorted(trials)
    if not candidates or len(candidates[0][1]) == 1:
        return nsmallest(most, candidates, key=lambda trial: (trial[1], trial[0]))
    return [
        trial
        for trial in candidates
        if not any(dominates(other, trial[1]) for _, other in candidates)
    ]


def dominates(costs: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether `costs` are nowhere higher than `other` and somewhere lower."""
    return costs != other and all(a <= b for a, b in zip(costs, other, strict=True))
