"""One attempt at a job, or at each job of a stack: from the claims to their ends."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from chainrule.contract.status import JobKind
from core import jobs
from core.errors import SupersededError
from core.events import Codec
from core.jobs import OUT_OF_MEMORY
from core.spec.base import Spec
from worker.attempt.departures import Departures
from worker.attempt.inference import Evaluation, Scoring
from worker.attempt.job_log import cause_text
from worker.attempt.lease import Lease
from worker.attempt.members import Members
from worker.attempt.outcome import Outcome
from worker.attempt.progress import Progress, Timeline
from worker.attempt.recorder import Recorder
from worker.attempt.task import Parts, Task
from worker.attempt.training import Training
from worker.background import BackgroundCall
from worker.failure import DATA_ERRORS, USER_ERROR, Cause, data_cause, death
from worker.node.context import Equipment
from worker.node.system_metrics import SystemMetrics
from worker.runner.channel import ChannelClosedError, Message
from worker.runner.process import RunnerProcess, send

log = structlog.get_logger()

Result = TypeVar("Result")

_LOOK_SECONDS = 0.05
_STOP_SECONDS = 0.4
_CHECKPOINT_STOP_SECONDS = 20.0
_KEEP_SECONDS = 8.0
_STALL_SECONDS = 1800.0
_TASKS: dict[JobKind, type[Task]] = {
    JobKind.TRAIN: Training,
    JobKind.EVALUATE: Evaluation,
    JobKind.SCORE: Scoring,
}
_CAUSE_FIELDS = frozenset({"kind", "message", "traceback"})


class Interrupted(Exception):  # noqa: N818 - not an error
    """The attempt ends before its work does: `reason` is cancel, pause, drain, lost or left."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Ending:
    """How the runner ended: it completed the work, was stopped for a reason, or has a cause."""

    stopped_for: str | None = None
    cause: Cause | None = None
    exit_code: int | None = None
    peak_memory_bytes: int | None = None


class Attempt:
    """Does claimed jobs in a warm runner and records in the database how each ended.

    Members of a stack may end or leave while the others continue. This thread listens to the
    runner and never waits for the database while the runner computes; the lease, the recorder and
    the ends of members have threads of their own.
    """

    def __init__(
        self, equipment: Equipment, claims: Sequence[jobs.Claim], spec: Spec, claimed_at: float
    ) -> None:
        """Prepare an attempt at jobs, the first of which has this spec.

        `claimed_at` is the monotonic moment before the first claim was sent.
        """
        self._equipment = equipment
        self._members = members = Members(claims)
        engine, settings = equipment.engine, equipment.settings
        self._lease = Lease(
            engine, members, settings, claimed_at=claimed_at, on_renewal=self._extend_lease
        )
        progress = Progress(claims, Timeline(members.first.claimed_at, claimed_at))
        self._recorder = Recorder(engine, members, progress, chunk_seconds=settings.chunk_seconds)
        self._outcome = Outcome(equipment, members, self._lease, self._recorder)
        self._task = _TASKS[members.first.kind](
            Parts(equipment, members, spec, self._recorder, self._outcome)
        )
        self._runner: RunnerProcess | None = None
        seconds = settings.system_metrics_seconds if members.alone else 0.0
        self._system_metrics = SystemMetrics(settings.data_dir, seconds=seconds)
        self._departures = Departures(
            members, self._lease, self._task, self._outcome, least_seconds=settings.chunk_seconds
        )

    def run(self) -> None:
        """Make the attempt. It always ends here, or its lease runs out."""
        first = self._members.first
        for part in (self._lease, self._recorder, self._task):
            part.start()
        if self._members.alone:
            self._equipment.mirror.watch(first.job_id, trial=jobs.SWEEP_TAG in first.tags)
        self._recorder.log(f"attempt {first.attempt} on {self._equipment.node}: fetching the data")
        folder = self._equipment.workspace.folder(f"{first.job_id}-{first.attempt}")
        try:
            self._work(folder)
        except Interrupted as interruption:
            self._stop_runner_at_once()
            if interruption.reason not in ("lost", "cancel"):
                self._task.settle()
            self._outcome.interrupt(interruption.reason)
        except SupersededError as error:
            self._stop_runner_at_once()
            log.warning("this attempt is over", reason=error.detail)
            self._outcome.leave_superseded([*self._members.owned, *self._members.superseded])
        finally:
            self._outcome.close()
            for part in (self._task, self._recorder, self._lease):
                part.end()
            self._equipment.workspace.clear(folder)
            if self._members.alone:
                self._equipment.mirror.release(first.job_id)

    def _work(self, folder: Path) -> None:
        if not self._has_files(BackgroundCall(lambda: self._task.prepare(folder))):
            return
        ending = self._compute(folder)
        if ending.cause is not None:
            self._recorder.log(cause_text(ending.cause), "error")
        if not self._keep_ready(ending.peak_memory_bytes):
            return
        if self._members.superseded:
            self._outcome.leave_superseded(self._members.superseded)
        if self._members.owned:
            self._end_rest(ending)

    def _keep_ready(self, peak_memory_bytes: int | None) -> bool:
        """Finish the jobs that came to their end; whether the files they used were right.

        A worker that drains waits a little for that.
        """
        if self._departures.batch is not None:
            self._attend(self._departures.batch, patience_seconds=_KEEP_SECONDS)
        job_ids = list(self._task.ready)
        if not job_ids:
            return True
        if not self._has_files(BackgroundCall(self._task.check), patience_seconds=_KEEP_SECONDS):
            return False
        keep = BackgroundCall(partial(self._task.keep, job_ids))
        ends = self._attend(keep, patience_seconds=_KEEP_SECONDS)
        self._outcome.finish(
            ends, peak_memory_bytes=peak_memory_bytes, also=self._task.write_with_end
        )
        return True

    def _end_rest(self, ending: Ending) -> None:
        """End the jobs that are left by how the runner ended."""
        if ending.stopped_for is not None:
            self._recorder.log(f"stopped: {ending.stopped_for}")
            raise Interrupted(ending.stopped_for)
        cause = ending.cause or {"kind": "left_out", "message": "the runner ended without it"}
        if cause["kind"] == USER_ERROR:
            self._outcome.fail(cause, ending.peak_memory_bytes)
        else:
            self._task.discard(cause)
            self._outcome.lose(cause, ending.exit_code, ending.peak_memory_bytes)

    def _has_files(self, call: BackgroundCall[None], *, patience_seconds: float = 0.0) -> bool:
        """Whether the files are here and right; if not the attempt is lost."""
        try:
            self._attend(call, patience_seconds=patience_seconds)
        except DATA_ERRORS as error:
            cause = data_cause(error, self._equipment.store)
            self._recorder.log(cause["message"], "error")
            self._outcome.lose(cause)
            return False
        return True

    def _attend(self, call: BackgroundCall[Result], *, patience_seconds: float = 0.0) -> Result:
        """The result of a call. Raises Interrupted when something more important comes first."""
        impatient_at = time.monotonic() + patience_seconds
        while not call.wait(_LOOK_SECONDS):
            reason = self._reason_to_end()
            if reason in ("lost", "cancel") or (reason and time.monotonic() >= impatient_at):
                raise Interrupted(reason)
        return call.result()

    def _reason_to_end(self) -> str | None:
        """Why the attempt should end now for all jobs that it owns, if it should.

        `lost`: they belong to other attempts. `left`: it has none any more.
        """
        if self._recorder.failed is not None:
            raise self._recorder.failed
        owned = self._members.owned
        if not owned and not self._members.superseded:
            return "left"
        if not owned or (self._lease.expired and self._equipment.drain.ending):
            return "lost"
        signals = self._lease.signals
        wanted = [signals[job_id] for job_id in owned if job_id in signals]
        if len(wanted) == len(owned) and all(it.cancel_requested for it in wanted):
            return "cancel"
        if len(wanted) == len(owned) and all(it.pause_requested for it in wanted):
            return "pause"
        return "drain" if self._equipment.drain.begun else None

    def _compute(self, folder: Path) -> Ending:  # noqa: C901 - one loop over all that may happen
        """Let the runner do the work, and handle what it sends until it ends."""
        runner = self._runner = self._equipment.runner()
        runner.begin(self._order(folder))
        stopping: str | None = None
        stop_by = float("inf")
        while True:
            try:
                message = runner.receive(_LOOK_SECONDS)
            except ChannelClosedError:
                return self._died(runner, stopping)
            if (failure := self._task.failure()) is not None:
                peak = runner.kill().peak_memory_bytes
                cause = data_cause(failure, self._equipment.store)
                return Ending(cause=cause, peak_memory_bytes=peak)
            if message is not None:
                ending = self._handle(message, stopping)
                if ending is not None:
                    return ending
            self._measure(runner)
            reason = self._reason_to_end()
            if reason is None:
                self._departures.advance(partial(self._leave, runner))
            if reason == "lost" or self._lease.overdue:
                self._stand_still(runner)
                continue
            # A cancellation outranks an earlier request to stop.
            if reason is not None and (stopping is None or (reason == "cancel" != stopping)):
                stopping, stop_by = reason, self._stop(runner, reason)
            if time.monotonic() > min(stop_by, runner.heard_at + _STALL_SECONDS):
                exit_ = runner.kill()
                if stopping is not None:
                    return Ending(stopped_for=stopping, peak_memory_bytes=exit_.peak_memory_bytes)
                return _stalled(exit_.peak_memory_bytes)

    def _order(self, folder: Path) -> Message:
        return {
            "kind": self._members.first.kind.value,
            "specs": [claim.spec for claim in self._members.claims],
            "workdir": str(folder),
            "alive_until": self._lease.until,
            **self._task.order(),
        }

    def _measure(self, runner: RunnerProcess) -> None:
        """Record how the machine does, when it is time to."""
        metrics = self._system_metrics.measure(runner.pid, self._task.step)
        if metrics:
            self._recorder.measure(metrics, time.monotonic())

    def _stand_still(self, runner: RunnerProcess) -> None:
        """Pause the runner until the lease is renewed, however long that takes.

        Raises Interrupted when other attempts took over all jobs meanwhile, or when the worker is
        to end.
        """
        log.warning("training stands still: the lease could not be renewed")
        runner.pause()
        while self._lease.overdue or not self._members.owned:
            if not self._members.owned or self._equipment.drain.ending:
                raise Interrupted("lost")
            time.sleep(_LOOK_SECONDS)
        # First this: a runner ends itself when it wakes up after its last known deadline.
        send(runner, {"do": "alive", "until": self._lease.until})
        runner.resume()
        log.info("training continues: the lease is renewed")

    def _leave(self, runner: RunnerProcess, job_id: str) -> None:
        """Have the runner train a member no longer."""
        send(runner, {"do": "leave", "network": self._members.network(job_id)})

    def _stop(self, runner: RunnerProcess, reason: str) -> float:
        """Ask the runner to stop; the moment until which that may take."""
        checkpoint = reason in ("pause", "drain") and self._members.alone
        send(runner, {"do": "stop", "checkpoint": checkpoint})
        return time.monotonic() + (_CHECKPOINT_STOP_SECONDS if checkpoint else _STOP_SECONDS)

    def _handle(self, message: Message, stopping: str | None) -> Ending | None:
        """Handle a message of the runner; how it ended if it did."""
        if message["say"] == "event":
            self._take_event({k: v for k, v in message.items() if k != "say"})
        if message["say"] == "log":
            self._recorder.log(message["text"], message["level"])
        if message["say"] != "ended":
            return None
        peak = message["peak_memory_bytes"]
        if message["how"] == "finished":
            return Ending(peak_memory_bytes=peak)
        if message["how"] == "stopped":
            return Ending(stopped_for=stopping or "lost", peak_memory_bytes=peak)
        cause: Cause = {k: v for k, v in message.items() if k in _CAUSE_FIELDS}
        if cause["kind"] == OUT_OF_MEMORY:
            cause["limit_bytes"] = self._equipment.settings.runner_memory_bytes or None
            cause["peak_bytes"] = peak
        return Ending(cause=cause, peak_memory_bytes=peak)

    def _take_event(self, document: dict[str, Any]) -> None:
        event = Codec.decode(document)
        path = getattr(event, "path", None)
        if path is not None and not self._equipment.workspace.owns(Path(path)):
            # The worker will read and upload it: a runner may not name the files of others.
            raise ValueError(f"the runner named a file outside of its folder: {path}")
        self._task.take(event, time.monotonic())

    def _died(self, runner: RunnerProcess, stopping: str | None) -> Ending:
        """How a runner ended that is gone without a message."""
        exit_ = runner.kill()
        if stopping == "cancel":
            return Ending(stopped_for=stopping, peak_memory_bytes=exit_.peak_memory_bytes)
        cause = death(exit_.code, runner.memory, exit_.peak_memory_bytes)
        return Ending(cause=cause, exit_code=exit_.code, peak_memory_bytes=exit_.peak_memory_bytes)

    def _stop_runner_at_once(self) -> None:
        """Kill a runner that still computes."""
        if self._runner is not None and self._runner.busy:
            self._runner.kill()

    def _extend_lease(self, until: float) -> None:
        runner = self._runner
        if runner is not None:
            send(runner, {"do": "alive", "until": until})


def _stalled(peak_memory_bytes: int) -> Ending:
    message = f"the runner said nothing for {_STALL_SECONDS:.0f} seconds"
    cause = {"kind": "stalled", "message": message}
    return Ending(cause=cause, peak_memory_bytes=peak_memory_bytes)
