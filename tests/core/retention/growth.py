"""Days of many jobs, simulated on a real database whose clock is moved.

Use cases write what one job leaves: events, a log, points, a checkpoint, a model, a message, a key.
The rows of the other jobs of the day are copies, because use cases would take hours. Every tenth
job also leaves files that no row names.
"""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, func, insert, inspect, select, update
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core import jobs, notices
from core.db.clock import now
from core.db.idempotency import KeyedRequest, once
from core.db.session import reading, transaction
from core.db.tables import (
    Attempt,
    Base,
    Checkpoint,
    Delivery,
    IdempotencyKey,
    Job,
    JobEvent,
    LogLine,
    MetricChunk,
)
from core.retention import (
    Freed,
    Storage,
    apply_now,
    database_bytes,
    policies,
    store_usage,
    table_usage,
)
from core.spec.source import SourceSpec
from tests.core.retention.cases import DAY
from tests.support import single
from tests.support.clocks import START, StandingClock
from tests.support.job_cases import LEASE, dataset_version, points, spec

LIMITS: dict[str, float | None] = {
    "events": 2, "logs": 1, "metrics": 2, "idempotency_keys": 1, "deliveries": 2, "sources": 1,
    "workers": 1, "checkpoints": 1, "models": 2, "predictions": 1, "orphans": 1,
}  # fmt: skip
"""Days after which things are deleted: a week of the simulation stands for months."""
TOGETHER = 500
"""Jobs in one transaction, which is faster than reality."""
LINES = 10
ONE_LONG_OF = 50
ONE_LOST_OF = 10
MANY_POINTS = 2000
CONTENT = b"0" * 1024


@dataclass(frozen=True)
class Size:
    """What there is at the end of a day: rows and files by kind, bytes of files and database.

    The policies deleted `freed` rows and files, and took `seconds`.
    """

    rows: dict[str, int]
    files: dict[str, int]
    file_bytes: int
    database_bytes: int
    freed: int
    seconds: float


class Growth:
    """Simulates days with `count` jobs each, a few of which have long curves."""

    def __init__(
        self,
        clock: StandingClock,
        storage: Storage,
        folder: Path,
        count: int,
        limits: Mapping[str, float | None] = LIMITS,
    ) -> None:
        """`folder` is that of the store, `limits` are the days after which things are deleted."""
        self.limits = limits
        self.clock, self.storage, self.folder, self.count = clock, storage, folder, count
        self.ids: list[str] = []
        with transaction(storage.engine) as session:
            notices.add(session, "https://a.example/", events=["job.finished"])

    def day(self) -> Size:
        """Let a day pass with its jobs, then apply all policies."""
        long = max(1, self.count // ONE_LONG_OF)
        for number, (count, steps) in enumerate([(self.count - long, 20), (long, MANY_POINTS)]):
            with transaction(self.storage.engine) as session:
                first = self._job(session, len(self.ids) + number, steps)
            self._repeat(first, [first, *(uuid.uuid4().hex for _ in range(count - 1))])
        self._deliver()
        self.clock.advance(DAY)
        began = time.monotonic()
        freed, more = apply_now(self.storage, policies(self.limits), 3600.0)
        assert not more
        return self._size(sum(freed.values(), Freed()), time.monotonic() - began)

    def _job(self, session: Session, number: int, steps: int) -> str:
        """A job from its submission to its end, which the use cases write; its id."""
        request = KeyedRequest("local", f"key-{number}", f"{number:064x}")
        version = dataset_version(session)
        job, _ = once(
            session,
            request,
            lambda: jobs.submit(session, spec(), version, owner="local"),
            lambda job_id: jobs.get(session, job_id),
        )
        source = SourceSpec(command=f"train-{number}.py", files={"train.py": "x = 1\n" * 100})
        jobs.keep_source(session, source, owner="local")
        claim = jobs.claim(session, job.id, node="n1", worker="w1", lease_seconds=LEASE)
        assert claim is not None
        lines = [jobs.Line(line, "info", f"epoch {line}: loss 0.1") for line in range(1, LINES + 1)]
        single.record_metrics(session, job.id, 1, 1, points(*range(steps)), lines=lines)
        jobs.record_checkpoint(
            session, job.id, 1, step=1, epoch=1, key=f"checkpoints/{job.id}/1/1-{'0' * 64}",
            size_bytes=len(CONTENT), digest="0" * 64, best=True,
        )  # fmt: skip
        result = {"model_key": f"models/{job.id}/1/model.safetensors", "metrics": {"loss": 0.1}}
        single.finish(session, job.id, 1, JobStatus.FINISHED, result=result)
        return job.id

    def _repeat(self, first: str, ids: Sequence[str]) -> None:
        """Write the rows of the job `first` for others, and the files of all `ids`."""
        for start in range(1, len(ids), TOGETHER):
            with transaction(self.storage.engine) as session:
                copy_rows(session, first, ids[start : start + TOGETHER])
        for number, job_id in enumerate(ids):
            keys = [f"checkpoints/{job_id}/1/1-{'0' * 64}", f"models/{job_id}/1/model.safetensors"]
            if number % ONE_LOST_OF == 0:
                keys += [f"checkpoints/{job_id}/1/2-left", f"models/{job_id}/0/left"]
            for key in keys:
                path = self.folder / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(CONTENT)
        self.ids += ids

    def _deliver(self) -> None:
        """Deliver all messages."""
        with transaction(self.storage.engine) as session:
            session.execute(update(Delivery).values(next_attempt_at=None, delivered_at=now()))

    def _size(self, freed: Freed, seconds: float) -> Size:
        files = store_usage(self.storage.store)
        with reading(self.storage.engine) as session:
            rows = table_usage(session)
            total, reusable = database_bytes(session)
        return Size(
            rows={usage.kind: usage.count for usage in rows},
            files={usage.kind: usage.count for usage in files},
            file_bytes=sum(usage.bytes for usage in files),
            database_bytes=total - reusable,
            freed=freed.rows + freed.files,
            seconds=seconds,
        )


def copy_rows(session: Session, first: str, ids: Sequence[str]) -> None:
    """Write what the job `first` has in all tables for the jobs `ids`, too."""
    running = {"status": JobStatus.RUNNING, "lease_until": START, "finished_at": None}
    (job,) = _rows(session, Job, Job.id == first)
    result = job.pop("result")
    session.execute(insert(Job), [{**job, **running, "id": job_id} for job_id in ids])
    for table in (Attempt, JobEvent, LogLine, MetricChunk):
        for row in _rows(session, table, table.job_id == first):
            session.execute(insert(table), [{**row, "job_id": job_id} for job_id in ids])
    (saved,) = _rows(session, Checkpoint, Checkpoint.job_id == first)
    session.execute(insert(Checkpoint), [
        {**saved, "id": uuid.uuid4().hex, "job_id": job_id,
         "key": saved["key"].replace(first, job_id)} for job_id in ids
    ])  # fmt: skip
    (key,) = _rows(session, IdempotencyKey, IdempotencyKey.resource_id == first)
    session.execute(insert(IdempotencyKey), [
        {**key, "key": job_id, "resource_id": job_id} for job_id in ids
    ])  # fmt: skip
    message = _rows(session, Delivery)[-1]
    session.execute(insert(Delivery), [
        {**message, "message_id": uuid.uuid4().hex} for _ in ids
    ])  # fmt: skip
    ended = {"status": JobStatus.FINISHED, "lease_until": None, "finished_at": job["finished_at"]}
    session.execute(update(Job), [
        {**ended, "id": job_id, "result": json.loads(json.dumps(result).replace(first, job_id))}
        for job_id in ids
    ])  # fmt: skip


def _rows(
    session: Session, table: type[Base], *conditions: ColumnElement[bool]
) -> list[dict[str, Any]]:
    """Rows as values by column, in order, without numbers that the database assigns."""
    key = inspect(table).primary_key[0]
    statement = select(table.__table__).where(*conditions).order_by(key)
    rows = [dict(row) for row in session.execute(statement).mappings()]
    if table in (JobEvent, LogLine, MetricChunk, Delivery):
        for row in rows:
            del row["id"]
    return rows


def complete(session: Session) -> int:
    """How many jobs still have their result, and the last point of their curve."""
    last = select(func.max(MetricChunk.last_step)).where(MetricChunk.job_id == Job.id)
    statement = select(func.count()).where(
        Job.result.is_not(None), last.correlate(Job).scalar_subquery().in_([19, MANY_POINTS - 1])
    )
    return session.scalar(statement) or 0
