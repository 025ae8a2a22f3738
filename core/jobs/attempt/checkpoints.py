"""The checkpoints of a job: recorded by the attempt that owns it, forgotten when unusable."""

import uuid

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Checkpoint, Job
from core.jobs.attempt.ownership import own
from core.jobs.queries import checkpoints


def record_checkpoint(  # noqa: PLR0913 - the columns of its row
    session: Session,
    job_id: str,
    attempt: int,
    *,
    step: int,
    epoch: int,
    key: str,
    size_bytes: int,
    digest: str,
    best: bool = False,
) -> Checkpoint:
    """Let the job resume from the file at `key` of the store, which already holds its bytes.

    Recording a step of an attempt twice returns the first row. Raises SupersededError.
    """
    job = own(session, job_id, attempt)
    present = session.scalar(
        select(Checkpoint).where(
            Checkpoint.job_id == job_id, Checkpoint.attempt == attempt, Checkpoint.step == step
        )
    )
    if present is not None:
        return present
    if best:
        session.execute(
            update(Checkpoint)
            .where(Checkpoint.job_id == job_id, Checkpoint.best)
            .values(best=False)
        )
    row = Checkpoint(
        id=uuid.uuid4().hex,
        job_id=job_id,
        attempt=attempt,
        step=step,
        epoch=epoch,
        key=key,
        bytes=size_bytes,
        digest=digest,
        best=best,
    )
    session.add(row)
    job.checkpoint_id = row.id
    session.flush()
    return row


def spare_checkpoints(session: Session, job_id: str, *, keep: int = 2) -> list[Checkpoint]:
    """Checkpoints that may be erased from the store: all but the `keep` newest and the best."""
    rows = checkpoints(session, job_id)
    return [row for row in rows[keep:] if not row.best]


def forget_checkpoint(session: Session, checkpoint_id: str) -> None:
    """Record that the bytes of a checkpoint are gone or unreadable.

    A job that would resume from it resumes from the newest checkpoint that is left.
    """
    row = session.get(Checkpoint, checkpoint_id)
    if row is None or row.erased_at is not None:
        return
    row.erased_at = now()
    session.flush()
    left = checkpoints(session, row.job_id)
    session.execute(
        update(Job)
        .where(Job.id == row.job_id, Job.checkpoint_id == checkpoint_id)
        .values(checkpoint_id=left[0].id if left else None)
    )
