"""What a mirror keeps on a row: its lock; for jobs and sweeps also the run and the status sent.

The lock is a timestamp, which the database compares.
"""

from typing import Any, TypeAlias

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db.clock import later, now
from core.db.tables import Job, RegisteredModel, Sweep

Mirrored: TypeAlias = type[Job] | type[Sweep]
"""Tables whose rows have runs."""

Locked: TypeAlias = Mirrored | type[RegisteredModel]
"""Tables whose rows are mirrored by one process at a time."""

# MLflow should be correct a minute after the cause of a failure is gone.
_MAX_BACKOFF_SECONDS = 30.0


def acquire_lock(session: Session, table: Locked, row_id: str | int, seconds: float) -> bool:
    """Lock a row for `seconds`; False while another process holds it or the row backs off."""
    statement = (
        update(table)
        .where(table.id == row_id, table.mirror_not_before <= now())
        .values(mirror_not_before=later(seconds))
        .execution_options(synchronize_session=False)
        .returning(table.id)
    )
    return session.scalar(statement) is not None


def extend_lock(session: Session, table: Locked, row_id: str | int, seconds: float) -> None:
    """Let the caller's lock expire `seconds` from now."""
    _set(session, table, row_id, mirror_not_before=later(seconds))


def release_lock(
    session: Session, table: Locked, row_id: str | int, rest_seconds: float = 0.0
) -> None:
    """Release the caller's lock after a success: the row is free again in `rest_seconds`."""
    _set(session, table, row_id, mirror_not_before=later(rest_seconds), mirror_failures=0)


def back_off(session: Session, table: Locked, row_id: str | int) -> None:
    """Count a failure: the row is free again in 1, 2, 4 ... seconds, at most 30."""
    counted = select(table.mirror_failures).where(table.id == row_id)
    failures = session.scalar(counted) or 0
    free_at = later(min(2.0 ** min(failures, 10), _MAX_BACKOFF_SECONDS))
    _set(session, table, row_id, mirror_failures=failures + 1, mirror_not_before=free_at)


def record_run(session: Session, table: Mirrored, row_id: str, run_id: str) -> str:
    """Set the run of a row to `run_id` unless it has one; the run that it has now."""
    session.execute(
        update(table)
        .where(table.id == row_id, table.mlflow_run_id.is_(None))
        .values(mlflow_run_id=run_id)
        .execution_options(synchronize_session=False)
    )
    # A row that was deleted in the meantime has none.
    return session.scalar(select(table.mlflow_run_id).where(table.id == row_id)) or run_id


def forget_run(session: Session, table: Mirrored, row_id: str) -> None:
    """Forget the run of a row, which MLflow lost: all of the row is sent to a new one."""
    _set(session, table, row_id, mlflow_run_id=None, mirrored_status=None)


def remirror(session: Session, table: Mirrored, row_id: str) -> None:
    """Have the status of a row sent to its run again."""
    _set(session, table, row_id, mirrored_status=None)


def _set(session: Session, table: Locked, row_id: str | int, **values: Any) -> None:
    session.execute(
        update(table)
        .where(table.id == row_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
