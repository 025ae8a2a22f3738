"""Calls that run in a thread of their own while the caller stays responsive."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class BackgroundCall(Generic[Result]):
    """Runs `work` in a thread; poll `wait` for its end."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._done = threading.Event()
        self._result: Result
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="background", daemon=True).start()

    def wait(self, timeout_seconds: float) -> bool:
        """Whether it is done within the timeout."""
        return self._done.wait(timeout_seconds)

    def result(self) -> Result:
        """What `work` returned, or the exception it raised. Only when it is done."""
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()
