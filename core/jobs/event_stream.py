"""The updates of a job since a position in its stream: changes of state, points, log lines."""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.db.tables import JobEvent, LogLine, MetricChunk
from core.errors import InvalidError
from core.jobs import history, queries
from core.jobs.curves.metrics import last_steps, surviving
from core.jobs.logs import log_lines
from core.jobs.points import Point, points

_CHUNKS = 20
_ROWS = 500


@dataclass(frozen=True)
class Position:
    """How far a reader is: the ids of the last event, metric chunk and log line that it read."""

    event: int = 0
    chunk: int = 0
    line: int = 0

    def __str__(self) -> str:
        return f"{self.event}.{self.chunk}.{self.line}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The position that `str` formatted as `text`. Raises InvalidError for any other text."""
        parts = text.split(".")
        if len(parts) != 3 or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
            raise InvalidError(f"{text[:40]!r} is not the id of an event of this stream")
        return cls(*map(int, parts))


@dataclass(frozen=True)
class Update:
    """One change, and the position of a reader that has read it."""

    content: JobEvent | LogLine | list[Point]
    position: Position


@dataclass(frozen=True)
class Updates:
    """Updates in order. `over`: the job has ended and nothing will follow."""

    items: list[Update]
    status: JobStatus
    over: bool


def updates_since(session: Session, job_id: str, position: Position) -> Updates:
    """What happened to a job since `position`, oldest first, some pages at most.

    Points that a later attempt repeats are left out. Raises NotFoundError.
    """
    # The state first: the statements after it see all that an ended job wrote.
    status = queries.get(session, job_id).status
    events = history.events(session, job_id, after=position.event, limit=_ROWS)
    lines = log_lines(session, job_id, after=position.line, limit=_ROWS)
    chunks = list(
        session.scalars(
            select(MetricChunk)
            .where(MetricChunk.job_id == job_id, MetricChunk.id > position.chunk)
            .order_by(MetricChunk.id)
            .limit(_CHUNKS)
        )
    )
    # Of rows with the same moment, points and lines come before the change of state.
    kinds: tuple[tuple[list[Any], str], ...] = (
        (chunks, "chunk"),
        (lines, "line"),
        (events, "event"),
    )
    moments = {name: _rising([_moment(row) for row in rows]) for rows, name in kinds}
    dated = [
        (moment, name, row)
        for rows, name in kinds
        for moment, row in zip(moments[name], rows, strict=True)
    ]
    dated.sort(key=lambda item: item[0])
    # No kind may run ahead of the end of another kind's full page.
    full = [n for rows, n in kinds if len(rows) == (_CHUNKS if n == "chunk" else _ROWS)]
    until = min((moments[name][-1] for name in full), default=None)
    cutoffs = last_steps(session, job_id)
    updates = []
    for moment, name, row in dated:
        if until is not None and moment > until:
            break
        position = replace(position, **{name: row.id})
        if not isinstance(row, MetricChunk):
            updates.append(Update(row, position))
        else:
            # The end of an epoch measures a metric better than its last step does: as in the
            # history, the last point of a metric at a step stays.
            kept = {(p.key, p.step): p for p in points(row.keys, surviving(row, cutoffs))}
            if kept:
                updates.append(Update(list(kept.values()), position))
    return Updates(updates, status, status.terminal and not full)


def _moment(row: MetricChunk | LogLine | JobEvent) -> datetime:
    return row.created_at if isinstance(row, MetricChunk) else row.at


def _rising(moments: list[datetime]) -> list[datetime]:
    """Moments that never decrease: a row that waited for a lock is dated before the holder's."""
    return list(accumulate(moments, max))
