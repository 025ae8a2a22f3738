"""A sweep on six workers in three network namespaces, as if on three machines."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from chainrule.contract.status import SweepStatus
from core import nodes, sweeps
from core.db.session import reading, transaction
from core.db.tables import Attempt, Trial
from core.spec.job import DIGITS
from core.spec.sweep import SweepChanges, SweepSpec
from tests.faults.cluster import machines
from tests.faults.cluster.machines import Machine
from tests.faults.requirements import require
from tests.support.brokers import Broker
from tests.support.worker_cases import Bench, parse_digits, until
from tests.support.worker_processes import Process
from worker.scheduler.__main__ import Scheduler

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

MACHINES = 3
WORKERS_EACH = 2


@pytest.fixture
def site(postgres_url: str, broker: Broker, tmp_path: Path) -> Iterator[Bench]:
    """Servers here, two workers on each of three machines, and a scheduler in this process."""
    require(machines.unavailable())
    with ExitStack() as opened:
        bench = Bench(postgres_url, tmp_path / "bench", parse_digits(tmp_path), lease_seconds=60)
        opened.callback(bench.close)
        environment = {
            "CHAINRULE_DATA_DIR": str(bench.settings.data_dir),
            "CHAINRULE_DATABASE_URL": postgres_url,
            "CHAINRULE_BROKER_URL": broker.url,
            "CHAINRULE_THREADS": "1",
            "CHAINRULE_SLOTS": "1",
        }
        for _ in range(MACHINES):
            machine = opened.enter_context(Machine())
            here = {**machine.translated(environment), "CHAINRULE_NODE_NAME": machine.name}
            for _ in range(WORKERS_EACH):
                worker = Process("worker", here, tmp_path / "log", inside=machine.inside)
                opened.callback(worker.kill)
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
        started = sweeps.start(session, spec, version, owner="local", max_weights_bytes=2**30)
        sweep_id = started.id

    def ended() -> bool:
        with reading(site.engine) as session:
            return sweeps.get(session, sweep_id).status is SweepStatus.FINISHED

    for extension in range(1, 6):
        until(ended, seconds=300)
        if len(used(site.engine, sweep_id)) == MACHINES * WORKERS_EACH:
            break
        # On a busy machine a worker may have started late.
        with transaction(site.engine) as session:
            changes = SweepChanges(n_trials=60 * (extension + 1))
            sweeps.edit(session, sweep_id, changes, max_weights_bytes=2**30)
    with reading(site.engine) as session:
        counts = sweeps.counts(session, sweep_id)
        assert counts == {"finished": sweeps.get(session, sweep_id).n_trials}
    workers = used(site.engine, sweep_id)
    assert len(workers) == MACHINES * WORKERS_EACH
    assert len({node for node, _ in workers}) == MACHINES
