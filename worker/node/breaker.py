"""The circuit breaker of a worker: while it is open, the worker claims no jobs.

Losses caused by the machine open it; a passed probe of the machine closes it. Each further loss in
a row doubles the pause before the next probe, so a machine whose failure no probe detects claims
about once a minute. All processes of a worker share the breaker.
"""

import mmap
import struct
import time
import zlib
from collections.abc import Callable

import structlog

from worker.failure import Cause, by_machine

log = structlog.get_logger()

MAX_JOBS_IN_A_ROW = 3
"""Losing this many different jobs in a row opens the breaker, whatever the causes."""

MAX_PAUSE_SECONDS = 60.0

_STATE = struct.Struct("<IIIId200s")
"""Open or not, failures and lost jobs in a row, CRC-32 of the last job, time of probe, reason."""


class CircuitBreaker:
    """Shared by all processes that are forked after it was created."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._memory = mmap.mmap(-1, _STATE.size)
        self._monotonic = monotonic

    @property
    def open(self) -> bool:
        """Whether the worker must not claim jobs."""
        return self._read()[0] != 0

    @property
    def reason(self) -> str | None:
        """Why it is open; None while it is closed."""
        is_open, *_, reason = self._read()
        return reason.rstrip(b"\0").decode(errors="ignore") if is_open else None

    @property
    def due(self) -> bool:
        """Whether it is open and the next probe is due."""
        is_open, _, _, _, probe_at, _ = self._read()
        return bool(is_open) and self._monotonic() >= probe_at

    def lost(self, job_id: str, cause: Cause) -> None:
        """Count a lost attempt; open if the machine caused it, or after many lost jobs in a row."""
        _, failures, jobs, last, probe_at, reason = self._read()
        crc = zlib.crc32(job_id.encode())
        jobs += crc != last
        self._write(self.open, failures, jobs, crc, probe_at, reason)
        message = str(cause.get("message") or cause["kind"])
        if by_machine(cause):
            self.trip(message)
        elif jobs >= MAX_JOBS_IN_A_ROW:
            self.trip(f"attempts at {jobs} jobs in a row were lost; the last: {message}")

    def trip(self, reason: str) -> None:
        """Open, or stay open for a longer pause; `reason` is the loss or the failed probe."""
        _, failures, jobs, last, _, _ = self._read()
        failures += 1
        pause = min(2.0 ** min(failures - 1, 16) - 1, MAX_PAUSE_SECONDS)
        text = reason.encode()[:200]
        self._write(True, failures, jobs, last, self._monotonic() + pause, text)
        log.error("this worker stops claiming", reason=reason, probe_in_seconds=pause)

    def close(self) -> None:
        """Close after a passed probe; the count of failures stays until an attempt succeeds."""
        _, failures, _, last, _, _ = self._read()
        self._write(False, failures, 0, last, 0.0, b"")
        log.info("this worker claims again")

    def succeeded(self) -> None:
        """Reset all counts: an attempt ended without a loss, so the machine works."""
        is_open, _, _, last, probe_at, reason = self._read()
        self._write(bool(is_open), 0, 0, last, probe_at, reason)

    def _read(self) -> tuple[int, int, int, int, float, bytes]:
        return _STATE.unpack_from(self._memory)

    def _write(
        self, is_open: bool, failures: int, jobs: int, last: int, probe_at: float, reason: bytes
    ) -> None:
        _STATE.pack_into(self._memory, 0, is_open, failures, jobs, last, probe_at, reason)
