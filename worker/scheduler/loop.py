"""Something done again and again in a thread, that no error of one time keeps from the next."""

import threading
import time
from collections.abc import Callable

import structlog

from core.errors import ChainruleError

log = structlog.get_logger()


class Loop:
    """Calls `work` every `seconds` until it is ended."""

    def __init__(self, name: str, seconds: float, work: Callable[[], object]) -> None:
        self.name = name
        self._seconds = seconds
        self._work = work
        self._ended = threading.Event()
        self._failing = False
        self._turned = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self, timeout_seconds: float) -> None:
        """Begin no more; wait until the present time is over, or the timeout."""
        self._ended.set()
        self._thread.join(timeout_seconds)

    def turns(self, grace_seconds: float) -> bool:
        """Whether it came round lately: no call has been taking longer than the grace."""
        return time.monotonic() - self._turned < self._seconds + grace_seconds

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._work()
                if self._failing:
                    log.info("works again", loop=self.name)
                self._failing = False
            except ChainruleError as error:
                # Once: a server that is away for a day must not fill the log.
                if not self._failing:
                    log.warning("does not work now", loop=self.name, reason=error.detail)
                self._failing = True
            except Exception:
                log.exception("stumbled", loop=self.name)
            self._turned = time.monotonic()
            self._ended.wait(self._seconds)
