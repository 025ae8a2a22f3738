"""A bench whose jobs real worker processes train."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from chainrule.contract.status import JobStatus
from core import nodes
from core.db.session import reading
from core.queue import make_celery, notify
from tests.support.brokers import Broker
from tests.support.worker_cases import Bench, until
from tests.support.worker_processes import Process


class Site:
    """A bench whose jobs are trained by worker processes of its own."""

    def __init__(self, bench: Bench, broker: Broker, folder: Path) -> None:
        self.bench, self.broker, self.folder = bench, broker, folder
        self.processes: list[Process] = []
        settings = bench.settings.model_copy(update={"broker_url": SecretStr(broker.url)})
        self.celery = make_celery(settings, publish_seconds=3)
        self.environment = {
            "CHAINRULE_DATA_DIR": str(bench.settings.data_dir),
            "CHAINRULE_DATABASE_URL": bench.settings.resolved_database_url,
            "CHAINRULE_BROKER_URL": broker.url,
            "CHAINRULE_NODE_NAME": "site",
            "CHAINRULE_LEASE_SECONDS": "6",
            "CHAINRULE_CHUNK_SECONDS": "0.1",
            "CHAINRULE_THREADS": "1",
        }

    def start(
        self, module: str = "worker", *, inside: Sequence[str] = (), **environment: str
    ) -> Process:
        environment = {**self.environment, **environment}
        process = Process(module, environment, self.folder / "log", inside=inside)
        self.processes.append(process)
        return process

    def worker(self, **environment: str) -> Process:
        """Start a worker and wait until it registered."""
        before = self.workers()
        process = self.start(**environment)
        until(lambda: process.process.poll() is not None or self.workers() - before)
        assert process.process.poll() is None, process.output()
        return process

    def workers(self) -> set[str]:
        """The ids of the workers that are present; a frozen worker drops out after a while."""
        with reading(self.bench.engine) as session:
            return {worker.id for node in nodes.list_nodes(session) for worker in node.workers}

    def notify(self, job_id: str) -> None:
        notify(self.celery, job_id, "cpu")

    def status(self, job_id: str) -> JobStatus:
        return self.bench.job(job_id).status

    def running(self, job_id: str) -> bool:
        job = self.bench.job(job_id)
        return job.status is JobStatus.RUNNING and job.progress_step > 0
