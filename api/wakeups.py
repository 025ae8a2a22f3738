"""Publishes wake-up messages for new jobs without making the client wait for the broker.

A lost message costs about a second: the scheduler publishes again for every job that is queued.
"""

import logging
import queue
import threading

from celery import Celery

from api.metrics import Instruments
from core.errors import UnavailableError
from core.queue import notify

PUBLISH_SECONDS = 0.25
_PENDING = 256

logger = logging.getLogger("chainrule.api")


class WakeUps:
    """Publishes from its own thread through a bounded queue; drops messages when it is full."""

    def __init__(self, app: Celery | None, instruments: Instruments) -> None:
        self._app = app
        self._outcomes = instruments.wakeups
        self._pending: queue.Queue[tuple[str, str] | None] = queue.Queue(_PENDING)
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def publish(self, job_id: str, queue_name: str) -> None:
        """Queue a message to the workers of `queue_name`. Never waits and never raises."""
        if self._app is None:
            return
        with self._start:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wakeups", daemon=True)
                self._thread.start()
        try:
            self._pending.put_nowait((job_id, queue_name))
        except queue.Full:
            self._outcomes.labels("dropped").inc()

    def close(self) -> None:
        """Publish the pending messages and stop the thread, within three seconds."""
        if self._thread is not None:
            try:
                self._pending.put(None, timeout=1)
            except queue.Full:
                return
            self._thread.join(timeout=2)

    def _run(self) -> None:
        while (message := self._pending.get()) is not None:
            self._outcomes.labels(self._try(*message)).inc()

    def _try(self, job_id: str, queue_name: str) -> str:
        assert self._app is not None
        try:
            notify(self._app, job_id, queue_name)
        except UnavailableError as error:
            logger.info("job %s: no wake-up published: %s", job_id, error.detail)
            return "unavailable"
        except Exception:
            # The thread must survive every error of the broker.
            logger.exception("job %s: no wake-up published", job_id)
            return "failed"
        return "rung"
