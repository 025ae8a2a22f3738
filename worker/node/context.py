"""What a slot keeps between jobs: connections, folders, the mirror and a started runner."""

import os
import socket
from functools import partial

from sqlalchemy import Engine

from core import nodes
from core.data.storage.cache import Cache
from core.data.storage.inventory import Holdings
from core.data.storage.local_copy import Nearer
from core.data.storage.origins import prefixes
from core.data.storage.peers import Near, Peers
from core.data.storage.stores import Store, open_store
from core.db.engine import make_engine
from core.db.session import reading
from core.sandbox.enforcement import Report
from core.sandbox.probe import summary
from core.settings import Settings
from worker.mlflow.jobs import JobMirror, MirrorThread
from worker.node.breaker import CircuitBreaker
from worker.node.drain import Drain
from worker.node.memory import row_memory
from worker.node.metrics import SlotCounts, WorkerCounts
from worker.node.timings import STATEMENT_SHARE
from worker.node.versions import versions
from worker.node.workspace import Workspace
from worker.runner.process import RunnerProcess
from worker.runner.sandbox import runner_policy, share_of_cores


class Equipment:
    """The resources of one slot, opened in its process after the fork."""

    def __init__(
        self,
        settings: Settings,
        drain: Drain,
        worker: str,
        *,
        main_pid: int | None = None,
        counts: SlotCounts | None = None,
        breaker: CircuitBreaker | None = None,
        sandbox: Report | None = None,
    ) -> None:
        """`worker` is the worker's name, `main_pid` the id of its main process.

        The slots of a worker share `drain` and `breaker`; `counts` are those of this slot.
        `sandbox` says which parts of the sandbox hold on this machine.
        """
        self.sandbox = {"sandbox": summary(sandbox)} if sandbox else {}
        self.counts = counts or WorkerCounts(1).of_slot(0)
        self.settings = settings
        self.main_pid = main_pid or os.getpid()
        self.queues = [name.strip() for name in settings.queues.split(",") if name.strip()]
        self.drain = drain
        self.breaker = breaker or CircuitBreaker()
        self.node = settings.node_name or socket.gethostname()
        self.worker = worker
        self.engine: Engine = make_engine(
            settings.resolved_database_url,
            statement_seconds=settings.lease_seconds * STATEMENT_SHARE,
        )
        self.store: Store = open_store(settings.resolved_store_url)
        readable = prefixes(settings.dataset_urls)
        self.cache = Cache(settings.data_dir / "cache", settings.cache_bytes, readable=readable)
        self.holdings = Holdings(self.cache)
        self.workspace = Workspace(settings.data_dir / "work")
        self.mirror = MirrorThread(JobMirror(self.engine, self.store, settings))
        self.versions = versions()
        self._peers: Peers | None = None
        if own := settings.peer_url:
            self._peers = Peers(own, settings.peer_token.get_secret_value())
        self._runner: RunnerProcess | None = None
        self._runner_folders: list[tuple[int, int]] = []

    def runner(self) -> RunnerProcess:
        """An idle runner; a new one replaces one that ended, failed or is busy.

        Raises OSError when no process can be started.
        """
        folders = self._folders()
        runner = self._runner if folders == self._runner_folders else None
        if runner is not None and runner.fit and not runner.busy and runner.exited() is None:
            return runner
        if self._runner is not None:
            self._runner.kill()
        self._runner_folders = folders
        threads = share_of_cores(self.settings.threads, self.settings.slots)
        self._runner = RunnerProcess(
            os.environ,
            runner_policy(self.settings, self.workspace.attempts),
            threads=threads,
            memory_bytes=self.settings.runner_memory_bytes,
        )
        return self._runner

    def _folders(self) -> list[tuple[int, int]]:
        """Device and inode of the cache and the workspace: a sandbox opens folders, not paths.

        Creates the cache. Raises OSError.
        """
        cache = self.settings.data_dir / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        status = [folder.stat() for folder in (cache, self.workspace.attempts)]
        return [(folder.st_dev, folder.st_ino) for folder in status]

    def nearer(self) -> Nearer | None:
        """The workers to ask for chunks before the store; None unless this worker shares its own.

        Raises UnavailableError when the database does not answer.
        """
        if self._peers is None:
            return None
        with reading(self.engine) as session:
            urls = nodes.peers(session)
        return partial(Near, self._peers, urls)

    @property
    def data_memory_bytes(self) -> int:
        """Bytes of memory for the rows of a job."""
        settings = self.settings
        return row_memory(settings.data_memory_bytes, settings.runner_memory_bytes, settings.slots)

    @property
    def runner_pid(self) -> int | None:
        """The process id of the runner, if there is one."""
        return self._runner.pid if self._runner else None

    def close(self) -> None:
        """End the runner, close all connections, delete the slot's folder."""
        self.mirror.end()
        if self._runner is not None:
            self._runner.kill()
        if self._peers is not None:
            self._peers.close()
        self.workspace.close()
        self.engine.dispose()
