"""The logs of jobs: lines that attempts write, for people to read."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db.tables import LogLine
from core.db.types import storable

MOST_LINES = 2000
"""Lines that one attempt may write."""

MOST_CHARACTERS = 8000


class Line(NamedTuple):
    """Line `number` of an attempt, counted from 1; `level` is `info`, `warning` or `error`."""

    number: int
    level: str
    text: str


def add_lines(session: Session, job_id: str, attempt: int, lines: Sequence[Line]) -> None:
    """Add lines of an attempt that the caller has locked, except those that are present already.

    Lines beyond MOST_LINES are dropped, and a text is cut to MOST_CHARACTERS.
    """
    if not lines:
        return
    mine = (LogLine.job_id == job_id, LogLine.attempt == attempt)
    last = session.scalar(select(func.max(LogLine.number)).where(*mine)) or 0
    session.add_all(
        LogLine(
            job_id=job_id,
            attempt=attempt,
            number=line.number,
            level=line.level,
            text=storable(line.text[:MOST_CHARACTERS]),
        )
        for line in lines
        if last < line.number <= MOST_LINES
    )
    session.flush()


def log_lines(session: Session, job_id: str, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
    """The lines of a job whose id is above `after`, oldest first."""
    statement = (
        select(LogLine)
        .where(LogLine.job_id == job_id, LogLine.id > after)
        .order_by(LogLine.id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def log_text(session: Session, job_id: str) -> Iterator[str]:
    """The lines of a job as text, oldest first: time in UTC, level and message."""
    after = 0
    while rows := log_lines(session, job_id, after=after):
        for row in rows:
            yield f"{row.at:%Y-%m-%dT%H:%M:%S.%fZ} {row.level:<7} {row.text}\n"
        after = rows[-1].id
