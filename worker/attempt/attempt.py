"""One attempt at a job: from the claim to its end, watched by the child that owns the slot."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from core import jobs
from core.errors import SupersededError
from core.events import Codec
from core.jobs import OUT_OF_MEMORY
from core.status import JobKind
from worker.attempt.inference import Evaluation, Scoring
from worker.attempt.job_log import cause_text
from worker.attempt.lease import Lease
from worker.attempt.outcome import Conclusion
from worker.attempt.progress import Timeline
from worker.attempt.recorder import Recorder
from worker.attempt.task import Assignment, Work
from worker.attempt.training import Training
from worker.background import Errand
from worker.failure import DATA_ERRORS, USER_ERROR, Cause, data_cause, death
from worker.node.context import Equipment
from worker.node.system_metrics import SystemMetrics
from worker.runner.channel import ChannelClosedError, Message
from worker.runner.process import RunnerProcess, say

log = structlog.get_logger()

Result = TypeVar("Result")

_LOOK_SECONDS = 0.05
_STOP_SECONDS = 0.4
_CHECKPOINT_STOP_SECONDS = 20.0
_KEEP_SECONDS = 8.0
_STALL_SECONDS = 1800.0
_WORKS: dict[JobKind, type[Work]] = {
    JobKind.TRAIN: Training,
    JobKind.EVALUATE: Evaluation,
    JobKind.SCORE: Scoring,
}
_CAUSE_FIELDS = frozenset({"kind", "message", "traceback"})


class Interrupted(Exception):  # noqa: N818 - not an error
    """Something came before the end of the work: `why` is cancel, pause, drain or lost."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Ending:
    """How the runner ended: it did what it was told, was stopped for a wish, or has a cause."""

    done: bool = False
    stopped_for: str | None = None
    cause: Cause | None = None
    exit_code: int | None = None
    peak_memory_bytes: int | None = None


class Attempt:
    """Does one claimed job in a warm runner and tells the database how that went."""

    def __init__(self, equipment: Equipment, claim: jobs.Claim, claimed_at: float) -> None:
        """`claimed_at` is the monotonic moment before the claim was sent."""
        self._equipment = equipment
        self._claim = claim
        engine, settings = equipment.engine, equipment.settings
        self._lease = Lease(
            engine, claim, settings, claimed_at=claimed_at, renewed=self._tell_alive
        )
        self._recorder = Recorder(engine, claim, chunk_seconds=settings.chunk_seconds)
        self._conclusion = Conclusion(equipment, claim, self._lease, self._recorder)
        timeline = Timeline(claim.claimed_at, claimed_at)
        given = Assignment(equipment, claim, self._recorder, self._conclusion, timeline)
        self._work = _WORKS[claim.kind](given)
        self._runner: RunnerProcess | None = None
        self._vitals = SystemMetrics(settings.data_dir, seconds=settings.system_metrics_seconds)

    def run(self) -> None:
        """Make the attempt. Whatever happens, it ends here or its lease ends it."""
        for part in (self._lease, self._recorder, self._work):
            part.start()
        trial = jobs.SWEEP_TAG in self._claim.tags
        self._equipment.mirror.watch(self._claim.job_id, trial=trial)
        where = f"attempt {self._claim.attempt} on {self._equipment.node}"
        self._recorder.say(f"{where}: fetching the data")
        folder = self._equipment.workspace.folder(f"{self._claim.job_id}-{self._claim.attempt}")
        try:
            self._work_and_conclude(folder)
        except Interrupted as interruption:
            self._stop_runner_at_once()
            if interruption.why not in ("lost", "cancel"):
                self._work.settle()
            self._conclusion.interrupted(interruption.why)
        except SupersededError as error:
            self._stop_runner_at_once()
            self._equipment.counts.add("attempts_superseded")
            log.warning("this attempt is over", reason=error.detail)
        finally:
            for part in (self._work, self._recorder, self._lease):
                part.end()
            self._equipment.workspace.clear(folder)
            self._equipment.mirror.release(self._claim.job_id)

    def _work_and_conclude(self, folder: Path) -> None:
        if not self._has(Errand(lambda: self._work.prepare(folder))):
            return
        ending = self._have_done(folder)
        if ending.cause is not None:
            self._recorder.say(cause_text(ending.cause), "error")
        if ending.done:
            # A worker that drains waits a little for what was made to be kept.
            if not self._has(Errand(self._work.check), patience_seconds=_KEEP_SECONDS):
                return
            kept = self._attend(Errand(self._work.keep), patience_seconds=_KEEP_SECONDS)
            self._work.finish(kept, ending.peak_memory_bytes)
        elif ending.stopped_for is not None:
            self._recorder.say(f"stopped: {ending.stopped_for}")
            raise Interrupted(ending.stopped_for)
        elif ending.cause is not None and ending.cause["kind"] == USER_ERROR:
            self._conclusion.failed(ending.cause, ending.peak_memory_bytes)
        elif ending.cause is not None:
            self._work.spoilt(ending.cause)
            self._conclusion.lost(ending.cause, ending.exit_code, ending.peak_memory_bytes)

    def _has(self, errand: Errand[None], *, patience_seconds: float = 0.0) -> bool:
        """Whether the files are to be had; if not the attempt is concluded."""
        try:
            self._attend(errand, patience_seconds=patience_seconds)
        except DATA_ERRORS as error:
            cause = data_cause(error, self._equipment.store)
            self._recorder.say(cause["message"], "error")
            self._conclusion.lost(cause)
            return False
        return True

    def _attend(self, errand: Errand[Result], *, patience_seconds: float = 0.0) -> Result:
        """Wait for an errand. Raises Interrupted when something more important comes first."""
        impatient_at = time.monotonic() + patience_seconds
        while not errand.wait(_LOOK_SECONDS):
            why = self._wish()
            if why in ("lost", "cancel") or (why and time.monotonic() >= impatient_at):
                raise Interrupted(why)
        return errand.result()

    def _wish(self) -> str | None:
        """Why this attempt should end now, if it should."""
        failed = self._recorder.failed
        if failed is not None:
            raise failed
        if self._lease.lost:
            return "lost"
        if self._lease.cancel.is_set():
            return "cancel"
        if self._lease.pause.is_set():
            return "pause"
        return "drain" if self._equipment.drain.begun else None

    def _have_done(self, folder: Path) -> Ending:
        """Have the runner do the work, and hear it out."""
        runner = self._runner = self._equipment.runner()
        runner.begin(
            {
                "kind": self._claim.kind.value,
                "spec": self._claim.spec,
                "workdir": str(folder),
                "alive_until": self._lease.until,
                **self._work.order(),
            }
        )
        stopping: str | None = None
        stop_by = float("inf")
        while True:
            try:
                message = runner.receive(_LOOK_SECONDS)
            except ChannelClosedError:
                return self._died(runner, stopping)
            if (failure := self._work.failure()) is not None:
                peak = runner.kill().peak_memory_bytes
                cause = data_cause(failure, self._equipment.store)
                return Ending(cause=cause, peak_memory_bytes=peak)
            if message is not None:
                ending = self._hear(message, stopping)
                if ending is not None:
                    return ending
            self._measure(runner)
            wish = self._wish()
            if wish == "lost" or self._lease.pausing:
                self._wait_out(runner)
                continue
            # A cancellation outranks whatever else the runner was told before.
            if wish is not None and (stopping is None or (wish == "cancel" != stopping)):
                stopping, stop_by = wish, self._tell_stop(runner, wish)
            if time.monotonic() > min(stop_by, runner.heard_at + _STALL_SECONDS):
                exit_ = runner.kill()
                if stopping is not None:
                    return Ending(stopped_for=stopping, peak_memory_bytes=exit_.peak_memory_bytes)
                return _stalled(exit_.peak_memory_bytes)

    def _measure(self, runner: RunnerProcess) -> None:
        """Tell how the machine does, when it is time to."""
        found = self._vitals.measure(runner.pid, self._work.step)
        if found:
            self._work.measured(found, time.monotonic())

    def _wait_out(self, runner: RunnerProcess) -> None:
        """Have training stand still until the lease is renewed, however long that takes.

        Raises Interrupted when another attempt took over meanwhile, or when the worker is to end.
        """
        log.warning("training stands still: the lease could not be renewed")
        runner.pause()
        while self._lease.pausing or self._lease.superseded.is_set():
            if self._lease.superseded.wait(_LOOK_SECONDS) or self._equipment.drain.ending:
                raise Interrupted("lost")
        # First this: it ends itself when it wakes and has not heard that the lease holds.
        say(runner, {"do": "alive", "until": self._lease.until})
        runner.go_on()
        log.info("training goes on: the lease holds")

    def _tell_stop(self, runner: RunnerProcess, wish: str) -> float:
        """Ask the runner to stop; until when it may take."""
        checkpoint = wish != "cancel"
        say(runner, {"do": "stop", "checkpoint": checkpoint})
        seconds = _CHECKPOINT_STOP_SECONDS if checkpoint else _STOP_SECONDS
        return time.monotonic() + seconds

    def _hear(self, message: Message, stopping: str | None) -> Ending | None:
        """Take what the runner says; how it ended if it did."""
        if message["say"] == "event":
            self._take_event({k: v for k, v in message.items() if k != "say"})
        if message["say"] == "log":
            self._recorder.say(message["text"], message["level"])
        if message["say"] != "ended":
            return None
        peak = message["peak_memory_bytes"]
        if message["how"] == "finished":
            return Ending(done=True, peak_memory_bytes=peak)
        if message["how"] == "stopped":
            return Ending(stopped_for=stopping or "lost", peak_memory_bytes=peak)
        cause: Cause = {k: v for k, v in message.items() if k in _CAUSE_FIELDS}
        if cause["kind"] == OUT_OF_MEMORY:
            cause["limit_bytes"] = self._equipment.settings.runner_memory_bytes or None
            cause["peak_bytes"] = peak
        return Ending(cause=cause, peak_memory_bytes=peak)

    def _take_event(self, document: dict[str, Any]) -> None:
        self._work.take(Codec.decode(document), time.monotonic())

    def _died(self, runner: RunnerProcess, stopping: str | None) -> Ending:
        """The runner is gone without a word."""
        exit_ = runner.kill()
        if stopping == "cancel":
            return Ending(stopped_for=stopping, peak_memory_bytes=exit_.peak_memory_bytes)
        cause = death(exit_.code, runner.memory, exit_.peak_memory_bytes)
        return Ending(cause=cause, exit_code=exit_.code, peak_memory_bytes=exit_.peak_memory_bytes)

    def _stop_runner_at_once(self) -> None:
        """Let nothing of this attempt go on: a runner that still trains is ended."""
        if self._runner is not None and self._runner.busy:
            self._runner.kill()

    def _tell_alive(self, until: float) -> None:
        runner = self._runner
        if runner is not None:
            say(runner, {"do": "alive", "until": until})


def _stalled(peak_memory_bytes: int) -> Ending:
    message = f"the runner said nothing for {_STALL_SECONDS:.0f} seconds"
    cause = {"kind": "stalled", "message": message}
    return Ending(cause=cause, peak_memory_bytes=peak_memory_bytes)
