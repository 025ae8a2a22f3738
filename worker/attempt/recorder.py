"""Bring what an attempt measures and says to the database: in order, each thing written once."""

import threading
import time
from typing import Any

import structlog
from sqlalchemy import Engine

from core import jobs
from core.db.session import transaction
from core.errors import ChainruleError, SupersededError, UnavailableError
from core.jobs import MOST_LINES, Line, Point

log = structlog.get_logger()

_CHUNK_POINTS = 500
_MOST_POINTS = 20_000
_RETRY_SECONDS = 0.25


class Recorder:
    """Gathers points for up to `chunk_seconds`, then writes them from a thread of its own.

    While the database is away points wait in memory, for no longer than the lease allows. When the
    attempt is superseded nothing more is written and `failed` holds the error.
    """

    def __init__(self, engine: Engine, claim: jobs.Claim, *, chunk_seconds: float = 1.0) -> None:
        self.failed: ChainruleError | None = None
        self._engine = engine
        self._claim = claim
        self._chunk_seconds = chunk_seconds
        self._waiting: list[Point] = []
        self._lines: list[Line] = []
        self._said = 0
        self._progress: dict[str, Any] | None = None
        self._since = 0.0
        self._added = self._written = 0
        self._sequence = 0
        self._hurried = 0
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_on, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, points: list[Point], progress: dict[str, Any] | None = None) -> None:
        """Take points, and what the job row is to show from then on. Never waits."""
        with self._changed:
            self._begin_chunk()
            self._waiting += points
            self._added += len(points) + (progress is not None)
            if progress is not None:
                self._progress = {**(self._progress or {}), **progress}
            self._changed.notify_all()

    def say(self, text: str, level: str = "info") -> None:
        """Take a line of the job's log; beyond MOST_LINES nothing more is taken. Never waits."""
        with self._changed:
            if self._said >= MOST_LINES:
                return
            self._begin_chunk()
            self._said += 1
            last = self._said == MOST_LINES
            shown = ("warning", "the log is full: nothing more is kept") if last else (level, text)
            self._lines.append(Line(self._said, *shown))
            self._added += 1
            self._changed.notify_all()

    def ticket(self) -> int:
        """A number for `wait`: all that was added until now."""
        with self._changed:
            return self._added

    def wait(self, ticket: int, timeout_seconds: float) -> bool:
        """Hurry, and wait until all that the ticket stands for is in the database.

        False when it is not within the timeout, or never will be.
        """
        with self._changed:
            self._hurried = max(self._hurried, ticket)
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._written >= ticket or self.failed is not None or self._ended,
                timeout_seconds,
            )
            return self._written >= ticket

    def end(self) -> None:
        """Write no more; what still waits is dropped."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _write_on(self) -> None:
        while (taken := self._take()) is not None:
            points, lines, progress, through = taken
            if not self._write(points, lines, progress):
                return
            with self._changed:
                self._written = through
                self._changed.notify_all()

    def _begin_chunk(self) -> None:
        """Note since when something waits, if this is the first."""
        if self._empty:
            self._since = time.monotonic()

    @property
    def _empty(self) -> bool:
        return not self._waiting and not self._lines and self._progress is None

    def _take(self) -> tuple[list[Point], list[Line], dict[str, Any] | None, int] | None:
        """The next chunk when it is due; None when there will be none."""
        with self._changed:
            while not self._ended and not self._due():
                self._changed.wait(self._patience())
            if self._ended:
                return None
            points = self._waiting[:_MOST_POINTS]
            del self._waiting[:_MOST_POINTS]
            lines, self._lines = self._lines, []
            # The row must not run ahead of the points; it is written with the last of them.
            progress = None if self._waiting else self._progress
            if not self._waiting:
                self._progress = None
                return points, lines, progress, self._added
            return points, lines, progress, self._written

    def _due(self) -> bool:
        if self._empty:
            return False
        return (
            len(self._waiting) >= _CHUNK_POINTS
            or self._hurried > self._written
            or time.monotonic() - self._since >= self._chunk_seconds
        )

    def _patience(self) -> float | None:
        if self._empty:
            return None
        return max(0.001, self._since + self._chunk_seconds - time.monotonic())

    def _write(
        self, points: list[Point], lines: list[Line], progress: dict[str, Any] | None
    ) -> bool:
        """Write one chunk, however often that has to be tried; whether it is in the database."""
        self._sequence += 1
        while not self._ended:
            try:
                with transaction(self._engine) as session:
                    jobs.record_metrics(
                        session,
                        self._claim.job_id,
                        self._claim.attempt,
                        self._sequence,
                        points,
                        progress=progress,
                        lines=lines,
                    )
                return True
            except UnavailableError as error:
                log.warning("metrics wait for the database", reason=error.detail)
                time.sleep(_RETRY_SECONDS)
            except (SupersededError, ChainruleError) as error:
                with self._changed:
                    self.failed = error
                    self._changed.notify_all()
                return False
        return False
