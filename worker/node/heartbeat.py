"""Say every few seconds that a worker is there; hear whether to drain, and what was erased."""

import platform
import threading
import time
from typing import Any

import structlog

from core import datasets, nodes
from core.data.storage.purge import purge
from core.db.session import reading, repeated, transaction
from core.errors import ChainruleError
from worker.node.context import Equipment
from worker.node.liveness import beat

log = structlog.get_logger()

_PAUSE_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_PURGE_SECONDS = 20.0


class Presence:
    """Heartbeats of a worker from a thread of one of its slots; several slots do no harm."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to be seen."""
        threading.Thread(target=self._run, name="presence", daemon=True).start()

    def end(self) -> None:
        """Be seen no more."""
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
                    beat_at = time.monotonic() + _PAUSE_SECONDS
                else:
                    self._look()
                if time.monotonic() >= purge_at:
                    self._purge()
                    purge_at = time.monotonic() + _PURGE_SECONDS
            except ChainruleError as error:
                log.warning("the heartbeat failed", reason=error.detail)
            except Exception:
                log.exception("the heartbeat stumbled")
            # Also when the database is away: that is no fault of this process.
            beat(self._equipment.settings.pulse_file)
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
                versions=equipment.versions,
                devices=_devices(equipment.queues),
                datasets=held,
                peer_url=settings.peer_url or None,
                suspended_for=suspended_for,
            )

    def _purge(self) -> None:
        """Take what was erased out of this machine's cache."""
        with reading(self._equipment.engine) as session:
            erased = datasets.erased_digests(session)
        if count := purge(self._equipment.cache, erased):
            log.info("erased dataset versions left the cache", versions=count)

    def _look(self) -> None:
        with reading(self._equipment.engine) as session:
            self._equipment.drain.wanted = nodes.draining(session, self._equipment.worker)


def say_goodbye(equipment: Equipment) -> None:
    """Let the worker count as gone at once."""
    try:
        repeated(equipment.engine, lambda session: nodes.stopped(session, equipment.worker))
    except ChainruleError as error:
        log.info("could not say goodbye", reason=error.detail)


def _devices(queues: list[str]) -> list[Any]:
    return [{"kind": queue} for queue in queues]
