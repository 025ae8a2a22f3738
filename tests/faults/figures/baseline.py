"""Faults done to a naive Celery application and, the same ones, to Chainrule: who loses what."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.faults.figures import naive
from tests.support.brokers import Broker, free_port
from tests.support.databases import PostgresServer
from tests.support.job_cases import spec
from tests.support.worker_cases import parse_digits, until
from tests.support.worker_processes import Process

SPEC: dict[str, Any] = {"epochs": 150}
JOBS = 3
LEAST_VISIBILITY_SECONDS = 5.0

Points = list[tuple[str, int, float]]


@dataclass
class Seen:
    """What became of one naive job."""

    status: str
    ends: int
    digest: str
    points: Points


class Naive:
    """Two naive workers on a broker and a PostgreSQL of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[Process] = []
        # As long as nothing happens no message is to come back: by default it takes an hour.
        self.visibility_seconds = 3600.0
        self.broker = Broker(folder, free_port())
        self.postgres = PostgresServer()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.broker.start()
        address = self.postgres.url("postgres").replace("+psycopg", "")
        self.address = address
        with psycopg.connect(address, autocommit=True) as database:
            database.execute(naive.TABLES.encode())
        self.app = naive.make_app(self.broker.url, self.visibility_seconds)
        self.environment = {
            "NAIVE_BROKER": self.broker.url,
            "NAIVE_DATABASE": address,
            "NAIVE_TABLE": str(parse_digits(self.folder).path),
        }
        self.heal()

    def heal(self) -> None:
        """Two workers that listen."""
        self.workers = [one for one in self.workers if one.process.poll() is None]
        while len(self.workers) < 2:
            name = f"--hostname={uuid.uuid4().hex[:8]}@naive"
            log = self.folder / "naive.log"
            environment = {
                **self.environment,
                "OMP_NUM_THREADS": "1",
                "NAIVE_VISIBILITY": str(self.visibility_seconds),
            }
            self.workers.append(Process("tests.faults.figures.naive", environment, log, name))

    def restart(self, visibility_seconds: float) -> None:
        """Other workers, to whom a message that nobody acknowledges comes back sooner."""
        self.visibility_seconds = visibility_seconds
        for worker in self.workers:
            worker.kill()
        self.heal()

    def submit(self) -> list[str]:
        """Queue the jobs; their ids."""
        job_ids = [uuid.uuid4().hex for _ in range(JOBS)]
        with psycopg.connect(self.address, autocommit=True) as database:
            for number, job_id in enumerate(job_ids):
                document = json.dumps(spec(**SPEC, seed=number).model_dump(mode="json"))
                database.execute(
                    "INSERT INTO naive_jobs VALUES (%s, %s, 'queued', 0, '')", (job_id, document)
                )
                self.app.send_task("naive.train", args=[job_id], queue=naive.QUEUE)
        return job_ids

    def see(self, job_id: str) -> Seen:
        """A job as the database shows it."""
        with psycopg.connect(self.address, autocommit=True) as database:
            row = database.execute(
                "SELECT status, ends, digest FROM naive_jobs WHERE id = %s", (job_id,)
            ).fetchone()
            assert row is not None
            points = database.execute(
                "SELECT key, step, value FROM naive_points WHERE job_id = %s", (job_id,)
            ).fetchall()
        status, ends, digest = row
        return Seen(status, ends, digest, sorted(points))

    def trainer(self, job_ids: list[str]) -> Process:
        """A worker in the midst of a job."""
        until(lambda: any(self.see(one).points for one in job_ids))
        busy = max(self.workers, key=_cpu_seconds)
        assert busy.process.poll() is None
        return busy

    def settle(self, job_ids: list[str]) -> None:
        """Wait for the ends, and for the messages that come back after them."""
        give_up_at = time.monotonic() + 5 * min(self.visibility_seconds, 60)
        while time.monotonic() < give_up_at:
            if all(self.see(one).status == "finished" for one in job_ids):
                break
            time.sleep(0.1)
        if self.visibility_seconds < 3600:
            time.sleep(1.5 * self.visibility_seconds)

    def close(self) -> None:
        """End everything."""
        for worker in self.workers:
            worker.kill()
        if self.broker.process is not None:
            self.broker.thaw()
        self.broker.stop()
        self.postgres.remove()


def _cpu_seconds(worker: Process) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in worker.family())


def _killed(at: Naive, job_ids: list[str]) -> None:
    at.trainer(job_ids).kill()


def _frozen(at: Naive, job_ids: list[str]) -> None:
    worker = at.trainer(job_ids)
    tree = [psutil.Process(worker.pid), *worker.family()]
    for one in tree:
        one.suspend()
    time.sleep(2 * at.visibility_seconds)
    for one in tree:
        one.resume()


def _redelivered(at: Naive, job_ids: list[str]) -> None:
    """Training takes longer than the visibility timeout: slowed down, nothing else."""
    tree = at.trainer(job_ids).family()
    give_up_at = time.monotonic() + 2 * at.visibility_seconds
    while time.monotonic() < give_up_at:
        for one in tree:
            one.suspend()
        time.sleep(0.3)
        for one in tree:
            one.resume()
        time.sleep(0.02)


def _flushed(at: Naive, job_ids: list[str]) -> None:
    at.trainer(job_ids)
    with at.broker.client as client:
        assert client.dbsize(), "there is nothing to flush"
        client.flushall()


FAULTS: dict[str, tuple[Callable[[Naive, list[str]], None], str]] = {
    "worker killed": (_killed, "worker_tree_killed"),
    "worker frozen": (_frozen, "worker_frozen_past_its_lease"),
    "longer than the visibility timeout": (_redelivered, "runner_frozen_for_a_while"),
    "broker flushed": (_flushed, "broker_flushed"),
}
"""Faults of the naive application by name; each with Chainrule's own of that kind."""


def run(at: Naive) -> Counter[str]:
    """Do each fault to the naive application; how many of its jobs were lost, doubled, wrong."""
    found: Counter[str] = Counter()
    at.settle(at.submit())
    begun = time.monotonic()
    calm_ids = at.submit()
    at.settle(calm_ids)
    calm = [at.see(one) for one in calm_ids]
    assert all((one.status, one.ends) == ("finished", 1) for one in calm), calm
    at.restart(max(LEAST_VISIBILITY_SECONDS, 2 * (time.monotonic() - begun)))
    for name, (do, _) in FAULTS.items():
        at.heal()
        job_ids = at.submit()
        do(at, job_ids)
        at.heal()
        at.settle(job_ids)
        for job_id, want in zip(job_ids, calm, strict=True):
            found["jobs"] += 1
            if kind := judged(at.see(job_id), want):
                found[kind] += 1
                print(f"naive, {name}: a job is {kind}", flush=True)
    return found


def judged(seen: Seen, calm: Seen) -> str | None:
    """What is wrong with a job, by the same measure as for Chainrule's; None when nothing is."""
    if seen.status != "finished":
        return "lost"
    if seen.ends != 1:
        return "doubled"
    return None if (seen.points, seen.digest) == (calm.points, calm.digest) else "wrong"
