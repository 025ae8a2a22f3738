"""Policies that delete old rows of a table."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, inspect, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.db.session import reading, transaction
from core.db.tables import (
    Base,
    Delivery,
    IdempotencyKey,
    Job,
    JobEvent,
    LogLine,
    Source,
    Webhook,
    Worker,
)
from core.retention.policy import Freed, RetentionPolicy, Storage
from core.retention.sizes import row_bytes

BATCH_ROWS = 500


class RowPolicy(RetentionPolicy):
    """Deletes the rows of `table` whose time `at`, an indexed column, is before the cutoff."""

    def __init__(
        self, kind: str, days: float, table: type[Base], at: InstrumentedAttribute[Any]
    ) -> None:
        super().__init__(kind, days)
        self._table, self._at = table, at

    def condition(self, storage: Storage) -> ColumnElement[bool]:
        """Which rows are deleted."""
        return self._at <= self.cutoff

    def overdue(self, storage: Storage) -> Freed:
        counting = select(func.count()).select_from(self._table).where(self.condition(storage))
        with reading(storage.engine) as session:
            return self._freed(session, session.scalar(counting) or 0)

    def apply(self, storage: Storage) -> Iterator[Freed]:
        key = inspect(self._table).primary_key
        old = select(*key).where(self.condition(storage)).order_by(self._at).limit(BATCH_ROWS)
        deletion = delete(self._table).where(tuple_(*key).in_(old)).returning(key[0])
        options = {"synchronize_session": False}
        with reading(storage.engine) as session:
            size = row_bytes(session, self._table)
        while True:
            with transaction(storage.engine) as session:
                count = len(session.execute(deletion.execution_options(**options)).all())
            if count:
                yield Freed(rows=count, bytes=count * size)
            if count < BATCH_ROWS:
                return

    def _freed(self, session: Session, count: int) -> Freed:
        return Freed(rows=count, bytes=count * row_bytes(session, self._table) if count else 0)


class HistoryPolicy(RowPolicy):
    """Deletes old rows of jobs that ended before the cutoff and, if required, are in MLflow."""

    def __init__(self, kind: str, days: float, table: type[JobEvent] | type[LogLine]) -> None:
        super().__init__(kind, days, table, table.at)
        self._job_id = table.job_id

    def condition(self, storage: Storage) -> ColumnElement[bool]:
        ended = exists().where(Job.id == self._job_id, Job.finished_at <= self.cutoff)
        if storage.mirrored_only:
            ended = ended.where(Job.mirrored_status == Job.status)
        # The first condition uses the index: few old rows are of jobs that ended later.
        return (self._at <= self.cutoff) & ended


class DeliveryPolicy(RowPolicy):
    """Deletes old messages that are delivered or given up, or whose webhook was removed."""

    def __init__(self, kind: str, days: float) -> None:
        super().__init__(kind, days, Delivery, Delivery.created_at)

    def condition(self, storage: Storage) -> ColumnElement[bool]:
        removed = Delivery.webhook_id.not_in(select(Webhook.id))
        return super().condition(storage) & or_(Delivery.next_attempt_at.is_(None), removed)


class SourcePolicy(RowPolicy):
    """Deletes source code that was sent before the cutoff and that no job or sweep named."""

    def __init__(self, kind: str, days: float) -> None:
        super().__init__(kind, days, Source, Source.sent_at)

    def condition(self, storage: Storage) -> ColumnElement[bool]:
        return super().condition(storage) & Source.used_at.is_(None)


def events(days: float) -> RetentionPolicy:
    """Events of jobs that ended so many days ago."""
    return HistoryPolicy("events", days, JobEvent)


def logs(days: float) -> RetentionPolicy:
    """Log lines of jobs that ended so many days ago."""
    return HistoryPolicy("logs", days, LogLine)


def idempotency_keys(days: float) -> RetentionPolicy:
    """Idempotency keys that were used first so many days ago."""
    return RowPolicy("idempotency_keys", days, IdempotencyKey, IdempotencyKey.created_at)


def deliveries(days: float) -> RetentionPolicy:
    """Messages to webhooks that are so many days old and not sent any more."""
    return DeliveryPolicy("deliveries", days)


def sources(days: float) -> RetentionPolicy:
    """Source code that was sent so many days ago and that no job or sweep named."""
    return SourcePolicy("sources", days)


def workers(days: float) -> RetentionPolicy:
    """Rows of worker processes without a heartbeat for so many days."""
    return RowPolicy("workers", days, Worker, Worker.heartbeat_at)
