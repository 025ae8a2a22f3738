"""Small errors put into the product's functions, to see whether tests find them."""

import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import CodeType
from typing import Any
from unittest import mock

from sqlalchemy import literal

from core import jobs
from core.db import idempotency
from core.db.types import Timestamp
from core.jobs import control, queries
from core.jobs.attempt import claims, outcome, ownership, reaper, reports
from core.jobs.mirror import state
from worker.attempt.outcome import Outcome
from worker.mlflow.mirror import Mirror


@dataclass(frozen=True)
class Mutant:
    """A function whose source has `old` replaced by `new`; `names` are globals that `new` needs.

    The code of the function itself is exchanged, so modules that imported it have the mutant.
    """

    function: Callable[..., Any]
    old: str
    new: str
    names: Mapping[str, Any] = field(default_factory=dict)

    def code(self) -> CodeType:
        """The changed code. Raises LookupError when the source does not have `old` exactly once."""
        source = textwrap.dedent(inspect.getsource(self.function))
        if source.count(self.old) != 1:
            raise LookupError(f"{self.function.__qualname__} has no single {self.old!r} any more")
        scope: dict[str, Any] = {}
        changed = compile(source.replace(self.old, self.new), "<mutant>", "exec", 0, True)
        exec(changed, {**self.function.__globals__, **self.names}, scope)
        code: CodeType = scope[self.function.__name__].__code__
        return code

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The function is wrong inside, and right again afterwards."""
        original = self.function.__code__
        with mock.patch.dict(self.function.__globals__, dict(self.names)):
            self.function.__code__ = self.code()
            try:
                yield
            finally:
                self.function.__code__ = original


def _unfenced(session: Any, job_id: str, _attempt: int) -> Any:
    return queries.get(session, job_id, lock=True)


def _unfenced_all(session: Any, owned: Any) -> Any:
    return {job_id: queries.get(session, job_id, lock=True) for job_id in sorted(owned)}


def _again(report: Any, was_written: bool) -> Any:
    return replace(report, sequence=report.sequence + 1000 * was_written)


def _by_local_clock(seconds: float) -> Any:
    return literal(datetime.now(UTC) + timedelta(seconds=seconds), Timestamp())


_OWN = ("own(session, job_id, attempt)", "_unfenced(session, job_id, attempt)")
_OWN_ALL = ("own_all(session, ", "_unfenced_all(session, ")
_UNFENCED = {"_unfenced": _unfenced, "_unfenced_all": _unfenced_all}
_READ = """\
        if batch is None:
            return True
"""

FOUND_BY_THE_MACHINE = {
    "metrics are not fenced": Mutant(reports.write, *_OWN_ALL, _UNFENCED),
    "checkpoints are not fenced": Mutant(jobs.record_checkpoint, *_OWN, _UNFENCED),
    "ends are not fenced": Mutant(outcome.finish_all, *_OWN_ALL, _UNFENCED),
    "releases are not fenced": Mutant(outcome.release_all, *_OWN_ALL, _UNFENCED),
    "losses are not fenced": Mutant(outcome.lose_all, *_OWN_ALL, _UNFENCED),
    "attempts are fenced by the job alone": Mutant(
        ownership.still_owned,
        "tuple_(Job.id, Job.attempt).in_(list(owned.items()))",
        "Job.id.is_not(None)",
    ),
    "an attempt writes into jobs that ended": Mutant(
        ownership.still_owned, "Job.status == JobStatus.RUNNING", "Job.id.is_not(None)"
    ),
    "a release resets the attempt": Mutant(
        outcome._wait_again,
        "job.published_at = None\n",
        "job.published_at = None\n    job.attempt = 0\n",
    ),
    "leases follow a local clock": Mutant(
        claims._take,
        "lease_until=later(lease_seconds)",
        "lease_until=_by_local_clock(lease_seconds)",
        {"_by_local_clock": _by_local_clock},
    ),
    "a claim does not wait for the backoff": Mutant(claims._take, ", Job.not_before <= now()", ""),
    "the reaper has no grace": Mutant(
        reaper.Reaper.look,
        "waited = started_at - self._up_since >= self._lease_seconds",
        "waited = True",
    ),
    "a key is forgotten": Mutant(idempotency.once, "if resource_id is not None:", "if False:"),
    "finishing twice is refused": Mutant(
        outcome.finish_all, "for job_id in others if", "for job_id in () if"
    ),
    "losses are not charged": Mutant(
        outcome._charge, "else job.infra_failures + 1", "else job.infra_failures"
    ),
    "advancing does not clear the account": Mutant(
        outcome._charge, "1 if advanced else job.infra_failures + 1", "job.infra_failures + 1"
    ),
    "a cancelled job waits again": Mutant(
        outcome._wait_again, "if job.cancel_requested_at is not None:", "if False:"
    ),
    "superseded points stay": Mutant(
        jobs.metrics.__globals__["last_steps"], "lowest = min(lowest, resumed_from)", "pass"
    ),
    "a chunk reported twice is written twice": Mutant(
        reports.write,
        "(job_id, job.attempt, report.sequence) not in written:",
        "True:\n"
        "            report = _again(report, (job_id, job.attempt, report.sequence) in written)",
        {"_again": _again},
    ),
    "a stack takes a job with a checkpoint": Mutant(
        claims._stackable, "Job.checkpoint_id.is_(None),", ""
    ),
    "a job given back forgets a pause": Mutant(
        outcome._wait_again,
        "JobStatus.QUEUED if job.pause_requested_at is None else JobStatus.PAUSED",
        "JobStatus.QUEUED",
    ),
    "a stack given back alone is a stack again": Mutant(
        outcome.release_all, "None if alone else job.stack_key", "job.stack_key"
    ),
    "the mirror shows a repeated point with its own moment": Mutant(
        state.unmirrored, "first.get(key, point)", "point"
    ),
    "the mirror marks chunks before it sends them": Mutant(
        Mirror.send_points,
        _READ,
        f"{_READ}        with transaction(self._engine) as session:\n"
        "            batch.mark(session)\n",
    ),
    "a resumed job stays paused": Mutant(control.resume, "JobStatus.QUEUED", "JobStatus.PAUSED"),
}
"""Errors that random lives of jobs have to find, by what they do."""

FOUND_BY_TESTS = {
    "the end is sent after the lease was lost": Mutant(
        Outcome._wait_for_lease, "while self._lease.expired:", "while False:"
    ),
    "the end is sent before the points are written": Mutant(
        Outcome._wait_for_points, "not self._recorder.wait(ticket, _LOOK_SECONDS)", "False"
    ),
    "an end that was sent is taken for a lost lease": Mutant(
        Outcome._repeat, "tried = True", "tried = False"
    ),
}
"""Errors in a worker that a test of its own has to find."""
