"""Who mirrors a job now: one process at a time, for a while, by a moment on the job's row."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.db.clock import later, now
from core.db.tables import Job


def take_turn(session: Session, job_id: str, seconds: float) -> bool:
    """Have the job's mirror to oneself for `seconds`; False while another has it, or it rests."""
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.mirror_not_before <= now())
        .values(mirror_not_before=later(seconds))
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    return session.scalar(statement) is not None


def extend_turn(session: Session, job_id: str, seconds: float) -> None:
    """Have the turn that one holds for `seconds` from now."""
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(mirror_not_before=later(seconds))
        .execution_options(synchronize_session=False)
    )


def end_turn(session: Session, job_id: str) -> None:
    """Let the next one mirror the job at once. To be called only by the one whose turn it is."""
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(mirror_not_before=now(), mirror_failures=0)
        .execution_options(synchronize_session=False)
    )
