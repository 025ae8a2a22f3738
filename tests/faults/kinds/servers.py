"""Faults of PostgreSQL and of the broker: stopped, frozen, emptied, full, invalid messages."""

import time

import psycopg
import redis
from sqlalchemy import select

from chainrule.contract.status import JobStatus
from core.db.session import reading
from core.db.tables import Job
from core.queue import KEY_PREFIX
from tests.faults.cluster.stack import DATABASE
from tests.faults.context import FaultContext, Missed
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, fault
from tests.support.worker_cases import until

QUEUE = f"{KEY_PREFIX}cpu"
MESSAGE_SECONDS = 10.0
QUEUED_JOBS = 4


def _wait_for_messages(context: FaultContext) -> int:
    """Queue more jobs than there are slots; the number of messages that wait. Raises Missed."""
    for _ in range(QUEUED_JOBS):
        context.submit()
    give_up_at = time.monotonic() + MESSAGE_SECONDS
    while time.monotonic() < give_up_at:
        with context.stack.broker.client as client:
            if waiting := int(client.llen(QUEUE)):
                return waiting
        time.sleep(0.02)
    raise Missed("no message waits in the broker")


@fault()
def broker_restarted_empty(context: FaultContext) -> None:
    messages = _wait_for_messages(context)
    context.stack.broker.stop()
    context.hit_count(messages, "messages were lost with the broker")
    time.sleep(context.rng.uniform(0.0, 1.0))


@fault()
def broker_flushed(context: FaultContext) -> None:
    _wait_for_messages(context)
    with context.stack.broker.client as client, client.pipeline() as pipe:
        messages, _ = pipe.llen(QUEUE).flushall().execute()
    context.hit_count(int(messages), "messages were flushed")


@fault()
def broker_frozen(context: FaultContext) -> None:
    broker = context.stack.broker
    with broker.client as client:
        connections = len(client.client_list())
    broker.freeze()
    context.hit_count(connections - 1, "connections got no answer")
    context.submit()
    time.sleep(PAST_LEASE)


@fault()
def broker_full(context: FaultContext) -> None:
    with context.stack.broker.client as client:
        client.config_resetstat()
        client.config_set("maxmemory", "1")
        context.submit()
        context.submit()
        context.submit()
        until(lambda: _refused(client), seconds=30)
        context.hit_count(_refused(client), "writes were refused by a full broker")
        time.sleep(context.rng.uniform(0.0, 2.0))


def _refused(client: redis.Redis) -> int:
    counts = client.info("errorstats").get("errorstat_OOM", {})
    return int(counts.get("count", 0))


@fault()
def broker_fed_garbage(context: FaultContext) -> None:
    contents = (b"no JSON", b"{}", b"[1, 2]", context.rng.randbytes(1000), b'{"body": "x"}')
    with context.stack.broker.client as client:
        for content in contents:
            client.lpush(QUEUE, content)
    context.hit_count(len(contents), "invalid messages")
    _wait_until_consumed(context)


@fault()
def wake_ups_repeated(context: FaultContext) -> None:
    for _ in range(100):
        context.stack.notify(context.job_id)
    context.hit_count(100, "wake-ups for a job that trains")
    _wait_until_consumed(context)


@fault()
def wake_ups_stale(context: FaultContext) -> None:
    with reading(context.stack.bench.engine) as session:
        ended = session.scalars(select(Job.id).where(Job.status == JobStatus.FINISHED).limit(20))
        stale = [*ended, f"job-{context.rng.randrange(10**9)}"]
    for job_id in stale:
        context.stack.notify(job_id)
    context.hit_count(len(stale), "wake-ups for jobs that ended or never existed")
    _wait_until_consumed(context)


def _wait_until_consumed(context: FaultContext) -> None:
    """Wait until the workers have taken all messages of the queue."""
    with context.stack.broker.client as client:
        until(lambda: not client.llen(QUEUE), seconds=120)


@fault()
def postgres_restarted(context: FaultContext) -> None:
    _stop_postgres(context)
    time.sleep(context.rng.uniform(0.0, WITHIN_LEASE))


@fault()
def postgres_stopped_past_the_lease(context: FaultContext) -> None:
    _stop_postgres(context)
    time.sleep(PAST_LEASE)


def _stop_postgres(context: FaultContext) -> None:
    connections = context.stack.postgres.connections(DATABASE)
    context.stack.postgres.stop()
    context.hit_count(connections, "connections ended with PostgreSQL")


@fault()
def postgres_connections_ended(context: FaultContext) -> None:
    for _ in range(5):
        context.hit_count(context.stack.postgres.disconnect(DATABASE), "connections were ended")
        time.sleep(context.rng.uniform(0.1, 0.3))


@fault()
def postgres_table_locked(context: FaultContext) -> None:
    address = context.stack.postgres.url(DATABASE).replace("+psycopg", "")
    with psycopg.connect(address) as connection, psycopg.connect(address) as watch:
        connection.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        give_up_at = time.monotonic() + PAST_LEASE
        waiting = 0
        while time.monotonic() < give_up_at:
            row = watch.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            if row is not None and row[0] > waiting:
                waiting = int(row[0])
                context.hit_count(waiting, "statements wait for a lock")
            time.sleep(0.1)
    context.hit_count(waiting, "statements waited for a lock")
