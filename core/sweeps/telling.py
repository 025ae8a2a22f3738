"""From a trial's job to what the search is told of it."""

import math
from collections.abc import Mapping
from datetime import datetime

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


def tell(spec: SweepSpec, trial: Trial, job: Job, moment: datetime) -> bool:
    """Let an open trial end as its job did; whether it did. Telling twice changes nothing."""
    if not trial.open or not job.status.terminal:
        return False
    status, cause = job.status.value, job.cause
    found: list[float | None] | None = None
    if job.status is JobStatus.FINISHED:
        found = [measured(job, objective.metric) for objective in spec.objectives]
        if any(value is None or not math.isfinite(value) for value in found):
            names = ", ".join(objective.metric for objective in spec.objectives)
            status, found = "failed", None
            cause = {"kind": "no_objective", "message": f"{names} is not a finite number"}
    elif job.status is JobStatus.PRUNED:
        value = measured(job, spec.objectives[0].metric)
        found = [value] if value is not None and math.isfinite(value) else None
    trial.status, trial.objectives, trial.cause, trial.told_at = status, found, cause, moment
    return True


def measured(job: Job, metric: str) -> float | None:
    """The value of a metric when the job ended; None when nothing reported it."""
    at_the_end = (job.result or {}).get("metrics") or {}
    last = (job.progress or {}).get("last") or {}
    value = at_the_end.get(metric, last.get(metric))
    return None if value is None else float(value)


def reports(session: Session, job_id: str, metric: str) -> dict[int, float]:
    """The value of a metric after each epoch so far."""
    points = jobs.metrics(session, job_id, [metric]).points()
    return {point.epoch: point.value for point in points if point.epoch > 0}


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
