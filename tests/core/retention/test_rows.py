"""Old rows go in batches; those of jobs that run, and of jobs that MLflow lacks, stay."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, update

from core import jobs, nodes, notices
from core.db.clock import now
from core.db.idempotency import KeyedRequest, once
from core.db.session import reading, transaction
from core.db.tables import Delivery, IdempotencyKey, Job, JobEvent, LogLine, Source, Worker
from core.errors import InvalidError
from core.retention import RetentionPolicy, Storage, rows
from core.spec.source import SourceSpec
from tests.core.retention.cases import DAY, applied, count, left
from tests.support import single
from tests.support.clocks import StandingClock
from tests.support.job_cases import claimed, do


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BATCH_ROWS", 2)


@pytest.mark.parametrize(
    ("make", "table"), [(rows.events, JobEvent), (rows.logs, LogLine)], ids=["events", "logs"]
)
def test_the_history_of_jobs_that_ended_long_ago_goes(
    storage: Storage,
    clock: StandingClock,
    make: Callable[[float], RetentionPolicy],
    table: type[JobEvent] | type[LogLine],
) -> None:
    running = claimed(storage.engine)
    with transaction(storage.engine) as session:
        line = jobs.Line(1, "info", "a line")
        single.record_metrics(session, running.job_id, running.attempt, 1, [], lines=[line])
    left(storage)
    clock.advance(9 * DAY)
    newer = left(storage)
    clock.advance(2 * DAY)
    freed = applied(storage, make(10))
    assert freed.rows >= 2
    assert freed.bytes > 0
    with reading(storage.engine) as session:
        ids = set(session.scalars(select(table.job_id)))
    assert ids == {running.job_id, newer}


def test_the_log_of_a_job_stays_until_mlflow_has_it(storage: Storage, clock: StandingClock) -> None:
    job_id = left(storage)
    clock.advance(2 * DAY)
    mirrored = replace(storage, mirrored_only=True)
    assert not applied(mirrored, rows.logs(1))
    with transaction(storage.engine) as session:
        session.execute(update(Job).where(Job.id == job_id).values(mirrored_status=Job.status))
    assert applied(mirrored, rows.logs(1)).rows == 2


def test_idempotency_keys_go(storage: Storage, clock: StandingClock) -> None:
    def use(key: str) -> None:
        with transaction(storage.engine) as session:
            job = session.get_one(Job, job_id)
            once(session, KeyedRequest("local", key, "0" * 64), lambda: job, lambda _: job)

    job_id = left(storage)
    for key in "abc":
        use(key)
    clock.advance(2 * DAY)
    use("d")
    assert applied(storage, rows.idempotency_keys(1)).rows == 3
    assert count(storage, IdempotencyKey) == 1


def test_messages_go_that_nobody_waits_for(storage: Storage, clock: StandingClock) -> None:
    with transaction(storage.engine) as session:
        for host in "ab":
            notices.add(session, f"https://{host}.example/", events=["job.finished"])
    left(storage)
    clock.advance(2 * DAY)
    assert not applied(storage, rows.deliveries(1)), "they are still sent"
    with transaction(storage.engine) as session:
        first = session.scalar(select(func.min(Delivery.id)))
        sent = update(Delivery).where(Delivery.id == first)
        session.execute(sent.values(next_attempt_at=None, delivered_at=now()))
    assert applied(storage, rows.deliveries(1)).rows == 1
    assert count(storage, Delivery) == 1


def test_sources_go_that_no_job_named(storage: Storage, clock: StandingClock) -> None:
    def send(command: str) -> str:
        return do(storage.engine, jobs.keep_source, SourceSpec(command=command), owner="a").digest

    unused, used, sent_again = map(send, ("unused.py", "used.py", "again.py"))
    do(storage.engine, jobs.use_source, used, "source")
    clock.advance(2 * DAY)
    send("again.py")
    assert applied(storage, rows.sources(1)).rows == 1
    with reading(storage.engine) as session:
        assert set(session.scalars(select(Source.digest))) == {used, sent_again}
    with pytest.raises(InvalidError) as error:
        do(storage.engine, jobs.use_source, unused, "source")
    assert "nobody sent this source" in error.value.errors[0].message


def test_workers_go_that_died(storage: Storage, clock: StandingClock) -> None:
    def beat(worker: str) -> None:
        about: dict[str, Any] = {"host": "h", "pid": 1, "slots": 1, "queues": ["cpu"]}
        do(storage.engine, nodes.heartbeat, node="n", worker=worker, versions={}, **about)

    beat("dead")
    beat("alive")
    clock.advance(2 * DAY)
    beat("alive")
    assert applied(storage, rows.workers(1)).rows == 1
    with reading(storage.engine) as session:
        assert list(session.scalars(select(Worker.id))) == ["alive"]


def test_two_schedulers_may_delete_at_once(storage: Storage, clock: StandingClock) -> None:
    for _ in range(3):
        left(storage)
    clock.advance(2 * DAY)
    with ThreadPoolExecutor(2) as pool:
        passes = [pool.submit(list, rows.logs(1).apply(storage)) for _ in range(2)]
        assert sum(batch.rows for done in passes for batch in done.result()) == 6
    assert count(storage, LogLine) == 0
