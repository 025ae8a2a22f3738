"""Probe a machine whose circuit breaker is open, and let it claim again when it works."""

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
    """Looks at the breaker from a thread of a slot; several slots do no harm."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._breaker: CircuitBreaker = equipment.breaker
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> None:
        """Probe the machine if that is due: close the breaker, or keep it open for longer."""
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
                log.exception("the probe stumbled")


def check(equipment: Equipment) -> None:
    """Raise UnavailableError or OSError unless store and disks of this machine can be used."""
    equipment.store.confirm()
    equipment.store.probe()
    equipment.cache.probe(BLOCK_BYTES)
    _write(equipment.settings.data_dir / "work")


def _write(folder: Path) -> None:
    """Write a block to a file of its own that is gone afterwards. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".probe-{uuid.uuid4().hex}"
    try:
        with path.open("xb") as file:
            file.write(b"\0" * BLOCK_BYTES)
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)
