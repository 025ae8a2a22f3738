"""The same faults on a naive Celery application, to compare its losses with Chainrule's."""

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
class NaiveJob:
    """A job as the database of the naive application shows it."""

    status: str
    ends: int
    digest: str
    points: Points


class Naive:
    """Two naive workers with their own broker and PostgreSQL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[Process] = []
        # An hour, the default of Celery: no message is delivered again without a fault.
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
        self.repair()

    def repair(self) -> None:
        """Start workers until there are two."""
        self.workers = [worker for worker in self.workers if worker.process.poll() is None]
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
        """Replace the workers; they get unacknowledged messages again after this time."""
        self.visibility_seconds = visibility_seconds
        for worker in self.workers:
            worker.kill()
        self.repair()

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

    def job(self, job_id: str) -> NaiveJob:
        """The job as it is now."""
        with psycopg.connect(self.address, autocommit=True) as database:
            row = database.execute(
                "SELECT status, ends, digest FROM naive_jobs WHERE id = %s", (job_id,)
            ).fetchone()
            assert row is not None
            points = database.execute(
                "SELECT key, step, value FROM naive_points WHERE job_id = %s", (job_id,)
            ).fetchall()
        status, ends, digest = row
        return NaiveJob(status, ends, digest, sorted(points))

    def busy_worker(self, job_ids: list[str]) -> Process:
        """The worker that used most processor time, once a job has points."""
        until(lambda: any(self.job(job_id).points for job_id in job_ids))
        busy = max(self.workers, key=_cpu_seconds)
        assert busy.process.poll() is None
        return busy

    def wait(self, job_ids: list[str]) -> None:
        """Wait for the ends, and for messages that are delivered again after them."""
        give_up_at = time.monotonic() + 5 * min(self.visibility_seconds, 60)
        while time.monotonic() < give_up_at:
            if all(self.job(job_id).status == "finished" for job_id in job_ids):
                break
            time.sleep(0.1)
        if self.visibility_seconds < 3600:
            time.sleep(1.5 * self.visibility_seconds)

    def close(self) -> None:
        """Stop everything."""
        for worker in self.workers:
            worker.kill()
        if self.broker.process is not None:
            self.broker.thaw()
        self.broker.stop()
        self.postgres.remove()


def _cpu_seconds(worker: Process) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in worker.family())


def _killed(app: Naive, job_ids: list[str]) -> None:
    app.busy_worker(job_ids).kill()


def _frozen(app: Naive, job_ids: list[str]) -> None:
    worker = app.busy_worker(job_ids)
    tree = [psutil.Process(worker.pid), *worker.family()]
    for process in tree:
        process.suspend()
    time.sleep(2 * app.visibility_seconds)
    for process in tree:
        process.resume()


def _redelivered(app: Naive, job_ids: list[str]) -> None:
    """Slow training down until it takes longer than the visibility timeout."""
    tree = app.busy_worker(job_ids).family()
    give_up_at = time.monotonic() + 2 * app.visibility_seconds
    while time.monotonic() < give_up_at:
        for process in tree:
            process.suspend()
        time.sleep(0.3)
        for process in tree:
            process.resume()
        time.sleep(0.02)


def _flushed(app: Naive, job_ids: list[str]) -> None:
    app.busy_worker(job_ids)
    with app.broker.client as client:
        assert client.dbsize(), "there is nothing to flush"
        client.flushall()


FAULTS: dict[str, tuple[Callable[[Naive, list[str]], None], str]] = {
    "worker killed": (_killed, "worker_tree_killed"),
    "worker frozen": (_frozen, "worker_frozen_past_its_lease"),
    "longer than the visibility timeout": (_redelivered, "runner_frozen_for_a_while"),
    "broker flushed": (_flushed, "broker_flushed"),
}
"""Faults of the naive application by name, each with the same fault of the matrix."""


def run(app: Naive) -> Counter[str]:
    """Inject each fault; the number of jobs, and of those that were lost, doubled and wrong."""
    counts: Counter[str] = Counter()
    app.wait(app.submit())
    started_at = time.monotonic()
    reference_ids = app.submit()
    app.wait(reference_ids)
    references = [app.job(job_id) for job_id in reference_ids]
    assert all((it.status, it.ends) == ("finished", 1) for it in references), references
    app.restart(max(LEAST_VISIBILITY_SECONDS, 2 * (time.monotonic() - started_at)))
    for name, (inject, _) in FAULTS.items():
        app.repair()
        job_ids = app.submit()
        inject(app, job_ids)
        app.repair()
        app.wait(job_ids)
        for job_id, reference in zip(job_ids, references, strict=True):
            counts["jobs"] += 1
            if kind := violation(app.job(job_id), reference):
                counts[kind] += 1
                print(f"naive, {name}: a job is {kind}", flush=True)
    return counts


def violation(job: NaiveJob, reference: NaiveJob) -> str | None:
    """Whether a job is lost, doubled or wrong, by the rules of Checker; None if it is fine."""
    if job.status != "finished":
        return "lost"
    if job.ends != 1:
        return "doubled"
    return None if (job.points, job.digest) == (reference.points, reference.digest) else "wrong"
