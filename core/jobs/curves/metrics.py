"""Read the metric history of a job, which its attempts write in chunks.

An attempt that resumes at a step repeats the steps of earlier attempts beyond it; their points from
there on are superseded. That follows from the rows of the attempts, so nothing is rewritten.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.tables import Attempt, MetricChunk
from core.jobs.points import PACKED, Point, unpack

_CHUNKS = 100
"""Chunks that are read from the database at once."""
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class History:
    """A PACKED array of points by metric, in order of step; `cursor` continues after the last.

    `more`: the limit was reached, and there are later points already.
    """

    series: dict[str, NDArray[np.void]]
    cursor: int
    more: bool = False

    def points(self) -> Iterator[Point]:
        """All points, metric by metric, in order of step."""
        for key, packed in self.series.items():
            for _, step, epoch, at_ms, value in packed.tolist():
                yield Point(key, step, epoch, at_ms, value)


def metrics(
    session: Session,
    job_id: str,
    keys: Collection[str] | None = None,
    after: int | None = None,
    limit: int | None = None,
) -> History:
    """The points of a job that are not superseded, of the metrics `keys` (None: all).

    With `after`, the cursor of an earlier call, only points of chunks written since. With `limit`
    no further chunk is read after so many points.
    """
    statement = select(MetricChunk).where(MetricChunk.job_id == job_id).order_by(MetricChunk.id)
    if after is not None:
        statement = statement.where(MetricChunk.id > after)
    cutoffs = last_steps(session, job_id)
    gathered: dict[str, list[tuple[int, NDArray[np.void]]]] = {}
    cursor, count, more = after or 0, 0, False
    for chunk in session.scalars(statement.execution_options(yield_per=_CHUNKS)):
        if limit is not None and count >= limit:
            more = True
            break
        cursor = chunk.id
        packed = surviving(chunk, cutoffs)
        for index, key in enumerate(chunk.keys):
            if keys is None or key in keys:
                mine = packed[packed["key"] == index]
                if len(mine):
                    gathered.setdefault(key, []).append((chunk.attempt, mine))
                    count += len(mine)
    series = {key: _in_order(parts) for key, parts in sorted(gathered.items())}
    return History(series, cursor, more)


def last_steps(session: Session, job_id: str) -> dict[int, int]:
    """By attempt number the last step whose points no later attempt supersedes."""
    statement = (
        select(Attempt.number, Attempt.resumed_from_step)
        .where(Attempt.job_id == job_id)
        .order_by(Attempt.number.desc())
    )
    last: dict[int, int] = {}
    lowest = int(_NEVER)
    for number, resumed_from in session.execute(statement):
        last[number] = lowest
        lowest = min(lowest, resumed_from)
    return last


def surviving(chunk: MetricChunk, last: dict[int, int]) -> NDArray[np.void]:
    """The points of `chunk` that no later attempt supersedes; `last` is what last_steps returns."""
    packed = unpack(chunk.points)
    cutoff = last.get(chunk.attempt, _NEVER)
    return packed if chunk.last_step <= cutoff else packed[packed["step"] <= cutoff]


def _in_order(parts: list[tuple[int, NDArray[np.void]]]) -> NDArray[np.void]:
    """One array in order of step; where attempts overlap, the newest attempt's point stays."""
    packed = np.concatenate([part for _, part in parts])
    numbers = np.concatenate([np.full(len(part), number) for number, part in parts])
    order = np.lexsort((np.arange(len(packed)), numbers, packed["step"]))
    packed = packed[order]
    newest = np.append(packed["step"][1:] != packed["step"][:-1], True)
    return np.ascontiguousarray(packed[newest]).view(PACKED)
