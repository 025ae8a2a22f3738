"""The real stack that faults are done to: PostgreSQL, Valkey, a scheduler, workers, links."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from core import jobs, nodes
from core.db.session import transaction
from core.errors import ChainruleError
from migrations import runner
from tests.brokers import Broker, free_port
from tests.databases import PostgresServer
from tests.faults.proxy import Proxy
from tests.worker.processes import Process
from tests.worker.sites import Site
from tests.workercases import Bench, parse_digits, until

LEASE_SECONDS = 4.0
WORKERS = ("one", "two")


class Stack(Site):
    """One stack for many faults; `heal` makes it whole again whatever was done to it."""

    def __init__(self, folder: Path) -> None:
        self.postgres = PostgresServer()
        self.postgres.execute("CREATE DATABASE faults")
        direct = self.postgres.url("faults")
        runner.upgrade(direct)
        broker = Broker(folder, free_port())
        broker.start()
        digits = parse_digits(folder)
        super().__init__(Bench(direct, folder / "bench", digits, lease_seconds=60), broker, folder)
        self.database_link = Proxy(self.postgres.port)
        self.broker_link = Proxy(broker.port)
        port = str(self.postgres.port)
        self.environment |= {
            "CHAINRULE_DATABASE_URL": direct.replace(port, str(self.database_link.port)),
            "CHAINRULE_BROKER_URL": broker.url.replace(
                str(broker.port), str(self.broker_link.port)
            ),
            "CHAINRULE_LEASE_SECONDS": str(LEASE_SECONDS),
            "CHAINRULE_RING_AGAIN_SECONDS": "3",
            "CHAINRULE_DISPATCH_SECONDS": "0.3",
        }
        self.workers_by_node: dict[str, Process] = {}
        self.scheduler: Process | None = None
        self.heal()

    @property
    def links(self) -> tuple[Proxy, Proxy]:
        """What connects the workers and the scheduler with their servers."""
        return self.database_link, self.broker_link

    def heal(self) -> None:
        """Undo every fault: all servers, links, workers and the scheduler are there again."""
        for link in self.links:
            link.heal()
        if self.postgres.process is None:
            self.postgres.start()
        if self.broker.process is None:
            self.broker.start()
        self.broker.thaw()
        with self.broker.client as client:
            client.config_set("maxmemory", "0")
        for process in self.processes:
            thaw(process)
        self.processes = [one for one in self.processes if one.process.poll() is None]
        for node in WORKERS:
            process = self.workers_by_node.get(node)
            if process is None or process.process.poll() is not None:
                self.workers_by_node[node] = self.start(CHAINRULE_NODE_NAME=node)
            with suppress(ChainruleError), transaction(self.bench.engine) as session:
                nodes.drain(session, node, on=False)
        if self.scheduler is None or self.scheduler.process.poll() is not None:
            self.scheduler = self.start("worker.scheduler")

    def trainer(self, job_id: str) -> Process:
        """The worker that has the job now, or the first one."""
        return self.workers_by_node[self.bench.job(job_id).node or WORKERS[0]]

    def runner_of(self, job_id: str) -> psutil.Process | None:
        """The process that trains the job now."""
        return self._child(job_id, lambda line: "worker.runner" in line)

    def slot_of(self, job_id: str) -> psutil.Process | None:
        """The pool process that watches over the job now."""
        return self._child(job_id, lambda line: "worker.runner" not in line and "worker" in line)

    def _child(self, job_id: str, fits: Callable[[list[str]], bool]) -> psutil.Process | None:
        for one in self.trainer(job_id).family():
            with suppress(psutil.Error):
                if fits(one.cmdline()):
                    return one
        return None

    def cancel(self, job_id: str) -> None:
        """Want the job to end."""
        with transaction(self.bench.engine) as session:
            jobs.cancel(session, job_id)

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            thaw(process)
            process.kill()
        for link in self.links:
            link.close()
        self.bench.close()
        self.broker.thaw()
        self.broker.stop()
        self.postgres.remove()


def freeze(process: Process) -> None:
    """Stop a process and all it started where they are."""
    _tell_all(process, signal.SIGSTOP)


def thaw(process: Process) -> None:
    """Let all that was frozen go on."""
    _tell_all(process, signal.SIGCONT)


def _tell_all(process: Process, number: int) -> None:
    for pid in (process.pid, *(one.pid for one in process.family())):
        if process.process.poll() is None or pid != process.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def training(stack: Stack, job_id: str) -> bool:
    """Wait until the job trains or is over; whether it trains."""
    until(lambda: stack.running(job_id) or stack.status(job_id).terminal, seconds=120)
    return stack.running(job_id)
