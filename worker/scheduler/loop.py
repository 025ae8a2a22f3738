"""A task that a thread repeats at an interval, whatever errors it raises."""

import threading
import time
from collections.abc import Callable

import structlog

from core.errors import ChainruleError

log = structlog.get_logger()


class Loop:
    """Calls `work` every `seconds` until it is ended.

    With `idle_seconds` it waits that long after a call that returned 0, which had nothing to do.
    """

    def __init__(
        self,
        name: str,
        seconds: float,
        work: Callable[[], object],
        *,
        idle_seconds: float | None = None,
    ) -> None:
        self.name = name
        self._seconds = seconds
        self._idle_seconds = seconds if idle_seconds is None else idle_seconds
        self._work = work
        self._ended = threading.Event()
        self._failing = False
        self._returned_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self, timeout_seconds: float) -> None:
        """Stop; wait until the present call has returned, or for the timeout."""
        self._ended.set()
        self._thread.join(timeout_seconds)

    def healthy(self, grace_seconds: float) -> bool:
        """Whether no call has been running for longer than the grace."""
        longest = max(self._seconds, self._idle_seconds)
        return time.monotonic() - self._returned_at < longest + grace_seconds

    def pause_seconds(self, done: object) -> float:
        """Return the seconds to wait after a call that returned `done`."""
        return self._idle_seconds if done == 0 else self._seconds

    def _run(self) -> None:
        while not self._ended.is_set():
            done: object = None
            try:
                done = self._work()
                if self._failing:
                    log.info("the loop works again", loop=self.name)
                self._failing = False
            except ChainruleError as error:
                # Logged once: an outage of a day must not fill the log.
                if not self._failing:
                    log.warning("the loop fails", loop=self.name, reason=error.detail)
                self._failing = True
            except Exception:
                log.exception("the loop failed unexpectedly", loop=self.name)
            self._returned_at = time.monotonic()
            self._ended.wait(self.pause_seconds(done))
