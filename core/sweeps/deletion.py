"""Delete ended sweeps, with the jobs of their trials."""

from sqlalchemy import JSON, ColumnElement, select, type_coerce
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Session

from chainrule.contract.status import TERMINAL, SweepStatus
from core import jobs
from core.data.storage.stores import Store
from core.db.tables import Fold, IdempotencyKey, Job, Sweep, Trial
from core.errors import ConflictError
from core.sweeps.queries import get
from core.tracking import SWEEP_TAG

JOBS_AT_ONCE = 100
"""Jobs that one transaction deletes."""


def refuse_kept(session: Session, sweep_id: str) -> Sweep:
    """Return a sweep that can be deleted.

    Raises NotFoundError, and ConflictError for one that has not ended, whose jobs have not, whose
    trials are in use, or that a running sweep starts from.
    """
    sweep = get(session, sweep_id, lock=True)
    if not sweep.status.terminal:
        raise ConflictError(f"sweep {sweep.id} is {sweep.status}: cancel it, then delete it")
    running = select(Job.id).where(_of(sweep), Job.status.not_in(TERMINAL)).limit(1)
    if (job_id := session.scalar(running)) is not None:
        raise ConflictError(f"job {job_id} of sweep {sweep.id} has not ended: delete it later")
    jobs.refuse_used(session, select(Job.id).where(_of(sweep)))
    others = select(Sweep).where(Sweep.status.in_((SweepStatus.RUNNING, SweepStatus.PAUSED)))
    for other in session.scalars(others):
        if sweep.id in other.spec.get("warm_start", ()):
            raise ConflictError(f"sweep {other.id} starts from sweep {sweep.id} and has not ended")
    return sweep


def delete_jobs(session: Session, store: Store, sweep_id: str) -> int:
    """Delete some jobs of a sweep with their trials; how many. Raises as `refuse_kept` does."""
    sweep = refuse_kept(session, sweep_id)
    statement = select(Job).where(_of(sweep)).order_by(Job.id).limit(JOBS_AT_ONCE)
    rows = list(session.scalars(statement.with_for_update(of=Job)))
    job_ids = [row.id for row in rows]
    session.execute(delete_from(Fold).where(Fold.job_id.in_(job_ids)))
    # Without its job, a trial of folds stays until the sweep is deleted.
    session.execute(delete_from(Trial).where(Trial.job_id.in_(job_ids)))
    jobs.erase_all(session, store, rows)
    return len(rows)


def delete(session: Session, sweep_id: str) -> None:
    """Delete a sweep whose jobs are deleted. Raises as `refuse_kept` does."""
    sweep = refuse_kept(session, sweep_id)
    for table in (Fold, Trial):
        session.execute(delete_from(table).where(table.sweep_id == sweep_id))
    session.execute(delete_from(IdempotencyKey).where(IdempotencyKey.resource_id == sweep_id))
    jobs.record_deletion(session, sweep, SWEEP_TAG)
    session.delete(sweep)
    session.flush()


def _of(sweep: Sweep) -> ColumnElement[bool]:
    """Whether a job belongs to a sweep, also one that a retry replaced."""
    same: ColumnElement[bool] = type_coerce(Job.tags, JSON)[jobs.SWEEP_TAG].as_string() == sweep.id
    return same
