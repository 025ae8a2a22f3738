"""The Celery worker: its processes, which wait for messages, and how they are ended."""

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
from core.sandbox.enforcement import Report
from core.sandbox.probe import probe, summary
from core.sandbox.process import end_with_parent
from core.settings import Settings
from worker import broker_transport
from worker.consumer import pause_while_idle
from worker.node import logs
from worker.node.breaker import CircuitBreaker
from worker.node.chunk_server import serving_chunks
from worker.node.context import Equipment
from worker.node.drain import Drain
from worker.node.heartbeat import Heartbeat, report_stopped
from worker.node.metrics import WorkerCounts, serve
from worker.node.probe import Probe
from worker.node.timings import check
from worker.runner.sandbox import runner_policy
from worker.scheduler.scrubs import CacheScrub
from worker.slot import Slot

log = structlog.get_logger()

_LAST_SECONDS = 55


class WorkerApp:
    """The processes of one worker, which share what is made here before the fork."""

    def __init__(self, settings: Settings) -> None:
        check(settings)
        self.settings = settings
        self.node = settings.node_name or socket.gethostname()
        self.name = f"{self.node}-{uuid.uuid4().hex[:8]}"
        self.drain = Drain()
        self.breaker = CircuitBreaker()
        self.counts = WorkerCounts(settings.slots)
        self.sandbox: Report = {}
        broker_transport.harden()
        self.celery: Celery = make_celery(settings)
        self._main_pid = os.getpid()
        self._slot: Slot | None = None
        self._equipment: Equipment | None = None
        self._heartbeat: Heartbeat | None = None
        self._scrub: CacheScrub | None = None
        self._probe: Probe | None = None
        self._end_requests = 0
        self.celery.task(self.train, name=TRAIN, ignore_result=True)
        for signal_, handler in (
            (signals.worker_process_init, self._child_started),
            (signals.worker_ready, self._show_metrics),
            (signals.worker_process_shutdown, self._child_ends),
            (signals.worker_shutting_down, self._shutting_down),
            (signals.setup_logging, self._configure_logging),
        ):
            signal_.connect(handler, weak=False)

    def run(self) -> int:
        """Work until a signal ends the worker; the exit code."""
        queues = [name.strip() for name in self.settings.queues.split(",") if name.strip()]
        pause_while_idle(self.celery, self.drain, self.breaker, queues)
        # Celery warns of pickle when run as root; this worker accepts JSON only.
        warnings.simplefilter("ignore", SecurityWarning)
        worker: Any = self._worker_class()(
            hostname=f"{self.name}@{socket.gethostname()}",
            queues=queues,
            quiet=True,
            loglevel="INFO",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self.sandbox = probe(runner_policy(self.settings, self.settings.data_dir))
        report = log.warning if any(self.sandbox.values()) else log.info
        report("the sandbox of runners", holds=summary(self.sandbox))
        log.info("the worker starts", slots=self.settings.slots, queues=",".join(queues))
        with serving_chunks(self.settings):
            worker.start()
        return int(worker.exitcode or 0)

    @property
    def end_requested(self) -> bool:
        """Whether a signal ended the worker, rather than an error."""
        return self._end_requests > 0

    def _worker_class(self) -> Any:
        base: Any = self.celery.Worker
        drain = self.drain

        class DrainingWorker(base):  # type: ignore[misc]
            """However it stops, it drains: its slots give their jobs back first."""

            def stop(self, *args: Any, **kwargs: Any) -> Any:
                drain.begin()
                return super().stop(*args, **kwargs)

        return DrainingWorker

    def train(self, job_id: object = None, *_: object, **__: object) -> None:
        """The Celery task: try to claim `job_id`. It never fails; malformed ids are dropped."""
        if not isinstance(job_id, str) or self._slot is None:
            log.warning("a message without a job id was dropped")
            return
        # Idle children end at once, as the pool expects; one with a job gives it back first.
        idle = signal.signal(signal.SIGTERM, lambda *_: self.drain.begin())
        try:
            self._slot.work(job_id)
        finally:
            signal.signal(signal.SIGTERM, idle)
        if os.getppid() != self._main_pid:
            # The main process is gone: nothing takes the answer or sends another message.
            self._end_child()

    def _child_started(self, **_: Any) -> None:
        """In a new child: open what a slot needs. It outlives the main process only to drain."""
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
            sandbox=self.sandbox,
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
        """In the main process, after its children are forked: threads do not survive a fork."""
        if self.settings.metrics_port:
            settings = self.settings
            serve(self.counts, self.sandbox, settings.metrics_host, settings.metrics_port)

    def _shutting_down(self, **_: Any) -> None:
        """In the main process's signal handler: drain; on a second signal, or too late, kill."""
        self._end_requests += 1
        if self._end_requests > 1:
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
