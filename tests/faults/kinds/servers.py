"""Faults of PostgreSQL and of the broker: stopped, frozen, emptied, full, fed with nonsense."""

import time

import psycopg
import redis
from sqlalchemy import select

from core.db.session import reading
from core.db.tables import Job
from core.queue import KEY_PREFIX
from core.status import JobStatus
from tests.faults.cluster.stack import DATABASE
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, fault
from tests.faults.scene import Missed, Scene
from tests.support.worker_cases import until

QUEUE = f"{KEY_PREFIX}cpu"
BELL_SECONDS = 10.0
QUEUED = 4


def _bells(scene: Scene) -> int:
    """Queue more jobs than there are slots, and wait until a bell for one waits."""
    for _ in range(QUEUED):
        scene.more()
    give_up_at = time.monotonic() + BELL_SECONDS
    while time.monotonic() < give_up_at:
        with scene.stack.broker.client as client:
            if waiting := int(client.llen(QUEUE)):
                return waiting
        time.sleep(0.02)
    raise Missed("no bell waits in the broker")


@fault()
def broker_restarted_empty(scene: Scene) -> None:
    bells = _bells(scene)
    scene.stack.broker.stop()
    scene.counted(bells, "bells were lost with the broker")
    time.sleep(scene.rng.uniform(0.0, 1.0))


@fault()
def broker_flushed(scene: Scene) -> None:
    _bells(scene)
    with scene.stack.broker.client as client, client.pipeline() as pipe:
        bells, _ = pipe.llen(QUEUE).flushall().execute()
    scene.counted(int(bells), "bells were flushed")


@fault()
def broker_frozen(scene: Scene) -> None:
    broker = scene.stack.broker
    with broker.client as client:
        connections = len(client.client_list())
    broker.freeze()
    scene.counted(connections - 1, "connections stand still")
    scene.more()
    time.sleep(PAST_LEASE)


@fault()
def broker_full(scene: Scene) -> None:
    with scene.stack.broker.client as client:
        client.config_resetstat()
        client.config_set("maxmemory", "1")
        scene.more()
        scene.more()
        scene.more()
        until(lambda: _refused(client), seconds=30)
        scene.counted(_refused(client), "writes were refused by a full broker")
        time.sleep(scene.rng.uniform(0.0, 2.0))


def _refused(client: redis.Redis) -> int:
    counts = client.info("errorstats").get("errorstat_OOM", {})
    return int(counts.get("count", 0))


@fault()
def broker_fed_garbage(scene: Scene) -> None:
    garbage = (b"no JSON", b"{}", b"[1, 2]", scene.rng.randbytes(1000), b'{"body": "x"}')
    with scene.stack.broker.client as client:
        for piece in garbage:
            client.lpush(QUEUE, piece)
    scene.counted(len(garbage), "messages that are none")
    _eaten(scene)


@fault()
def bells_doubled(scene: Scene) -> None:
    for _ in range(100):
        scene.stack.ring(scene.job_id)
    scene.counted(100, "bells for a job that trains")
    _eaten(scene)


@fault()
def bells_stale(scene: Scene) -> None:
    with reading(scene.stack.bench.engine) as session:
        ended = session.scalars(select(Job.id).where(Job.status == JobStatus.FINISHED).limit(20))
        stale = [*ended, f"job-{scene.rng.randrange(10**9)}"]
    for job_id in stale:
        scene.stack.ring(job_id)
    scene.counted(len(stale), "bells for jobs that are over or never were")
    _eaten(scene)


def _eaten(scene: Scene) -> None:
    """Wait until the workers have taken all that lies in the queue."""
    with scene.stack.broker.client as client:
        until(lambda: not client.llen(QUEUE), seconds=120)


@fault()
def postgres_restarted(scene: Scene) -> None:
    _stop_postgres(scene)
    time.sleep(scene.rng.uniform(0.0, WITHIN_LEASE))


@fault()
def postgres_away_past_the_lease(scene: Scene) -> None:
    _stop_postgres(scene)
    time.sleep(PAST_LEASE)


def _stop_postgres(scene: Scene) -> None:
    connections = scene.stack.postgres.connections(DATABASE)
    scene.stack.postgres.stop()
    scene.counted(connections, "connections ended with PostgreSQL")


@fault()
def postgres_connections_ended(scene: Scene) -> None:
    for _ in range(5):
        scene.counted(scene.stack.postgres.disconnect(DATABASE), "connections were ended")
        time.sleep(scene.rng.uniform(0.1, 0.3))


@fault()
def postgres_table_locked(scene: Scene) -> None:
    address = scene.stack.postgres.url(DATABASE).replace("+psycopg", "")
    with psycopg.connect(address) as connection, psycopg.connect(address) as watch:
        connection.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        give_up_at = time.monotonic() + PAST_LEASE
        waiting = 0
        while time.monotonic() < give_up_at:
            row = watch.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            if row is not None and row[0] > waiting:
                waiting = int(row[0])
                scene.counted(waiting, "statements wait for a lock")
            time.sleep(0.1)
    scene.counted(waiting, "statements waited for a lock")
