"""What became of a job since somebody last looked: changes of its state and metric points."""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.tables import JobEvent, LogLine, MetricChunk
from core.errors import InvalidError
from core.jobs import history, queries
from core.jobs.curves.metrics import last_steps, surviving
from core.jobs.logs import log_lines
from core.jobs.points import Point, points
from core.status import JobStatus

_CHUNKS = 20
_ROWS = 500


@dataclass(frozen=True)
class Place:
    """How far a reader is: the ids of the last event, metric chunk and log line it has seen."""

    event: int = 0
    chunk: int = 0
    line: int = 0

    def __str__(self) -> str:
        return f"{self.event}.{self.chunk}.{self.line}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place that `str` gave `text` for. Raises InvalidError for any other text."""
        parts = text.split(".")
        if len(parts) != 3 or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
            raise InvalidError(f"{text[:40]!r} is not the id of an event of this stream")
        return cls(*map(int, parts))


@dataclass(frozen=True)
class News:
    """One thing that happened, and the place of a reader who has seen it."""

    what: JobEvent | LogLine | list[Point]
    place: Place


@dataclass(frozen=True)
class Look:
    """What a reader had not seen, in order. `over`: the job has ended and nothing will follow."""

    news: list[News]
    status: JobStatus
    over: bool


def look(session: Session, job_id: str, place: Place) -> Look:
    """What happened to a job since `place`, oldest first, some pages at most.

    Points that a later attempt repeats are left out. Raises NotFoundError.
    """
    # The state first: all that an ended job wrote is there for the statements after it.
    status = queries.get(session, job_id).status
    events = history.events(session, job_id, after=place.event, limit=_ROWS)
    lines = log_lines(session, job_id, after=place.line, limit=_ROWS)
    chunks = list(
        session.scalars(
            select(MetricChunk)
            .where(MetricChunk.job_id == job_id, MetricChunk.id > place.chunk)
            .order_by(MetricChunk.id)
            .limit(_CHUNKS)
        )
    )
    # Of what is written in one moment, points and lines go before the change of state.
    kinds: tuple[tuple[list[Any], str], ...] = (
        (chunks, "chunk"),
        (lines, "line"),
        (events, "event"),
    )
    moments = {name: _rising([_moment(row) for row in rows]) for rows, name in kinds}
    found = [
        (moment, name, row)
        for rows, name in kinds
        for moment, row in zip(moments[name], rows, strict=True)
    ]
    found.sort(key=lambda item: item[0])
    # Beyond the end of a full page of one kind the others may not run ahead.
    full = [n for rows, n in kinds if len(rows) == (_CHUNKS if n == "chunk" else _ROWS)]
    until = min((moments[name][-1] for name in full), default=None)
    cutoffs = last_steps(session, job_id)
    news = []
    for moment, name, row in found:
        if until is not None and moment > until:
            break
        place = replace(place, **{name: row.id})
        if not isinstance(row, MetricChunk):
            news.append(News(row, place))
        else:
            # The end of an epoch tells a metric better than the step that it ends with: as in the
            # history, the last point of a metric at a step stays.
            kept = {(one.key, one.step): one for one in points(row.keys, surviving(row, cutoffs))}
            if kept:
                news.append(News(list(kept.values()), place))
    return Look(news, status, status.terminal and not full)


def _moment(row: MetricChunk | LogLine | JobEvent) -> datetime:
    return row.created_at if isinstance(row, MetricChunk) else row.at


def _rising(moments: list[datetime]) -> list[datetime]:
    """Moments that never go back: who waited for a lock is dated earlier than who held it."""
    return list(accumulate(moments, max))
