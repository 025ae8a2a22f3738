"""What an attempt does for its kind of job, apart from supervising the runner that does it."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from core.errors import ChainruleError
from core.events import Event
from core.jobs import End
from core.spec.base import Spec
from worker.attempt.members import Members
from worker.attempt.outcome import Outcome
from worker.attempt.recorder import Recorder
from worker.failure import Cause
from worker.node.context import Equipment
from worker.runner.channel import Message


@dataclass(frozen=True)
class Parts:
    """What an attempt hands to its task. `spec` is that of the first job."""

    equipment: Equipment
    members: Members
    spec: Spec
    recorder: Recorder
    outcome: Outcome


class Task(ABC):
    """The work of one attempt: its files, its message to the runner, what the events mean.

    `step` is how far the runner has come.
    """

    def __init__(self, parts: Parts) -> None:
        checkpoint = parts.members.first.checkpoint
        self.step = checkpoint.step if checkpoint else 0
        self._equipment = parts.equipment
        self._members = parts.members
        self._claim = parts.members.first
        self._recorder = parts.recorder
        self._outcome = parts.outcome
        self._files = ExitStack()

    def start(self) -> None:  # noqa: B027 - optional
        """Start threads of the task."""

    def end(self) -> None:
        """End what `start` began, and let the cache evict the files again."""
        self._files.close()

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """Fetch the files to this machine, where they stay until the end.

        Raises UnavailableError, NotFoundError or InvalidError when a file cannot be had.
        """

    @abstractmethod
    def order(self) -> Message:
        """The files and limits that the runner needs, once all is here."""

    def failure(self) -> ChainruleError | None:
        """What went wrong with the files meanwhile, if anything did."""
        return None

    def check(self) -> None:  # noqa: B027 - optional
        """Compare the files that were used with their digests, before a result is kept.

        Raises as `prepare` does; may take long.
        """

    @abstractmethod
    def take(self, event: Event, at: float) -> None:
        """Handle an event that the runner sent at the monotonic moment `at`."""

    @property
    @abstractmethod
    def ready(self) -> Collection[str]:
        """The jobs that have come to their end in the runner and are to be kept."""

    @abstractmethod
    def keep(self, job_ids: Collection[str]) -> Mapping[str, End]:
        """Upload what the runner made for these jobs; how they end. May take long.

        Raises UnavailableError, SupersededError.
        """

    def write_with_end(self, session: Session, job_id: str) -> None:  # noqa: B027 - optional
        """Write what belongs into the transaction in which a job is finished."""

    def discard(self, cause: Cause) -> None:  # noqa: B027 - optional
        """Forget what the next attempt must not use again, if that is the cause."""

    def settle(self) -> None:  # noqa: B027 - optional
        """Wait a little until what the next attempt resumes from is safe."""
