"""Probe a machine whose circuit breaker is open, and close the breaker when the probe passes."""

import os
import threading
import uuid
from pathlib import Path

import structlog

from core.data.storage.stores import BLOCK_BYTES
from core.errors import ChainruleError
from core.shortage import shortage
from worker.node.breaker import CircuitBreaker
from worker.node.context import Equipment

log = structlog.get_logger()

_LOOK_SECONDS = 0.25


class Probe:
    """Checks the breaker from a thread. Several slots of a worker may each have one."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._breaker: CircuitBreaker = equipment.breaker
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def end(self) -> None:
        """Stop the thread after its present round."""
        self._ended.set()

    def look(self) -> None:
        """Probe the machine if a probe is due: close the breaker, or keep it open for longer."""
        if not self._breaker.due:
            return
        try:
            check(self._equipment)
        except ChainruleError as error:
            self._breaker.trip(error.detail)
        except Exception as error:
            self._breaker.trip(f"{shortage(error) or type(error).__name__}: {error}")
        else:
            self._breaker.close()

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self._equipment.counts.set("suspended", float(self._breaker.open))
            try:
                self.look()
            except Exception:
                log.exception("the probe failed unexpectedly")


def check(equipment: Equipment) -> None:
    """Use the store and the disks of this machine. Raises UnavailableError or OSError."""
    equipment.store.confirm()
    equipment.store.probe()
    equipment.cache.probe(BLOCK_BYTES)
    _write_block(equipment.settings.data_dir / "work")


def _write_block(folder: Path) -> None:
    """Write a block to a temporary file. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".probe-{uuid.uuid4().hex}"
    try:
        with path.open("xb") as file:
            file.write(b"\0" * BLOCK_BYTES)
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)
