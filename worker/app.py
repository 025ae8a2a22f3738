"""The Celery worker: processes that wait for bells, and what happens when they are told to end."""

import os
import signal
import socket
import sys
import uuid
import warnings
from typing import Any

import psutil
import structlog
from billiard import current_process
from celery import Celery, signals
from celery.exceptions import SecurityWarning

from core.queue import TRAIN, make_celery
from core.settings import Settings
from worker import broker_transport
from worker.consumer import attend
from worker.node import logs
from worker.node.breaker import CircuitBreaker
from worker.node.chunk_server import serving_chunks
from worker.node.context import Equipment
from worker.node.drain import Drain
from worker.node.heartbeat import Heartbeat, report_stopped
from worker.node.metrics import WorkerCounts, serve
from worker.node.probe import Probe
from worker.node.timings import check
from worker.runner.sandbox import end_with_parent
from worker.scheduler.scrubs import CacheScrub
from worker.slot import Slot

log = structlog.get_logger()

_LAST_SECONDS = 55


class WorkerApp:
    """The processes of one worker. What is made here before the fork, all of them share."""

    def __init__(self, settings: Settings) -> None:
        check(settings)
        self.settings = settings
        self.node = settings.node_name or socket.gethostname()
        self.name = f"{self.node}-{uuid.uuid4().hex[:8]}"
        self.drain = Drain()
        self.breaker = CircuitBreaker()
        self.counts = WorkerCounts(settings.slots)
        broker_transport.harden()
        self.celery: Celery = make_celery(settings)
        self._main_pid = os.getpid()
        self._slot: Slot | None = None
        self._equipment: Equipment | None = None
        self._heartbeat: Heartbeat | None = None
        self._scrub: CacheScrub | None = None
        self._probe: Probe | None = None
        self._told_to_end = 0
        self.celery.task(self.train, name=TRAIN, ignore_result=True)
        for sent, heard in (
            (signals.worker_process_init, self._child_started),
            (signals.worker_ready, self._show_metrics),
            (signals.worker_process_shutdown, self._child_ends),
            (signals.worker_shutting_down, self._shutting_down),
            (signals.setup_logging, self._configure_logging),
        ):
            sent.connect(heard, weak=False)

    def run(self) -> int:
        """Work until told to end; the exit code."""
        queues = [name.strip() for name in self.settings.queues.split(",") if name.strip()]
        attend(self.celery, self.drain, self.breaker, queues)
        worker: Any = self._worker_class()(
            hostname=f"{self.name}@{socket.gethostname()}",
            queues=queues,
            quiet=True,
            loglevel="INFO",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        # It warns of pickle as root; nothing but JSON is accepted here.
        warnings.simplefilter("ignore", SecurityWarning)
        log.info("the worker starts", slots=self.settings.slots, queues=",".join(queues))
        with serving_chunks(self.settings):
            worker.start()
        return int(worker.exitcode or 0)

    @property
    def told_to_end(self) -> bool:
        """Whether somebody wanted the worker to end, rather than an error."""
        return self._told_to_end > 0

    def _worker_class(self) -> Any:
        base: Any = self.celery.Worker
        drain = self.drain

        class DrainingWorker(base):  # type: ignore[misc]
            """Whyever it stops, its slots give their jobs back: it waits for them."""

            def stop(self, *args: Any, **kwargs: Any) -> Any:
                drain.begin()
                return super().stop(*args, **kwargs)

        return DrainingWorker

    def train(self, job_id: object = None, *_: object, **__: object) -> None:
        """The task: a bell for `job_id`. It never fails; what is no id is dropped."""
        if not isinstance(job_id, str) or self._slot is None:
            log.warning("a message that is no bell was dropped")
            return
        # Idle children end at once, as the pool wants; one with a job gives it back first.
        idle = signal.signal(signal.SIGTERM, lambda *_: self.drain.begin())
        try:
            self._slot.work(job_id)
        finally:
            signal.signal(signal.SIGTERM, idle)
        if os.getppid() != self._main_pid:
            # Nobody is left to take the answer or to send another bell.
            self._end_child()

    def _child_started(self, **_: Any) -> None:
        """In a new child: open what a slot needs, and outlive the main process only to drain."""
        end_with_parent(signal.SIGTERM)
        if os.getppid() != self._main_pid:
            os._exit(1)
        self._equipment = Equipment(
            self.settings,
            self.drain,
            self.name,
            main_pid=self._main_pid,
            counts=self.counts.of_slot(int(getattr(current_process(), "index", 0))),
            breaker=self.breaker,
        )
        self._equipment.runner()
        self._slot = Slot(self._equipment)
        self._heartbeat = Heartbeat(self._equipment)
        self._heartbeat.start()
        self._scrub = CacheScrub(
            self._equipment.engine,
            self._equipment.store,
            self._equipment.cache,
            self._equipment.counts,
            self.settings.scrub_bytes_per_second,
        )
        self._scrub.start()
        self._probe = Probe(self._equipment)
        self._probe.start()

    def _child_ends(self, **_: Any) -> None:
        if self._heartbeat is not None:
            self._heartbeat.end()
        if self._scrub is not None:
            self._scrub.end()
        if self._probe is not None:
            self._probe.end()
        if self._equipment is not None:
            if self.drain.ending:
                report_stopped(self._equipment)
            self._equipment.close()
            self._equipment = None

    def _end_child(self) -> None:
        self._child_ends()
        sys.stderr.flush()
        os._exit(0)

    def _show_metrics(self, **_: Any) -> None:
        """In the main process, after its children were forked: a thread would not survive that."""
        if self.settings.metrics_port:
            serve(self.counts, self.settings.metrics_host, self.settings.metrics_port)

    def _shutting_down(self, **_: Any) -> None:
        """In the main process's signal handler: drain; when told again, or too late, end hard."""
        self._told_to_end += 1
        if self._told_to_end > 1:
            self._end_hard()
        self.drain.begin()
        signal.signal(signal.SIGALRM, self._end_hard)
        signal.alarm(_LAST_SECONDS)

    def _end_hard(self, *_: object) -> None:
        for process in psutil.Process().children(recursive=True):
            process.kill()
        os._exit(1)

    def _configure_logging(self, **_: Any) -> None:
        logs.configure(node=self.node, worker=self.name)
