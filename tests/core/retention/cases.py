"""What the tests of retention share: jobs with all that an attempt leaves, policies applied."""

from typing import Any

from sqlalchemy import func, select

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import reading, transaction
from core.db.tables import Base
from core.retention import Freed, RetentionPolicy, Storage
from tests.support import single
from tests.support.job_cases import claimed, points, queued

DAY = 86_400.0


def left(
    storage: Storage, status: JobStatus = JobStatus.FINISHED, *, count: int = 3, **fields: Any
) -> str:
    """The id of a job that ended with log lines, points, a checkpoint and a model."""
    claim = claimed(storage.engine, queued(storage.engine, **fields).id)
    job_id, attempt = claim.job_id, claim.attempt
    checkpoint = f"checkpoints/{job_id}/{attempt}/1-{'0' * 64}"
    model = f"models/{job_id}/{attempt}/model.safetensors"
    finished = status is JobStatus.FINISHED
    for key in (checkpoint, model) if finished else (checkpoint,):
        storage.store.put_bytes(b"bytes", key)
    lines = [jobs.Line(number, "info", "a line") for number in (1, 2)]
    with transaction(storage.engine) as session:
        measured = points(*range(count))
        single.record_metrics(session, job_id, attempt, 1, measured, lines=lines)
        jobs.record_checkpoint(
            session, job_id, attempt, step=1, epoch=1, key=checkpoint, size_bytes=5,
            digest="0" * 64, best=True,
        )  # fmt: skip
        result = {"model_key": model, "model_digest": "0" * 64} if finished else None
        single.finish(session, job_id, attempt, status, result=result)
    return job_id


def applied(storage: Storage, policy: RetentionPolicy) -> Freed:
    """What a policy freed, which must be what it announced."""
    announced = policy.overdue(storage)
    freed = sum(policy.apply(storage), Freed())
    assert (freed.rows, freed.files) == (announced.rows, announced.files)
    assert sorted(freed.items, key=str) == sorted(announced.items, key=str)
    assert not policy.overdue(storage)
    return freed


def count(storage: Storage, table: type[Base]) -> int:
    """The number of rows of a table."""
    with reading(storage.engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0
