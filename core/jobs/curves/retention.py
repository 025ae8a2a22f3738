"""Thin the curves of jobs that ended long ago to their outlines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from core.db.tables import MetricChunk
from core.jobs.curves.metrics import last_steps, surviving
from core.jobs.curves.simplification import kept_indices
from core.jobs.points import PACKED, points


@dataclass(frozen=True)
class Outline:
    """The points of the chunk `chunk_id` that stay, and the number of those that do not."""

    chunk_id: int
    kept: NDArray[np.void]
    dropped: int

    @property
    def bytes(self) -> int:
        """Bytes of the points that do not stay."""
        return PACKED.itemsize * self.dropped


def outlines(session: Session, job_id: str) -> list[Outline]:
    """What thinning the curves of an ended job changes: chunks that lose points.

    Points that a later attempt superseded do not stay. Nothing is changed yet.
    """
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
        Outline(chunk.id, part[own], chunk.count - int(own.sum()))
        for chunk, part, own in zip(chunks, packed, np.split(kept, ends), strict=True)
        if own.sum() < chunk.count
    ]


def thin(session: Session, changes: Sequence[Outline]) -> None:
    """Keep only the outlines of curves of an ended job, whose row the caller has locked."""
    for outline in changes:
        own = MetricChunk.id == outline.chunk_id
        if not len(outline.kept):
            session.execute(delete(MetricChunk).where(own))
            continue
        steps = outline.kept["step"]
        session.execute(
            update(MetricChunk)
            .where(own)
            .values(
                points=outline.kept.tobytes(),
                count=len(outline.kept),
                first_step=int(steps.min()),
                last_step=int(steps.max()),
            )
            .execution_options(synchronize_session=False)
        )
