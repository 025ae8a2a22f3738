"""Thin the curves of jobs that ended long ago to their outlines."""

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.tables import MetricChunk
from core.jobs.curves.metrics import last_steps, surviving
from core.jobs.curves.simplification import kept_indices
from core.jobs.points import PACKED, points


def detail_bytes(session: Session, job_id: str) -> int:
    """Bytes of the points that `thin` would delete."""
    return PACKED.itemsize * sum(
        chunk.count - len(kept) for chunk, kept in _outlines(session, job_id)
    )


def thin(session: Session, job_id: str) -> None:
    """Keep the outline of each metric of an ended job whose row the caller has locked."""
    for chunk, kept in _outlines(session, job_id):
        if not len(kept):
            session.delete(chunk)
        elif len(kept) < chunk.count:
            chunk.points = kept.tobytes()
            chunk.count = len(kept)
            chunk.first_step, chunk.last_step = int(kept["step"].min()), int(kept["step"].max())
    session.flush()


def _outlines(session: Session, job_id: str) -> list[tuple[MetricChunk, NDArray[np.void]]]:
    """The chunks of a job, each with the points that stay; superseded points do not."""
    statement = select(MetricChunk).where(MetricChunk.job_id == job_id).order_by(MetricChunk.id)
    chunks = list(session.scalars(statement))
    last = last_steps(session, job_id)
    packed = [surviving(chunk, last) for chunk in chunks]
    shown = [
        point
        for chunk, part in zip(chunks, packed, strict=True)
        for point in points(chunk.keys, part)
    ]
    kept = np.zeros(len(shown), bool)
    kept[kept_indices(shown, lambda point: point.key)] = True
    ends = np.cumsum([len(part) for part in packed])[:-1]
    return [
        (chunk, part[own])
        for chunk, part, own in zip(chunks, packed, np.split(kept, ends), strict=True)
    ]
