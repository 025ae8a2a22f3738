"""What an attempt does for its kind of job, apart from watching over the runner that does it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import jobs
from core.errors import ChainruleError
from core.events import Event
from worker.attempt.outcome import Conclusion
from worker.attempt.progress import Timeline
from worker.attempt.recorder import Recorder
from worker.failure import Cause
from worker.node.context import Equipment
from worker.runner.channel import Message


@dataclass(frozen=True)
class Assignment:
    """What an attempt hands to its work."""

    equipment: Equipment
    claim: jobs.Claim
    recorder: Recorder
    conclusion: Conclusion
    timeline: Timeline


class Work(ABC):
    """One attempt's work: its files, what the runner is told, what becomes of what it says.

    `step` is how far the runner has come.
    """

    def __init__(self, given: Assignment) -> None:
        self.step = given.claim.checkpoint.step if given.claim.checkpoint else 0
        self._equipment = given.equipment
        self._claim = given.claim
        self._recorder = given.recorder
        self._conclusion = given.conclusion
        self._timeline = given.timeline
        self._files = ExitStack()

    @abstractmethod
    def start(self) -> None:
        """Begin what goes on beside the runner."""

    def end(self) -> None:
        """End what `start` began, and let the cache push the files out again."""
        self._files.close()

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """Bring what is needed to this machine; it stays until the end.

        Raises UnavailableError, NotFoundError or InvalidError when something is not to be had.
        """

    @abstractmethod
    def order(self) -> Message:
        """The files and limits that the runner is told of, once all is here."""

    def failure(self) -> ChainruleError | None:
        """What went wrong with the files meanwhile, if anything did."""
        return None

    @abstractmethod
    def check(self) -> None:
        """Hold the files that were used against their digests, before what came of them is kept.

        Raises as `prepare` does; may take long.
        """

    @abstractmethod
    def take(self, event: Event, at: float) -> None:
        """Pass on what the runner told at the monotonic moment `at`."""

    @abstractmethod
    def measured(self, found: Mapping[str, float], at: float) -> None:
        """Pass on how the machine does."""

    @abstractmethod
    def keep(self) -> Any:
        """Bring what the runner made to the store. Raises UnavailableError; may take long."""

    @abstractmethod
    def finish(self, kept: Any, peak_memory_bytes: int | None) -> None:
        """Finish the job with what `keep` gave."""

    @abstractmethod
    def spoilt(self, cause: Cause) -> None:
        """Forget what the next attempt must not use again, if that is the cause."""

    @abstractmethod
    def settle(self) -> None:
        """Wait a little until what the next attempt goes on from is safe."""
