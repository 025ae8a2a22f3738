"""Tells the broker of a new job without letting the client wait for it.

A bell that is not heard costs a second: the scheduler rings for every job that waits.
"""

import logging
import queue
import threading

from celery import Celery

from api.metrics import Instruments
from core.errors import UnavailableError
from core.queue import ring

PUBLISH_SECONDS = 0.25
_PENDING = 256

logger = logging.getLogger("chainrule.api")


class Doorbell:
    """Rings from a thread of its own; what does not fit into its short list is dropped."""

    def __init__(self, app: Celery | None, instruments: Instruments) -> None:
        self._app = app
        self._outcomes = instruments.doorbells
        self._pending: queue.Queue[tuple[str, str] | None] = queue.Queue(_PENDING)
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self, job_id: str, queue_name: str) -> None:
        """Have the workers of a queue told of a job, soon and perhaps. Never waits or raises."""
        if self._app is None:
            return
        with self._start:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._thread.start()
        try:
            self._pending.put_nowait((job_id, queue_name))
        except queue.Full:
            self._outcomes.labels("dropped").inc()

    def close(self) -> None:
        """Ring what is pending and end the thread, within bounded time."""
        if self._thread is not None:
            try:
                self._pending.put(None, timeout=1)
            except queue.Full:
                return
            self._thread.join(timeout=2)

    def _run(self) -> None:
        while (item := self._pending.get()) is not None:
            self._outcomes.labels(self._try(*item)).inc()

    def _try(self, job_id: str, queue_name: str) -> str:
        assert self._app is not None
        try:
            ring(self._app, job_id, queue_name)
        except UnavailableError as error:
            logger.info("job %s: not rung for: %s", job_id, error.detail)
            return "unavailable"
        except Exception:
            # The thread must outlive whatever the broker answers.
            logger.exception("job %s: not rung for", job_id)
            return "failed"
        return "rung"
