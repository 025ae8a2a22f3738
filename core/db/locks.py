"""Who mirrors a job or a sweep now: one process at a time, by a moment on the row itself."""

from typing import Any, TypeAlias

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db.clock import later, now
from core.db.tables import Job, Sweep

Mirrored: TypeAlias = type[Job] | type[Sweep]

# What MLflow shows is to be true a minute after it can be.
_LONGEST_REST_SECONDS = 30.0


def take_turn(session: Session, table: Mirrored, row_id: str, seconds: float) -> bool:
    """Have a row's mirror to oneself for `seconds`; False while another has it, or it rests."""
    statement = (
        update(table)
        .where(table.id == row_id, table.mirror_not_before <= now())
        .values(mirror_not_before=later(seconds))
        .execution_options(synchronize_session=False)
        .returning(table.id)
    )
    return session.scalar(statement) is not None


def extend_turn(session: Session, table: Mirrored, row_id: str, seconds: float) -> None:
    """Have the turn that one holds for `seconds` from now."""
    _set(session, table, row_id, mirror_not_before=later(seconds))


def end_turn(session: Session, table: Mirrored, row_id: str, rest_seconds: float = 0.0) -> None:
    """Let the next one mirror the row after a rest. Only for the one whose turn it is."""
    _set(session, table, row_id, mirror_not_before=later(rest_seconds), mirror_failures=0)


def fail_turn(session: Session, table: Mirrored, row_id: str) -> None:
    """Let the row's mirror rest for 1, 2, 4 ... seconds, half a minute at most."""
    failed = select(table.mirror_failures).where(table.id == row_id)
    failures = session.execute(failed).scalar_one()
    rest = later(min(2.0 ** min(failures, 10), _LONGEST_REST_SECONDS))
    _set(session, table, row_id, mirror_failures=failures + 1, mirror_not_before=rest)


def _set(session: Session, table: Mirrored, row_id: str, **values: Any) -> None:
    session.execute(
        update(table)
        .where(table.id == row_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
