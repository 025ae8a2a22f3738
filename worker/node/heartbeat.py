"""The heartbeat of a worker: a row in the database and, for health checks, a file.

Its answer says whether the worker is to drain, and which dataset versions were erased.
"""

import platform
import threading
import time
from contextlib import suppress
from pathlib import Path

import structlog

from core import datasets, nodes
from core.data.storage.purge import purge
from core.db.session import reading, repeated, transaction
from core.errors import ChainruleError
from worker.node.context import Equipment

log = structlog.get_logger()

_BEAT_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_PURGE_SECONDS = 20.0


class Heartbeat:
    """Sends the heartbeat from a thread. Several slots of a worker may each have one."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def end(self) -> None:
        """Stop the thread after its present round."""
        self._ended.set()

    def _run(self) -> None:
        beat_at = purge_at = 0.0
        suspended_for: str | None = None
        while not self._ended.is_set():
            try:
                changed = suspended_for != (reason := self._equipment.breaker.reason)
                if changed or time.monotonic() >= beat_at:
                    self._beat(reason)
                    suspended_for = reason
                    beat_at = time.monotonic() + _BEAT_SECONDS
                else:
                    self._look()
                if time.monotonic() >= purge_at:
                    self._purge()
                    purge_at = time.monotonic() + _PURGE_SECONDS
            except ChainruleError as error:
                log.warning("the heartbeat failed", reason=error.detail)
            except Exception:
                log.exception("the heartbeat failed unexpectedly")
            # Also when the database does not answer: the process itself is healthy.
            touch_pulse_file(self._equipment.settings.pulse_file)
            self._ended.wait(_LOOK_SECONDS)

    def _beat(self, suspended_for: str | None) -> None:
        equipment = self._equipment
        settings = equipment.settings
        held = equipment.holdings.look()
        with transaction(equipment.engine) as session:
            equipment.drain.wanted = nodes.heartbeat(
                session,
                node=equipment.node,
                worker=equipment.worker,
                host=platform.node(),
                pid=equipment.main_pid,
                slots=settings.slots,
                queues=equipment.queues,
                versions=equipment.versions | equipment.sandbox,
                devices=[{"kind": queue} for queue in equipment.queues],
                datasets=held,
                peer_url=settings.peer_url or None,
                suspended_for=suspended_for,
            )

    def _purge(self) -> None:
        """Delete erased dataset versions from the cache."""
        with reading(self._equipment.engine) as session:
            erased = datasets.erased_digests(session)
        if count := purge(self._equipment.cache, erased):
            log.info("erased dataset versions left the cache", versions=count)

    def _look(self) -> None:
        with reading(self._equipment.engine) as session:
            self._equipment.drain.wanted = nodes.draining(session, self._equipment.worker)


def report_stopped(equipment: Equipment) -> None:
    """Record that the worker ended on purpose, so that it counts as gone at once."""
    try:
        repeated(equipment.engine, lambda session: nodes.stopped(session, equipment.worker))
    except ChainruleError as error:
        log.info("cannot report that the worker stopped", reason=error.detail)


def touch_pulse_file(path: Path | None) -> None:
    """Touch the file of a health check, if there is one; an error shows as a file that gets old."""
    if path is not None:
        with suppress(OSError):
            path.touch()
