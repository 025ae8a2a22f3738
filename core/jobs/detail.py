"""The detail of old curves: jobs that ended long ago keep their shape and lose the rest."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db.clock import later
from core.db.tables import Job, MetricChunk
from core.jobs.metrics import last_steps, surviving
from core.jobs.points import PACKED, points
from core.jobs.reading import get
from core.jobs.thinning import MOST_POINTS, places_kept
from core.status import TERMINAL

_DAY = 86_400.0


@dataclass(frozen=True)
class Detailed:
    """A job whose curves may be thinned, and how many bytes that gives back."""

    job_id: str
    bytes: int


def detailed(session: Session, days: float, *, mirrored_only: bool) -> Iterator[Detailed]:
    """Jobs that ended `days` ago and have more than MOST_POINTS of a metric, the oldest first.

    `mirrored_only`: not those of which MLflow lacks something.
    """
    many = (
        select(MetricChunk.job_id)
        .group_by(MetricChunk.job_id)
        .having(func.sum(MetricChunk.count) > MOST_POINTS)
    )
    statement = (
        select(Job.id)
        .where(Job.status.in_(TERMINAL), Job.finished_at <= later(-_DAY * days), Job.id.in_(many))
        .order_by(Job.finished_at, Job.id)
    )
    if mirrored_only:
        statement = statement.where(Job.mirrored_status == Job.status)
    for job_id in session.scalars(statement).all():
        gone = sum(chunk.count - len(kept) for chunk, kept in _kept(session, job_id))
        if gone:
            yield Detailed(job_id, gone * PACKED.itemsize)


def thin(session: Session, job_id: str) -> None:
    """Keep of each metric of an ended job what `thinned` keeps. Raises NotFoundError."""
    get(session, job_id, lock=True)
    for chunk, kept in _kept(session, job_id):
        if not len(kept):
            session.delete(chunk)
        elif len(kept) < chunk.count:
            chunk.points = kept.tobytes()
            chunk.count = len(kept)
            chunk.first_step, chunk.last_step = int(kept["step"].min()), int(kept["step"].max())
    session.flush()


def _kept(session: Session, job_id: str) -> list[tuple[MetricChunk, NDArray[np.void]]]:
    """The chunks of a job, each with those of its points that are kept; superseded ones are not."""
    statement = select(MetricChunk).where(MetricChunk.job_id == job_id).order_by(MetricChunk.id)
    chunks = list(session.scalars(statement))
    last = last_steps(session, job_id)
    packed = [surviving(chunk, last) for chunk in chunks]
    told = [
        point
        for chunk, part in zip(chunks, packed, strict=True)
        for point in points(chunk.keys, part)
    ]
    kept = np.zeros(len(told), bool)
    kept[places_kept(told)] = True
    ends = np.cumsum([len(part) for part in packed])[:-1]
    return [
        (chunk, part[own])
        for chunk, part, own in zip(chunks, packed, np.split(kept, ends), strict=True)
    ]
