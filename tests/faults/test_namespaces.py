"""A sweep over six workers in three network namespaces, as if on three machines.

`CHAINRULE_NETNS=1 python -m pytest tests/faults/test_namespaces.py` as root; it makes the
namespaces and takes them away again.
"""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from core import nodes, sweeps
from core.db.session import reading, transaction
from core.db.tables import Attempt, Trial
from core.spec.job import DIGITS
from core.spec.sweep import SweepChanges, SweepSpec
from core.status import SweepStatus
from tests.brokers import Broker
from tests.databases import PostgresServer
from tests.faults.proxy import Proxy
from tests.workercases import Bench, parse_digits, until
from worker.scheduler import Scheduler

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        os.geteuid() != 0 or os.environ.get("CHAINRULE_NETNS") != "1",
        reason="makes network namespaces: needs root and CHAINRULE_NETNS=1",
    ),
]

MACHINES = 3
WORKERS_EACH = 2


class Machine:
    """A network namespace with one link to here, and the workers in it."""

    def __init__(self, number: int, folder: Path, **ports: int) -> None:
        self.name = f"chainrule-{uuid.uuid4().hex[:6]}"
        self.here, there = f"10.213.{number}.1", f"10.213.{number}.2"
        self._link = f"cr{self.name[-6:]}"
        self._log = (folder / "workers.log").open("ab")
        self._workers: list[subprocess.Popen[bytes]] = []
        self._run("netns", "add", self.name)
        self._run("link", "add", self._link, "type", "veth", "peer", "e0", "netns", self.name)
        self._run("addr", "add", f"{self.here}/30", "dev", self._link)
        self._run("link", "set", self._link, "up")
        self._run("-n", self.name, "addr", "add", f"{there}/30", "dev", "e0")
        for device in ("e0", "lo"):
            self._run("-n", self.name, "link", "set", device, "up")
        self.doors = {name: Proxy(port, self.here) for name, port in ports.items()}

    def work(self, environment: dict[str, str]) -> None:
        """Start a worker in it."""
        self._workers.append(
            subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, "-m", "worker"],
                env={**os.environ, **environment, "CHAINRULE_NODE_NAME": self.name},
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        )

    def close(self) -> None:
        """End its workers and take it away."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(60)
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
        for door in self.doors.values():
            door.close()
        self._run("netns", "del", self.name)
        self._log.close()

    def _run(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True)


@pytest.fixture
def site(
    postgres: PostgresServer, postgres_url: str, broker: Broker, tmp_path: Path
) -> Iterator[Bench]:
    """Servers here, two workers on each of three machines, and a scheduler in this process."""
    with ExitStack() as opened:
        bench = Bench(postgres_url, tmp_path / "bench", parse_digits(tmp_path), lease_seconds=60)
        opened.callback(bench.close)
        for number in range(MACHINES):
            machine = Machine(number, tmp_path, database=postgres.port, broker=broker.port)
            opened.callback(machine.close)
            reached = {name: f"{machine.here}:{door.port}" for name, door in machine.doors.items()}
            database = postgres_url.replace(f"127.0.0.1:{postgres.port}", reached["database"])
            wanted = {
                "CHAINRULE_DATA_DIR": str(bench.settings.data_dir),
                "CHAINRULE_DATABASE_URL": database,
                "CHAINRULE_BROKER_URL": broker.url.replace(
                    f"127.0.0.1:{broker.port}", reached["broker"]
                ),
                "CHAINRULE_THREADS": "1",
                "CHAINRULE_SLOTS": "1",
            }
            for _ in range(WORKERS_EACH):
                machine.work(wanted)
        settings = bench.settings.model_copy(
            update={"broker_url": type(bench.settings.broker_url)(broker.url)}
        )
        ended = threading.Event()
        scheduler = threading.Thread(target=Scheduler(settings).run, args=(ended,))
        scheduler.start()
        opened.callback(scheduler.join, 60)
        opened.callback(ended.set)
        yield bench


def used(engine: Engine, sweep_id: str) -> set[tuple[str, str]]:
    """Node and name of each worker that trained a trial."""
    with reading(engine) as session:
        statement = (
            select(Attempt.node, Attempt.worker)
            .join(Trial, Trial.job_id == Attempt.job_id)
            .where(Trial.sweep_id == sweep_id)
            .distinct()
        )
        return {(node, worker) for node, worker in session.execute(statement)}


def test_all_workers_on_all_machines_are_used(site: Bench) -> None:
    def present() -> bool:
        with reading(site.engine) as session:
            return nodes.slots(session).get("cpu", 0) == MACHINES * WORKERS_EACH

    until(present, seconds=300)
    spec = SweepSpec.model_validate(
        {
            "name": "three machines",
            "job": {**DIGITS, "epochs": 20},
            "search_space": {"seed": {"kind": "int", "low": 0, "high": 10**6}},
            "objective": {"metric": "valid/accuracy", "direction": "maximize"},
            "sampler": {"kind": "random"},
            "n_trials": 60,
            "max_parallel": 12,
        }
    )
    with transaction(site.engine) as session:
        version = session.merge(site.version)
        begun = sweeps.start(session, spec, version, owner="local", max_weights_bytes=2**30)
        sweep_id = begun.id

    def over() -> bool:
        with reading(site.engine) as session:
            return sweeps.get(session, sweep_id).status is SweepStatus.FINISHED

    for more in range(1, 6):
        until(over, seconds=300)
        if len(used(site.engine, sweep_id)) == MACHINES * WORKERS_EACH:
            break
        # On a busy machine one may have been slow to wake up.
        with transaction(site.engine) as session:
            changes = SweepChanges(n_trials=60 * (more + 1))
            sweeps.edit(session, sweep_id, changes, max_weights_bytes=2**30)
    with reading(site.engine) as session:
        counts = sweeps.counts(session, sweep_id)
        assert counts == {"finished": sweeps.get(session, sweep_id).n_trials}
    found = used(site.engine, sweep_id)
    assert len(found) == MACHINES * WORKERS_EACH
    assert len({node for node, _ in found}) == MACHINES
