"""A real stack for faults: PostgreSQL, Valkey, links to them, a scheduler and two workers.

Each worker has its own clock and machine where the system can provide them.
"""

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

from core import jobs, nodes
from core.db.session import transaction
from core.db.tables import Job
from core.errors import ChainruleError
from migrations import runner
from tests.faults.cluster import clocks, machines
from tests.faults.cluster.bucket import Bucket
from tests.faults.cluster.clocks import Clock
from tests.faults.cluster.machines import Machine
from tests.faults.cluster.proxy import Proxy
from tests.support.brokers import Broker, free_port
from tests.support.databases import PostgresServer
from tests.support.job_cases import spec
from tests.support.worker_cases import Bench, parse_digits, until
from tests.support.worker_processes import Process
from tests.support.worker_sites import Site

LEASE_SECONDS = 4.0
WORKERS = ("one", "two")
DATABASE = "faults"


class Stack(Site):
    """One stack for many faults; `repair` undoes all of them."""

    def __init__(
        self,
        folder: Path,
        *,
        lease_seconds: float = LEASE_SECONDS,
        worker: str = "worker",
        bucket: Bucket | None = None,
        **environment: str,
    ) -> None:
        """Start all processes, with `worker` as the workers' main module.

        `environment` adds variables to all of them. The store is a folder, or in the `bucket`.
        """
        self._worker = worker
        self._missing = {
            "machines": machines.unavailable(),
            "clocks": clocks.unavailable(),
            "bucket": None if bucket else "the store of this stack is a folder",
            "folder": "the store of this stack is a bucket" if bucket else None,
        }
        self.machines: dict[str, Machine] = {}
        self.clocks: dict[str, Clock] = {}
        self.workers_by_node: dict[str, Process] = {}
        self.scheduler: Process | None = None
        self.exited: list[Process] = []
        self.extra_workers: list[Process] = []
        self.armed = folder / "armed"
        self.armed.mkdir()
        with ExitStack() as opened:
            self._start_servers(folder, bucket, opened)
            self._open_links(bucket, opened)
            self.environment |= {
                "CHAINRULE_LEASE_SECONDS": str(lease_seconds),
                "FAULTS_ARMED": str(self.armed),
                # A free slot takes a lost job over at once.
                "CHAINRULE_SLOTS": "2",
                "CHAINRULE_RING_AGAIN_SECONDS": "3",
                "CHAINRULE_DISPATCH_SECONDS": "0.3",
                **environment,
            }
            self._create_machines(opened)
            opened.callback(self._kill_processes)
            self.repair()
            self._opened = opened.pop_all()

    def _start_servers(self, folder: Path, bucket: Bucket | None, opened: ExitStack) -> None:
        """Start PostgreSQL and the broker, and initialise the Site."""
        self.postgres = PostgresServer()
        opened.callback(self.postgres.remove)
        self.postgres.execute(f"CREATE DATABASE {DATABASE}")
        url = self.postgres.url(DATABASE)
        runner.upgrade(url)
        broker = Broker(folder, free_port())
        opened.callback(_stop_broker, broker)
        broker.start()
        store = {"store_url": bucket.url} if bucket else {}
        bench = Bench(url, folder / "bench", parse_digits(folder), lease_seconds=60, **store)
        opened.callback(bench.close)
        super().__init__(bench, broker, folder)

    def _open_links(self, bucket: Bucket | None, opened: ExitStack) -> None:
        """Start a proxy for each server, and give processes its address."""
        ports = {"database": self.postgres.port, "broker": self.broker.port}
        if bucket:
            ports["bucket"] = bucket.port
        self.links = {name: Proxy(port) for name, port in ports.items()}
        for link in self.links.values():
            opened.callback(link.close)
        self.environment |= {
            "CHAINRULE_DATABASE_URL": self._through("database", self.postgres.url(DATABASE)),
            "CHAINRULE_BROKER_URL": self._through("broker", self.broker.url),
        }
        if bucket:
            self.environment |= {
                "CHAINRULE_STORE_URL": bucket.url,
                "AWS_ENDPOINT_URL": self._through("bucket", f"http://127.0.0.1:{bucket.port}"),
            }

    def _create_machines(self, opened: ExitStack) -> None:
        """Create a network namespace and a clock for each worker, if this machine can."""
        if not self._missing["machines"]:
            self.machines = {node: opened.enter_context(Machine()) for node in WORKERS}
        if not self._missing["clocks"]:
            library = clocks.build(self.folder)
            for node in WORKERS:
                self.clocks[node] = Clock(library, self.folder / f"clock-{node}")
                opened.callback(self.clocks[node].close)

    def _through(self, name: str, url: str) -> str:
        """The URL of a server with the port of its link."""
        link = self.links[name]
        return url.replace(f":{link.target}", f":{link.port}")

    def submit(self, change: Callable[[Job], object] | None = None, **fields: Any) -> str:
        """Queue a job; its id. `change` edits its row before a worker can claim it."""
        with transaction(self.bench.engine) as session:
            job = jobs.submit(session, spec(**fields), self.bench.version, owner="local")
            if change is not None:
                change(job)
            return job.id

    def missing(self, need: str) -> str | None:
        """Why this stack does not have what a fault needs; None if it has it."""
        return self._missing.get(need, f"this stack has no {need}")

    def repair(self) -> None:
        """Undo every fault: servers, links, workers and the scheduler run again."""
        self._repair_servers()
        for machine in self.machines.values():
            machine.repair()
        for clock in self.clocks.values():
            clock.shift(0)
        for process in self.processes:
            thaw(process)
        for extra in self.extra_workers:
            extra.kill()
        self.extra_workers = []
        self.replace_workers()
        for node in WORKERS:
            with suppress(ChainruleError), transaction(self.bench.engine) as session:
                nodes.drain(session, node, on=False)
        if self.scheduler is None or self.scheduler.process.poll() is not None:
            self.scheduler = self.start("worker.scheduler")

    def _repair_servers(self) -> None:
        """Repair links, PostgreSQL, the broker and the store."""
        for link in self.links.values():
            link.repair()
        if self.postgres.process is None:
            self.postgres.start()
        if self.broker.process is None:
            self.broker.start()
        self.broker.thaw()
        with self.broker.client as client:
            client.config_set("maxmemory", "0")
        if self.moved_store.exists():
            shutil.rmtree(self.store, ignore_errors=True)
            self.moved_store.rename(self.store)

    @property
    def store(self) -> Path:
        """The folder of the store, unless it is a bucket."""
        return self.bench.settings.data_dir / "store"

    @property
    def moved_store(self) -> Path:
        """Where a fault may move the folder of the store; `repair` moves it back."""
        return self.store.with_name("moved-store")

    def clear_caches(self) -> int:
        """Delete the cached files of all workers; their number."""
        cache = self.bench.settings.data_dir / "cache"
        files = [path for path in cache.rglob("*") if path.is_file()]
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def start_extra_worker(self, node: str, **environment: str) -> None:
        """Start one more worker, on a node of this name; `repair` stops it."""
        environment = {**self.environment, "CHAINRULE_NODE_NAME": node, **environment}
        before = self.workers()
        extra = self.start(self._worker, **environment)
        self.extra_workers.append(extra)
        until(lambda: extra.process.poll() is not None or self.workers() - before)

    def replace_workers(self) -> None:
        """Start a worker for each that exited."""
        # Processes that an exited main process started are watched until they end.
        exited = [it for it in self.processes if it.process.poll() is not None]
        self.exited = [process for process in (*self.exited, *exited) if process.family()]
        self.processes = [process for process in self.processes if process not in exited]
        for node in WORKERS:
            process = self.workers_by_node.get(node)
            if process is None or process.process.poll() is not None:
                self.workers_by_node[node] = self._start_worker(node)

    def _start_worker(self, node: str) -> Process:
        environment = {**self.environment, "CHAINRULE_NODE_NAME": node}
        if clock := self.clocks.get(node):
            environment |= clock.environment
        if machine := self.machines.get(node):
            return self.start(
                self._worker, inside=machine.inside, **machine.translated(environment)
            )
        return self.start(self._worker, **environment)

    def schedulers_started(self) -> int:
        """The number of schedulers that started so far, from the log."""
        return (self.folder / "log").read_text().count("the scheduler started")

    def orphans(self) -> list[psutil.Process]:
        """Processes that outlive the main process that started them."""
        self.exited = [process for process in self.exited if process.family()]
        return [orphan for process in self.exited for orphan in process.family()]

    def close(self) -> None:
        """Stop everything."""
        self._opened.close()

    def _kill_processes(self) -> None:
        for process in (*self.processes, *self.exited):
            thaw(process)
            process.kill()


def _stop_broker(broker: Broker) -> None:
    if broker.process is not None:
        broker.thaw()
    broker.stop()


def thaw(process: Process) -> None:
    """Continue a frozen process and all that it started."""
    for pid in (process.pid, *(child.pid for child in process.family())):
        if process.process.poll() is None or pid != process.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def wait_for_training(stack: Stack, job_id: str) -> bool:
    """Wait until the job trains or ended; whether it trains."""
    until(lambda: stack.running(job_id) or stack.status(job_id).terminal, seconds=120)
    return stack.running(job_id)
