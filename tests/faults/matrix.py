"""The faults: each does harm to a stack while `job_id` trains; healing comes after it."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import redis
from sqlalchemy import select

from core import jobs, nodes
from core.db.session import reading, transaction
from core.db.tables import Checkpoint, Job
from core.errors import ChainruleError
from core.queue import KEY_PREFIX
from core.status import JobStatus
from tests.faults.proxy import Mode
from tests.faults.stack import LEASE_SECONDS, Stack, freeze, thaw, training
from tests.workercases import until

Fault = Callable[[Stack, str, random.Random], None]

FAULTS: dict[str, Fault] = {}
"""Every fault by its name."""

PAST_LEASE = LEASE_SECONDS * 1.5
WITHIN_LEASE = LEASE_SECONDS * 0.3


def fault(do: Fault) -> Fault:
    """Add a fault to the matrix."""
    FAULTS[do.__name__] = do
    return do


def _send(victim: psutil.Process | None, number: int) -> None:
    if victim is not None:
        with suppress(psutil.Error):
            victim.send_signal(number)


@fault
def runner_killed(stack: Stack, job_id: str, rng: random.Random) -> None:
    _send(stack.runner_of(job_id), signal.SIGKILL)


@fault
def runner_crashed(stack: Stack, job_id: str, rng: random.Random) -> None:
    _send(stack.runner_of(job_id), signal.SIGSEGV)


@fault
def runner_killed_again_and_again(stack: Stack, job_id: str, rng: random.Random) -> None:
    for _ in range(3):
        if training(stack, job_id):
            _send(stack.runner_of(job_id), signal.SIGKILL)
        time.sleep(rng.uniform(0.2, 0.6))


@fault
def runner_frozen_for_a_while(stack: Stack, job_id: str, rng: random.Random) -> None:
    runner = stack.runner_of(job_id)
    _send(runner, signal.SIGSTOP)
    time.sleep(PAST_LEASE)
    _send(runner, signal.SIGCONT)


@fault
def slot_killed(stack: Stack, job_id: str, rng: random.Random) -> None:
    _send(stack.slot_of(job_id), signal.SIGKILL)


@fault
def worker_tree_killed(stack: Stack, job_id: str, rng: random.Random) -> None:
    stack.trainer(job_id).kill()


@fault
def worker_main_killed(stack: Stack, job_id: str, rng: random.Random) -> None:
    worker = stack.trainer(job_id)
    worker.signal(signal.SIGKILL)
    worker.process.wait(30)


@fault
def worker_terminated(stack: Stack, job_id: str, rng: random.Random) -> None:
    stack.trainer(job_id).stop()


@fault
def worker_group_terminated(stack: Stack, job_id: str, rng: random.Random) -> None:
    worker = stack.trainer(job_id)
    os.killpg(worker.pid, signal.SIGTERM)
    worker.process.wait(60)


@fault
def worker_terminated_twice(stack: Stack, job_id: str, rng: random.Random) -> None:
    worker = stack.trainer(job_id)
    worker.family()
    worker.signal(signal.SIGTERM)
    time.sleep(rng.uniform(0.05, 0.2))
    worker.signal(signal.SIGTERM)
    worker.process.wait(60)


@fault
def worker_frozen_past_its_lease(stack: Stack, job_id: str, rng: random.Random) -> None:
    worker = stack.trainer(job_id)
    freeze(worker)
    time.sleep(PAST_LEASE * 2)
    thaw(worker)


@fault
def worker_frozen_within_its_lease(stack: Stack, job_id: str, rng: random.Random) -> None:
    worker = stack.trainer(job_id)
    freeze(worker)
    time.sleep(WITHIN_LEASE)
    thaw(worker)


@fault
def node_drained(stack: Stack, job_id: str, rng: random.Random) -> None:
    with suppress(ChainruleError), transaction(stack.bench.engine) as session:
        nodes.drain(session, stack.bench.job(job_id).node or "one")
    time.sleep(rng.uniform(0.5, 1.5))


@fault
def paused_and_resumed(stack: Stack, job_id: str, rng: random.Random) -> None:
    for order in (jobs.pause, jobs.resume):
        with suppress(ChainruleError), transaction(stack.bench.engine) as session:
            order(session, job_id)
        time.sleep(rng.uniform(0.0, 1.0))


@fault
def scheduler_killed(stack: Stack, job_id: str, rng: random.Random) -> None:
    assert stack.scheduler is not None
    stack.scheduler.kill()


@fault
def scheduler_and_worker_killed(stack: Stack, job_id: str, rng: random.Random) -> None:
    scheduler_killed(stack, job_id, rng)
    worker_tree_killed(stack, job_id, rng)


@fault
def scheduler_frozen_past_the_lease(stack: Stack, job_id: str, rng: random.Random) -> None:
    assert stack.scheduler is not None
    freeze(stack.scheduler)
    time.sleep(PAST_LEASE)


@fault
def two_schedulers(stack: Stack, job_id: str, rng: random.Random) -> None:
    second = stack.start("worker.scheduler")
    stack.trainer(job_id).kill()
    time.sleep(PAST_LEASE)
    second.kill()


@fault
def broker_restarted_empty(stack: Stack, job_id: str, rng: random.Random) -> None:
    stack.broker.stop()
    time.sleep(rng.uniform(0.0, 1.0))


@fault
def broker_flushed(stack: Stack, job_id: str, rng: random.Random) -> None:
    with stack.broker.client as client:
        client.flushall()


@fault
def broker_frozen(stack: Stack, job_id: str, rng: random.Random) -> None:
    stack.broker.freeze()
    time.sleep(PAST_LEASE)


@fault
def broker_full(stack: Stack, job_id: str, rng: random.Random) -> None:
    with stack.broker.client as client:
        client.config_set("maxmemory", "1")
    time.sleep(rng.uniform(1.0, 3.0))


@fault
def broker_fed_garbage(stack: Stack, job_id: str, rng: random.Random) -> None:
    with stack.broker.client as client:
        for garbage in (b"no JSON", b"{}", b"[1, 2]", rng.randbytes(1000), b'{"body": "x"}'):
            with suppress(redis.RedisError):
                client.lpush(f"{KEY_PREFIX}cpu", garbage)


@fault
def bells_doubled(stack: Stack, job_id: str, rng: random.Random) -> None:
    for _ in range(100):
        stack.ring(job_id)


@fault
def bells_stale(stack: Stack, job_id: str, rng: random.Random) -> None:
    with reading(stack.bench.engine) as session:
        ended = session.scalars(select(Job.id).where(Job.status == JobStatus.FINISHED).limit(20))
        for finished in [*ended, f"job-{rng.randrange(10**9)}"]:
            stack.ring(finished)


@fault
def postgres_restarted(stack: Stack, job_id: str, rng: random.Random) -> None:
    stack.postgres.stop()
    time.sleep(rng.uniform(0.0, WITHIN_LEASE))


@fault
def postgres_away_past_the_lease(stack: Stack, job_id: str, rng: random.Random) -> None:
    stack.postgres.stop()
    time.sleep(PAST_LEASE)


@fault
def postgres_connections_ended(stack: Stack, job_id: str, rng: random.Random) -> None:
    for _ in range(5):
        stack.postgres.disconnect("faults")
        time.sleep(rng.uniform(0.0, 0.3))


@fault
def postgres_table_locked(stack: Stack, job_id: str, rng: random.Random) -> None:
    address = stack.postgres.url("faults").replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        connection.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        time.sleep(PAST_LEASE)


def _kept(stack: Stack, job_id: str) -> list[Checkpoint]:
    with reading(stack.bench.engine) as session:
        return jobs.checkpoints(session, job_id)


@fault
def newest_checkpoint_damaged(stack: Stack, job_id: str, rng: random.Random) -> None:
    until(lambda: len(_kept(stack, job_id)) >= 2 or not stack.running(job_id))
    store = Path(stack.bench.store.url.removeprefix("file://"))
    kept = _kept(stack, job_id)
    if len(kept) >= 2 and (store / kept[0].key).exists():
        with (store / kept[0].key).open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))
    _send(stack.runner_of(job_id), signal.SIGKILL)


def _break_link(which: str, mode: Mode, seconds: float) -> Fault:
    def broken(stack: Stack, job_id: str, rng: random.Random) -> None:
        link = getattr(stack, f"{which}_link")
        link.mode = mode
        if mode in ("refuse", "cut"):
            link.reset()
        time.sleep(seconds * rng.uniform(0.9, 1.1))

    broken.__name__ = f"{which}_link_{mode}_{'long' if seconds > LEASE_SECONDS else 'short'}"
    return broken


for _which in ("database", "broker"):
    for _mode, _seconds in (
        ("refuse", WITHIN_LEASE), ("blackhole", WITHIN_LEASE), ("blackhole", PAST_LEASE),
        ("deaf", PAST_LEASE), ("mute", PAST_LEASE), ("slow", WITHIN_LEASE), ("cut", WITHIN_LEASE),
    ):  # fmt: skip
        fault(_break_link(_which, _mode, _seconds))  # type: ignore[arg-type]


@fault
def links_cut_one_by_one_and_healed_in_another_order(
    stack: Stack, job_id: str, rng: random.Random
) -> None:
    links = list(stack.links)
    for _ in range(2):
        rng.shuffle(links)
        for link in links:
            link.mode = "blackhole" if link.mode == "open" else "open"
            link.reset()
            time.sleep(rng.uniform(0.5, 2.0))
