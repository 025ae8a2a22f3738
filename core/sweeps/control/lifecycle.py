"""What the owner of a sweep may want: cancel, pause, resume."""

from sqlalchemy.orm import Session

from core import jobs
from core.db.clock import now
from core.db.tables import Sweep
from core.errors import ConflictError
from core.status import SweepStatus
from core.sweeps.announcements import announce_end
from core.sweeps.budget import start_clock, stop_clock
from core.sweeps.control.changes import note
from core.sweeps.queries import get
from core.sweeps.trial_jobs import going_on


def cancel(session: Session, sweep_id: str, *, owner: str = "local") -> Sweep:
    """Begin no more trials; end those that wait and ask those that run to end.

    Cancelling twice is harmless. Raises NotFoundError, ConflictError when it has finished.
    """
    sweep = get(session, sweep_id, lock=True)
    if sweep.status is SweepStatus.CANCELLED:
        return sweep
    _refuse_ended(sweep, "cancelled")
    stop_clock(session, sweep)
    sweep.status = SweepStatus.CANCELLED
    sweep.finished_at = now()
    note(session, sweep, owner, "cancelled")
    announce_end(session, sweep)
    for job_id in going_on(session, sweep):
        if not jobs.get(session, job_id, lock=True).status.terminal:
            jobs.cancel(session, job_id, owner=owner)
    return sweep


def pause(session: Session, sweep_id: str, *, owner: str = "local") -> Sweep:
    """Begin no more trials until it is resumed; those begun go on.

    Raises NotFoundError, ConflictError when it has ended.
    """
    sweep = get(session, sweep_id, lock=True)
    _refuse_ended(sweep, "paused")
    stop_clock(session, sweep)
    if sweep.status is SweepStatus.RUNNING:
        sweep.status = SweepStatus.PAUSED
        note(session, sweep, owner, "paused")
    return sweep


def resume(session: Session, sweep_id: str, *, owner: str = "local") -> Sweep:
    """Begin trials again. Raises NotFoundError, ConflictError when it has ended."""
    sweep = get(session, sweep_id, lock=True)
    _refuse_ended(sweep, "resumed")
    start_clock(session, sweep)
    if sweep.status is SweepStatus.PAUSED:
        sweep.status = SweepStatus.RUNNING
        note(session, sweep, owner, "resumed")
    return sweep


def _refuse_ended(sweep: Sweep, wanted: str) -> None:
    if sweep.status.terminal:
        raise ConflictError(f"sweep {sweep.id} is {sweep.status} and cannot be {wanted} any more")
