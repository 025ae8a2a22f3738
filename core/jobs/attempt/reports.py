"""What running attempts write: metric points, lines of the log and progress, each once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.tables import Job, MetricChunk
from core.jobs.attempt.ownership import Owned, own_all
from core.jobs.logs import Line, add_lines
from core.jobs.points import PACKED, Point, pack


@dataclass(frozen=True)
class Report:
    """What one attempt writes at once: a chunk of points, lines and progress.

    `points` is a PACKED array whose `key` indexes `keys`. `sequence` counts the attempt's reports
    from any number upwards. `progress` (`step`, `epoch`, `last`, `best`, totals ...) is merged into
    the job's.
    """

    sequence: int
    keys: Sequence[str] = ()
    points: NDArray[np.void] = field(default_factory=lambda: np.empty(0, PACKED))
    progress: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[Line] = ()

    @classmethod
    def of(
        cls,
        sequence: int,
        points: Iterable[Point],
        progress: Mapping[str, Any] | None = None,
        lines: Sequence[Line] = (),
    ) -> "Report":
        """The report of plain points. Raises InvalidError for more than 65,536 metrics."""
        return cls(sequence, *pack(points), progress or {}, lines)


def write(session: Session, owned: Owned, reports: Mapping[str, Report]) -> set[str]:
    """Write a report for each job; the ids of those that are still owned, the others' are dropped.

    A chunk or line that was written before is not written again, so a call whose outcome is unknown
    is repeated.
    """
    jobs = own_all(session, {job_id: owned[job_id] for job_id in reports})
    mine = {job_id: reports[job_id] for job_id in jobs}
    written = _written(session, owned, mine)
    for job_id, report in mine.items():
        job = jobs[job_id]
        add_lines(session, job_id, job.attempt, report.lines)
        if report.progress:
            apply_progress(job, report.progress)
        if len(report.points) and (job_id, job.attempt, report.sequence) not in written:
            session.add(
                MetricChunk(
                    job_id=job_id,
                    attempt=job.attempt,
                    sequence=report.sequence,
                    keys=list(report.keys),
                    points=report.points.tobytes(),
                    count=len(report.points),
                    first_step=int(report.points["step"].min()),
                    last_step=int(report.points["step"].max()),
                )
            )
    session.flush()
    return set(jobs)


def apply_progress(job: Job, progress: Mapping[str, Any]) -> None:
    """Merge `progress` into that of an owned row."""
    job.progress = {**(job.progress or {}), **progress}
    job.progress_step = int(progress.get("step", job.progress_step))


def _written(
    session: Session, owned: Owned, reports: Mapping[str, Report]
) -> set[tuple[str, int, int]]:
    """Job, attempt and sequence of the chunks of these reports that are in the database."""
    sequences = {report.sequence for report in reports.values() if len(report.points)}
    if not sequences:
        return set()
    chunks = select(MetricChunk.job_id, MetricChunk.attempt, MetricChunk.sequence).where(
        MetricChunk.job_id.in_(list(reports)),
        MetricChunk.attempt.in_({owned[job_id] for job_id in reports}),
        MetricChunk.sequence.in_(sequences),
    )
    return {(job_id, attempt, sequence) for job_id, attempt, sequence in session.execute(chunks)}
