"""The real stack that faults are done to: PostgreSQL, Valkey, a scheduler, workers, links.

Each worker has a clock of its own and, where that is possible, a machine of its own.
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
    """One stack for many faults; `heal` undoes all of them."""

    def __init__(
        self,
        folder: Path,
        *,
        lease_seconds: float = LEASE_SECONDS,
        worker: str = "worker",
        bucket: Bucket | None = None,
        **environment: str,
    ) -> None:
        """`worker` is the module of the workers' main process; all get the `environment`.

        The store is a folder, or in the `bucket`.
        """
        self._worker = worker
        self._lacking = {
            "machines": machines.lacking(),
            "clocks": clocks.lacking(),
            "bucket": None if bucket else "the store of this stack is a folder",
            "folder": "the store of this stack is a bucket" if bucket else None,
        }
        self.machines: dict[str, Machine] = {}
        self.clocks: dict[str, Clock] = {}
        self.workers_by_node: dict[str, Process] = {}
        self.scheduler: Process | None = None
        self.remains: list[Process] = []
        self.guests: list[Process] = []
        self.armed = folder / "armed"
        self.armed.mkdir()
        with ExitStack() as opened:
            self._start_servers(folder, bucket, opened)
            self._open_links(bucket, opened)
            self.environment |= {
                "CHAINRULE_LEASE_SECONDS": str(lease_seconds),
                "FAULTS_ARMED": str(self.armed),
                # A free slot takes over at once, not only when another job has ended.
                "CHAINRULE_SLOTS": "2",
                "CHAINRULE_RING_AGAIN_SECONDS": "3",
                "CHAINRULE_DISPATCH_SECONDS": "0.3",
                **environment,
            }
            self._make_machines(opened)
            opened.callback(self._end_processes)
            self.heal()
            self._opened = opened.pop_all()

    def _start_servers(self, folder: Path, bucket: Bucket | None, opened: ExitStack) -> None:
        """Start PostgreSQL and the broker, and make what a Site has."""
        self.postgres = PostgresServer()
        opened.callback(self.postgres.remove)
        self.postgres.execute(f"CREATE DATABASE {DATABASE}")
        url = self.postgres.url(DATABASE)
        runner.upgrade(url)
        broker = Broker(folder, free_port())
        opened.callback(_end_broker, broker)
        broker.start()
        store = {"store_url": bucket.url} if bucket else {}
        bench = Bench(url, folder / "bench", parse_digits(folder), lease_seconds=60, **store)
        opened.callback(bench.close)
        super().__init__(bench, broker, folder)

    def _open_links(self, bucket: Bucket | None, opened: ExitStack) -> None:
        """Put a proxy before each server, and let processes find the servers through them."""
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

    def _make_machines(self, opened: ExitStack) -> None:
        """Give each worker a network namespace and a clock, where this machine can do that."""
        if not self._lacking["machines"]:
            self.machines = {node: opened.enter_context(Machine()) for node in WORKERS}
        if not self._lacking["clocks"]:
            library = clocks.build(self.folder)
            for node in WORKERS:
                self.clocks[node] = Clock(library, self.folder / f"clock-{node}")
                opened.callback(self.clocks[node].close)

    def _through(self, name: str, url: str) -> str:
        """The address of a server by its link."""
        link = self.links[name]
        return url.replace(f":{link.target}", f":{link.port}")

    def submit(self, change: Callable[[Job], object] | None = None, **fields: Any) -> str:
        """Queue a job; `change` may do something to its row before anybody sees it. Its id."""
        with transaction(self.bench.engine) as session:
            given = spec(**fields)
            job = jobs.submit(session, given, self.bench.version, owner="local")
            if change is not None:
                change(job)
            return job.id

    def lacks(self, need: str) -> str | None:
        """Why a fault that needs this cannot be done here, if so."""
        return self._lacking.get(need, f"this stack has no {need}")

    def heal(self) -> None:
        """Undo every fault: all servers, links, workers and the scheduler are there again."""
        self._heal_servers()
        for machine in self.machines.values():
            machine.heal()
        for clock in self.clocks.values():
            clock.put(0)
        for process in self.processes:
            thaw(process)
        for guest in self.guests:
            guest.kill()
        self.guests = []
        self.replace_workers()
        for node in WORKERS:
            with suppress(ChainruleError), transaction(self.bench.engine) as session:
                nodes.drain(session, node, on=False)
        if self.scheduler is None or self.scheduler.process.poll() is not None:
            self.scheduler = self.start("worker.scheduler")

    def _heal_servers(self) -> None:
        """Bring PostgreSQL, the broker, the store and the links to them back."""
        for link in self.links.values():
            link.heal()
        if self.postgres.process is None:
            self.postgres.start()
        if self.broker.process is None:
            self.broker.start()
        self.broker.thaw()
        with self.broker.client as client:
            client.config_set("maxmemory", "0")
        if self.store_away.exists():
            shutil.rmtree(self.store, ignore_errors=True)
            self.store_away.rename(self.store)

    @property
    def store(self) -> Path:
        """The folder of the store, where it is one."""
        return self.bench.settings.data_dir / "store"

    @property
    def store_away(self) -> Path:
        """Where a fault may move it; `heal` brings it back."""
        return self.store.with_name("store-away")

    def chill(self) -> int:
        """Erase the caches of all workers; how many files that were."""
        files = [
            one for one in (self.bench.settings.data_dir / "cache").rglob("*") if one.is_file()
        ]
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def invite(self, node: str, **environment: str) -> None:
        """Start one more worker, on a node of its own; `heal` ends it."""
        environment = {**self.environment, "CHAINRULE_NODE_NAME": node, **environment}
        before = self.workers()
        guest = self.start(self._worker, **environment)
        self.guests.append(guest)
        until(lambda: guest.process.poll() is not None or self.workers() - before)

    def replace_workers(self) -> None:
        """Start a worker where there is none."""
        # A main process that is gone may have left others: they are watched until they end.
        gone = [one for one in self.processes if one.process.poll() is not None]
        self.remains = [one for one in (*self.remains, *gone) if one.family()]
        self.processes = [one for one in self.processes if one not in gone]
        for node in WORKERS:
            process = self.workers_by_node.get(node)
            if process is None or process.process.poll() is not None:
                self.workers_by_node[node] = self._start_worker(node)

    def _start_worker(self, node: str) -> Process:
        environment = {**self.environment, "CHAINRULE_NODE_NAME": node}
        if clock := self.clocks.get(node):
            environment |= clock.environment
        if machine := self.machines.get(node):
            return self.start(self._worker, inside=machine.inside, **machine.reached(environment))
        return self.start(self._worker, **environment)

    def schedulers_at_work(self) -> int:
        """How many schedulers have ever begun to work here."""
        return (self.folder / "log").read_text().count("the scheduler works")

    def orphans(self) -> list[psutil.Process]:
        """Processes that live on after the main process that started them."""
        self.remains = [one for one in self.remains if one.family()]
        return [one for process in self.remains for one in process.family()]

    def close(self) -> None:
        """End everything."""
        self._opened.close()

    def _end_processes(self) -> None:
        for process in (*self.processes, *self.remains):
            thaw(process)
            process.kill()


def _end_broker(broker: Broker) -> None:
    if broker.process is not None:
        broker.thaw()
    broker.stop()


def thaw(process: Process) -> None:
    """Let all that was frozen of a process of ours go on."""
    for pid in (process.pid, *(one.pid for one in process.family())):
        if process.process.poll() is None or pid != process.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def training(stack: Stack, job_id: str) -> bool:
    """Wait until the job trains or is over; whether it trains."""
    until(lambda: stack.running(job_id) or stack.status(job_id).terminal, seconds=120)
    return stack.running(job_id)
