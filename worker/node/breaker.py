"""The circuit breaker of a worker: after losses that are its own fault it claims nothing.

It stays open until a probe of the machine passes. Each further loss in a row doubles the pause
before the next probe, so a machine that fails in a way that no probe sees claims about once a
minute. All processes of a worker share it.
"""

import mmap
import struct
import time
import zlib
from collections.abc import Callable

import structlog

from worker.failure import Cause, by_machine

log = structlog.get_logger()

MOST_JOBS_IN_A_ROW = 3
"""So many different jobs in a row that were lost here, whatever the cause, open it as well."""

LONGEST_PAUSE_SECONDS = 60.0

_STATE = struct.Struct("<IIIId200s")
"""Open or not, failures in a row, jobs lost in a row, CRC-32 of the last one, moment, reason."""


class CircuitBreaker:
    """Open: the worker claims no jobs. Made before the processes that share it are forked."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._memory = mmap.mmap(-1, _STATE.size)
        self._monotonic = monotonic

    @property
    def open(self) -> bool:
        """Whether no job is to be claimed."""
        return self._read()[0] != 0

    @property
    def reason(self) -> str | None:
        """Why it is open; None when it is not."""
        is_open, *_, reason = self._read()
        return reason.rstrip(b"\0").decode(errors="ignore") if is_open else None

    @property
    def due(self) -> bool:
        """Whether it is open and the machine is to be probed now."""
        is_open, _, _, _, probe_at, _ = self._read()
        return bool(is_open) and self._monotonic() >= probe_at

    def lost(self, job_id: str, cause: Cause) -> None:
        """Count an attempt that was lost here; open when the machine, or each job, lost it."""
        _, failures, jobs, last, probe_at, reason = self._read()
        crc = zlib.crc32(job_id.encode())
        jobs += crc != last
        self._write(self.open, failures, jobs, crc, probe_at, reason)
        why = str(cause.get("message") or cause["kind"])
        if by_machine(cause):
            self.trip(why)
        elif jobs >= MOST_JOBS_IN_A_ROW:
            self.trip(f"attempts at {jobs} jobs in a row were lost; the last: {why}")

    def trip(self, reason: str) -> None:
        """Open, or stay open for longer: a loss or a failed probe has this reason."""
        _, failures, jobs, last, _, _ = self._read()
        failures += 1
        pause = min(2.0 ** min(failures - 1, 16) - 1, LONGEST_PAUSE_SECONDS)
        text = reason.encode()[:200]
        self._write(True, failures, jobs, last, self._monotonic() + pause, text)
        log.error("this worker stops claiming", reason=reason, probe_in_seconds=pause)

    def close(self) -> None:
        """Claim again: a probe passed. Losses go on being counted until an attempt succeeds."""
        _, failures, _, last, _, _ = self._read()
        self._write(False, failures, 0, last, 0.0, b"")
        log.info("this worker claims again")

    def succeeded(self) -> None:
        """An attempt came to its end here: the machine works."""
        is_open, _, _, last, probe_at, reason = self._read()
        self._write(bool(is_open), 0, 0, last, probe_at, reason)

    def _read(self) -> tuple[int, int, int, int, float, bytes]:
        return _STATE.unpack_from(self._memory)

    def _write(
        self, is_open: bool, failures: int, jobs: int, last: int, probe_at: float, reason: bytes
    ) -> None:
        _STATE.pack_into(self._memory, 0, is_open, failures, jobs, last, probe_at, reason)
