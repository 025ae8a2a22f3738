"""Write what an attempt measures and logs to the database: in order, and each thing once."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Engine

from core import jobs
from core.db.session import transaction
from core.errors import UnavailableError
from core.events import Event
from core.jobs import MOST_LINES, Line, Report
from worker.attempt.members import Members
from worker.attempt.progress import Progress

log = structlog.get_logger()

_CHUNK_POINTS = 500
_MOST_POINTS = 20_000
_RETRY_SECONDS = 0.25
_REST = 20.0
"""A stack rests between two writes for so many times the duration of the last one."""
_LONGEST_REST_SECONDS = 10.0


@dataclass(frozen=True)
class _Chunk:
    """Reports by network; with them all additions up to number `through` are written."""

    reports: Mapping[int, Report]
    through: int


class Recorder:
    """Collects for up to `chunk_seconds`, then writes from a thread of its own.

    While the database is away points wait in memory. Jobs that another attempt took over are
    written no more. `failed` holds the error that ended the writing, if one did.
    """

    def __init__(
        self, engine: Engine, members: Members, progress: Progress, *, chunk_seconds: float = 1.0
    ) -> None:
        self.failed: Exception | None = None
        self._engine = engine
        self._members = members
        self._progress = progress
        self._chunk_seconds = chunk_seconds
        self._lines: list[Line] = []
        self._line_count = 0
        self._since = self._rest_until = 0.0
        self._added = self._written = 0
        self._requested = 0
        self._sequence = 0
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, event: Event, at: float) -> int:
        """Take an event of the monotonic moment `at`; the number of its points. Never waits."""
        with self._changed:
            self._begin_chunk()
            points = self._progress.add(event, at)
            self._note_addition()
            return points

    def measure(self, metrics: Mapping[str, float], at: float) -> None:
        """Take measurements of the machine. Never waits."""
        with self._changed:
            self._begin_chunk()
            self._progress.measure(metrics, at)
            self._note_addition()

    def log(self, text: str, level: str = "info") -> None:
        """Take a line of the job's log; beyond MOST_LINES nothing more is taken. Never waits.

        Stacks keep no log: thousands of trials would write more lines than anybody reads.
        """
        with self._changed:
            if self._line_count >= MOST_LINES or not self._members.alone:
                return
            self._begin_chunk()
            self._line_count += 1
            last = self._line_count == MOST_LINES
            shown = ("warning", "the log is full: nothing more is kept") if last else (level, text)
            self._lines.append(Line(self._line_count, *shown))
            self._note_addition()

    def ticket(self) -> int:
        """A number for `wait`: all that was added until now."""
        with self._changed:
            return self._added

    def wait(self, ticket: int, timeout_seconds: float) -> bool:
        """Write at once, and wait until all that the ticket stands for is in the database.

        False when it is not within the timeout, or never will be.
        """
        with self._changed:
            self._requested = max(self._requested, ticket)
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._written >= ticket or self.failed is not None or self._ended,
                timeout_seconds,
            )
            return self._written >= ticket

    def end(self) -> None:
        """Stop writing; what is not written yet is dropped."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _begin_chunk(self) -> None:
        if self._empty:
            self._since = time.monotonic()

    def _note_addition(self) -> None:
        self._added += 1
        self._changed.notify_all()

    @property
    def _empty(self) -> bool:
        return self._progress.empty and not self._lines

    def _run(self) -> None:
        try:
            while (chunk := self._take()) is not None:
                begun = time.monotonic()
                if not self._write(chunk.reports):
                    return
                # Writing for many takes processor time from the training.
                rest = 0.0 if self._members.alone else _REST * (time.monotonic() - begun)
                with self._changed:
                    self._rest_until = time.monotonic() + min(rest, _LONGEST_REST_SECONDS)
                    self._written = chunk.through
                    self._changed.notify_all()
        except Exception as error:
            with self._changed:
                self.failed = error
                self._changed.notify_all()

    def _take(self) -> _Chunk | None:
        """The next chunk when it is due; None when there will be none."""
        with self._changed:
            while not self._ended and not self._due():
                self._changed.wait(self._patience())
            if self._ended:
                return None
            self._sequence += 1
            networks = [self._members.network(job_id) for job_id in self._members.owned]
            reports = self._progress.take(networks, self._sequence, _MOST_POINTS)
            through = self._added if self._progress.empty else self._written
            return _Chunk(self._with_lines(reports), through)

    def _with_lines(self, reports: Mapping[int, Report]) -> Mapping[int, Report]:
        lines, self._lines = self._lines, []
        if not lines:
            return reports
        return {network: replace(report, lines=lines) for network, report in reports.items()}

    def _due(self) -> bool:
        if self._empty:
            return False
        now = time.monotonic()
        if self._requested > self._written:
            return True
        full = self._progress.points >= _CHUNK_POINTS
        return now >= self._rest_until and (full or now - self._since >= self._chunk_seconds)

    def _patience(self) -> float | None:
        if self._empty:
            return None
        due_at = max(self._since + self._chunk_seconds, self._rest_until)
        return max(0.001, due_at - time.monotonic())

    def _write(self, reports: Mapping[int, Report]) -> bool:
        """Write one chunk, however often that has to be tried; whether it is in the database."""
        while not self._ended:
            owned = self._members.owned
            by_job = {job_id: reports.get(self._members.network(job_id)) for job_id in owned}
            mine = {job_id: report for job_id, report in by_job.items() if report is not None}
            try:
                with transaction(self._engine) as session:
                    still_owned = jobs.write(session, owned, mine)
            except UnavailableError as error:
                log.warning("metrics wait for the database", reason=error.detail)
                time.sleep(_RETRY_SECONDS)
                continue
            self._members.confirm({job_id: owned[job_id] for job_id in mine}, still_owned)
            return True
        return False
