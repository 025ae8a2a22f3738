"""`python -m worker.scheduler`: wakes workers, recovers lost jobs, advances sweeps.

A plain process and no Celery task, so that it works without the broker. Two of them do no harm.
"""

import signal
import socket
import sys
import threading

import structlog
from celery import Celery
from sqlalchemy import Engine

from core import datasets, jobs, nodes, sweeps
from core.data.storage.stores import open_store
from core.db.engine import make_engine
from core.db.session import reading
from core.errors import ChainruleError, SupersededError, UnavailableError
from core.queue import PUBLISH_SECONDS, QUEUES, make_celery, notify
from core.retention import Freed, Retention, RunPolicy, Storage, kept_days, policies
from core.sandbox.process import hide_memory
from core.settings import Settings, forget_secrets
from core.spec.version import SPEC_VERSION
from worker.mlflow.deletions import RunDeletion
from worker.mlflow.jobs import JobMirror
from worker.mlflow.reconcile import Reconciler
from worker.mlflow.registry import ModelMirror
from worker.mlflow.sweeps import SweepMirror
from worker.mlflow.trials import TrialMirror
from worker.node import logs
from worker.node.heartbeat import touch_pulse_file
from worker.node.timings import STATEMENT_SHARE, check
from worker.scheduler.loop import Loop
from worker.scheduler.metrics import SchedulerMetrics
from worker.scheduler.scrubs import StoreScrub
from worker.scheduler.webhooks import WebhookSender

log = structlog.get_logger()

_MIN_WINDOW = 2
_MIRROR_SECONDS = 1.0
_TRIALS_SECONDS = 0.25
_SWEEP_SECONDS = 0.25
_WEBHOOK_SECONDS = 1.0
_RECONCILE_SECONDS = 60.0
_ERASE_SECONDS = 2.0
_RETENTION_SECONDS = 1.0
_DELETE_SECONDS = 2.0
_END_SECONDS = 5.0
_PULSE_SECONDS = 5.0
_STUCK_SECONDS = 120.0


class Scheduler:
    """Loops in threads of their own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine = make_engine(
            settings.resolved_database_url,
            statement_seconds=settings.lease_seconds * STATEMENT_SHARE,
        )
        self._celery: Celery = make_celery(settings, publish_seconds=PUBLISH_SECONDS)
        self._reaper = jobs.Reaper(self._engine, settings.lease_seconds)
        self._store = open_store(settings.resolved_store_url)
        self._job_mirror = JobMirror(self._engine, self._store, settings)
        self._trial_mirror = TrialMirror(self._engine, self._store, settings)
        self._sweep_mirror = SweepMirror(self._engine, settings)
        self._model_mirror = ModelMirror(self._engine, settings)
        self._metrics = SchedulerMetrics(self._engine)
        self._snapshots = sweeps.SnapshotCache()
        self._unread: dict[str, int] = {}  # by queue: the lowest spec version that no worker reads
        self._webhooks = WebhookSender(self._engine, settings)
        self._store_scrub = StoreScrub(
            self._engine, self._store, self._metrics, settings.scrub_bytes_per_second
        )
        self._retention = Retention(
            Storage(self._engine, self._store, mirrored_only=bool(settings.mlflow_url)),
            [*policies(kept_days(settings)), *self._run_policies()],
            self._report_freed,
        )
        self._loops = [
            Loop("dispatch", settings.dispatch_seconds, self.dispatch),
            Loop("reap", settings.reap_seconds, self.reap),
            Loop(
                "sweeps",
                min(_SWEEP_SECONDS, settings.dispatch_seconds),
                self.sweep,
                idle_seconds=settings.dispatch_seconds,
            ),
            Loop("erase", _ERASE_SECONDS, self.erase),
            Loop("webhooks", _WEBHOOK_SECONDS, self._webhooks.look),
            Loop("retention", _RETENTION_SECONDS, self._retention.advance),
            *self._store_scrub.loops(),
        ]
        if settings.mlflow_url:
            self._loops += self._mirror_loops()

    def _mirror_loops(self) -> list[Loop]:
        reconcile = Reconciler(self._engine, self._job_mirror).look
        reconcile_sweeps = Reconciler(self._engine, self._sweep_mirror).look
        return [
            Loop("mirror", _MIRROR_SECONDS, self._job_mirror.look),
            Loop(
                "mirror trials",
                _TRIALS_SECONDS,
                self._trial_mirror.look,
                idle_seconds=_MIRROR_SECONDS,
            ),
            Loop("mirror sweeps", _MIRROR_SECONDS, self._sweep_mirror.look),
            Loop("mirror models", _MIRROR_SECONDS, self._model_mirror.look),
            Loop("delete runs", _DELETE_SECONDS, RunDeletion(self._engine, self._job_mirror).look),
            Loop("reconcile models", _RECONCILE_SECONDS, self._model_mirror.reconcile),
            Loop("reconcile sweeps", _RECONCILE_SECONDS, reconcile_sweeps),
            Loop("reconcile", _RECONCILE_SECONDS, reconcile),
        ]

    def run(self, ended: threading.Event) -> None:
        """Run the loops until `ended` is set."""
        if self._settings.metrics_port:
            self._metrics.serve(self._settings.metrics_host, self._settings.metrics_port)
        for loop in self._loops:
            loop.start()
        log.info("the scheduler started")
        while not ended.wait(_PULSE_SECONDS):
            if all(loop.healthy(_STUCK_SECONDS) for loop in self._loops):
                touch_pulse_file(self._settings.pulse_file)
        for loop in self._loops:
            loop.end(_END_SECONDS)
        self._webhooks.close()
        self._job_mirror.close()
        self._trial_mirror.close()
        self._sweep_mirror.close()
        self._model_mirror.close()
        self._engine.dispose()

    def dispatch(self) -> int:
        """Send messages for the next queued jobs; how many. Raises UnavailableError."""
        with reading(self._engine) as session:
            if not jobs.any_queued(session):
                self._unread = {}
                return 0
            slots = nodes.slots(session)
            known = {
                queue: workers.spec_version
                for queue, workers in nodes.queue_workers(session).items()
            }
            unread = jobs.beyond(session, known)
        lowest = {queue: version for queue, (_, version) in unread.items()}
        if lowest != self._unread:
            self._unread = lowest
            for queue, (count, version) in unread.items():
                log.warning(
                    "queued jobs need a worker of a newer release",
                    queue=queue,
                    jobs=count,
                    spec_version=version,
                    workers_read=known[queue],
                )
        sent = sum(
            jobs.dispatch(
                self._engine,
                lambda job_id, queue: notify(self._celery, job_id, queue),
                queue=queue,
                window=max(_MIN_WINDOW, 2 * slots.get(queue, 0)),
                again_seconds=self._settings.ring_again_seconds,
                spec_version=known.get(queue, SPEC_VERSION),
            )
            for queue in QUEUES
        )
        self._metrics.messages.inc(sent)
        return sent

    def reap(self) -> None:
        """Recover jobs whose leases ran out. Raises UnavailableError."""
        for job_id in self._reaper.look():
            self._metrics.reaped.inc()
            log.warning("an attempt was lost: its lease ran out", job=job_id)

    def sweep(self) -> int:
        """Advance all sweeps: record results, prune, start trials; how many there are.

        Raises UnavailableError.
        """
        with reading(self._engine) as session:
            unfinished = sweeps.unfinished(session)
        self._snapshots.retain(unfinished)
        for sweep_id in unfinished:
            try:
                sweeps.advance(self._engine, sweep_id, self._snapshots)
            except SupersededError as error:
                log.info("another scheduler advances a sweep", sweep=sweep_id, reason=error.detail)
            except UnavailableError:
                raise
            except Exception:
                # An error of one sweep must not delay the others.
                log.exception("cannot advance a sweep", sweep=sweep_id)
        return len(unfinished)

    def erase(self) -> None:
        """Erase deleted dataset versions that no job needs. Raises UnavailableError."""
        with reading(self._engine) as session:
            version_ids = datasets.erasable(session)
        for version_id in version_ids:
            if datasets.erase(self._engine, self._store, version_id):
                log.info("a dataset version was erased", version_id=version_id)

    def _run_policies(self) -> list[RunPolicy]:
        """The policy for runs in MLflow, if there is one and runs are not kept for ever."""
        days, server = self._settings.keep_mlflow_days, self._job_mirror.server
        return [RunPolicy(days, server)] if days and server is not None else []

    def _report_freed(self, kind: str, freed: Freed) -> None:
        """Log and count what a pass of a retention policy deleted."""
        self._metrics.freed.labels(kind).inc(freed.bytes)
        log.info(
            "old data was deleted", kind=kind, rows=freed.rows, files=freed.files, bytes=freed.bytes
        )


def main() -> int:
    """Run the scheduler until SIGTERM or SIGINT; the exit code."""
    hide_memory()
    settings = Settings()
    forget_secrets()
    logs.configure(node=settings.node_name or socket.gethostname(), role="scheduler")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        check(settings)
        Scheduler(settings).run(ended)
    except ChainruleError as error:
        print(f"scheduler: {error.detail}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
