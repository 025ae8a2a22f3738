"""End members of a stack while the others continue to train, from a thread of its own."""

import time
from collections.abc import Callable
from functools import partial

from core import jobs
from worker.attempt.lease import Lease
from worker.attempt.members import Members
from worker.attempt.outcome import Outcome
from worker.attempt.task import Task
from worker.background import BackgroundCall

_REST = 20.0
"""Between two batches so many times the duration of the last one: writing for many takes processor
time from the training."""
_LONGEST_REST_SECONDS = 10.0


class Departures:
    """Ends the members that are through, and those whose owner cancels or pauses them.

    One batch at a time; members that are through wait for at least `least_seconds` for others.
    """

    def __init__(
        self, members: Members, lease: Lease, task: Task, outcome: Outcome, *, least_seconds: float
    ) -> None:
        self._members = members
        self._lease = lease
        self._task = task
        self._outcome = outcome
        self._least_seconds = least_seconds
        self._none_ready_at = self._begun_at = time.monotonic()
        self._rest_until = 0.0
        self.batch: BackgroundCall[None] | None = None

    def advance(self, leave: Callable[[str], object]) -> None:
        """Begin the next batch if there is one; `leave` is called for jobs to train no longer.

        Never waits. Raises what the last batch raised.
        """
        if self.batch is not None:
            if not self.batch.wait(0.0):
                return
            self.batch.result()
            self.batch = None
            rest = _REST * (time.monotonic() - self._begun_at)
            self._rest_until = time.monotonic() + min(rest, _LONGEST_REST_SECONDS)
        superseded = self._members.superseded
        cancelled, paused = self._asked()
        for job_id in [*superseded, *cancelled, *paused]:
            leave(job_id)
        self._outcome.leave_superseded(superseded)
        ready = [job_id for job_id in self._ready() if job_id not in cancelled]
        if cancelled or paused or ready:
            self._begun_at = time.monotonic()
            self.batch = BackgroundCall(partial(self._end, cancelled, paused, ready))

    def _asked(self) -> tuple[list[str], list[str]]:
        """The members to cancel and those to pause."""
        signals: dict[str, jobs.Signals] = dict(self._lease.signals)
        owned = [job_id for job_id in self._members.owned if job_id in signals]
        cancelled = [job_id for job_id in owned if signals[job_id].cancel_requested]
        paused = [job_id for job_id in owned if signals[job_id].pause_requested]
        return cancelled, [job_id for job_id in paused if job_id not in cancelled]

    def _ready(self) -> list[str]:
        """The members that are through, when it is time to end them."""
        ready, now = list(self._task.ready), time.monotonic()
        if not ready:
            self._none_ready_at = now
        waited = now - self._none_ready_at >= self._least_seconds
        return ready if waited and now >= self._rest_until else []

    def _end(self, cancelled: list[str], paused: list[str], ready: list[str]) -> None:
        if cancelled:
            self._outcome.cancel(cancelled)
        if paused:
            self._outcome.release(paused, {"kind": "pause"})
        if ready:
            self._outcome.finish(self._task.keep(ready), also=self._task.write_with_end)
