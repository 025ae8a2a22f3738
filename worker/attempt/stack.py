"""One attempt at each of several jobs that are trained side by side, as a stack of networks.

All in one thread: the runner computes, this one listens, renews, writes and ends. No checkpoints:
stacks are of small networks, and one that broke off begins anew.
"""

import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy.orm import Session

from core import jobs
from core.data.table.schema import DatasetSchema
from core.db.session import transaction
from core.db.types import to_milliseconds
from core.errors import UnavailableError
from core.events import Codec, StackReported, TrainingEnded, TrainingFailed, TrainingStarted
from core.jobs import Ended, Written
from core.spec import JobSpec
from core.spec.admission import input_shape
from core.status import JobStatus
from worker.attempt.inputs import Materials, prepare
from worker.attempt.outcome import KeptModel, keep_model, note_loss, outcome, stored
from worker.attempt.stack_lease import JointLease, Wishes
from worker.attempt.stack_progress import Columns
from worker.background import Errand
from worker.failure import DATA_ERRORS, USER_ERROR, Cause, by_machine, data_cause, death
from worker.node.context import Equipment
from worker.node.memory import rows_fit
from worker.runner.channel import ChannelClosedError, Message
from worker.runner.process import RunnerProcess, say

log = structlog.get_logger()

Result = TypeVar("Result")

MOST_MEMBERS = 64
MOST_NUMBERS = 16_000_000
"""Weights of all members together: with their gradients and slots some hundred megabytes."""

_LISTEN_SECONDS = 0.05
_RETRY_SECONDS = 0.25
_STOP_SECONDS = 0.4
_STALL_SECONDS = 1800.0
_UPLOADS = 4
_REST = 20.0
"""Between two writes so many times as long as the last one took."""
_LONGEST_REST_SECONDS = 10.0
_CAUSE_FIELDS = frozenset({"kind", "message", "traceback"})


class LeaseLostError(Exception):
    """Nothing more may be written for any member."""


def room_for(claim: jobs.Claim, data_memory_bytes: int) -> int:
    """How many networks like that of `claim` are trained side by side at most.

    One alone, when its rows do not fit into `data_memory_bytes`: only a stack of one reads them
    from the disk.
    """
    spec, schema = (
        JobSpec.model_validate(claim.spec),
        DatasetSchema.model_validate(claim.dataset_schema),
    )
    if not rows_fit(spec, schema, data_memory_bytes):
        return 1
    return min(MOST_MEMBERS, MOST_NUMBERS // max(1, spec.network.size(input_shape(spec, schema))))


class Group:
    """Trains claimed jobs of one stack key in a warm runner; each ends as it would alone."""

    def __init__(self, equipment: Equipment, claims: list[jobs.Claim], claimed_at: float) -> None:
        """`claimed_at` is the monotonic moment before the first claim was sent."""
        self._equipment = equipment
        self._claims = claims
        self._network = {claim.job_id: number for number, claim in enumerate(claims)}
        self._owned = {claim.job_id: claim.attempt for claim in claims}
        self._columns = Columns(JobSpec.model_validate(claims[0].spec), len(claims))
        self._claimed_at = claimed_at
        self._start_ms = to_milliseconds(claims[0].claimed_at)
        self._runner: RunnerProcess | None = None
        self._lease = JointLease(
            equipment.engine, equipment.settings, claimed_at=claimed_at, renewed=self._tell_alive
        )
        self._write_at = time.monotonic() + equipment.settings.chunk_seconds
        self._started: dict[str, Any] = {}
        self._ended: dict[int, TrainingEnded] = {}
        self._failed: dict[int, str] = {}
        self._step = 0
        self._peak: int | None = None

    def run(self) -> None:
        """Make all attempts. Whatever happens, they end here or their lease ends them."""
        first = self._claims[0]
        folder = self._equipment.workspace.folder(f"{first.job_id}-{first.attempt}")
        try:
            self._train_and_conclude(folder)
        except LeaseLostError:
            self._equipment.counts.add("attempts_superseded", len(self._owned))
            log.warning("these attempts are over", jobs=len(self._owned))
        finally:
            if self._runner is not None and self._runner.busy:
                self._runner.kill()
            self._equipment.workspace.clear(folder)

    def _train_and_conclude(self, folder: Path) -> None:
        e = self._equipment
        claim = self._claims[0]
        errand = Errand(lambda: prepare(e.engine, e.store, e.cache, claim, nearer=e.nearer()))
        while not errand.wait(_LISTEN_SECONDS):
            self._tend()
        try:
            materials = errand.result()
        except DATA_ERRORS as error:
            cause = data_cause(error, e.store)
            if by_machine(cause):
                self._lose(cause)
            else:
                # Alone, each fails by what its own data lacks.
                self._give_back(cause, alone=True)
            return
        with materials.keeping:
            why = self._train(materials, folder)
        self._conclude()
        if why is None:
            why, alone = {"kind": "left_out", "message": "the stack ended without it"}, True
        else:
            alone = why["kind"] != "drain"
        if why["kind"] == USER_ERROR:
            self._end({job_id: Ended(JobStatus.FAILED, cause=why) for job_id in self._owned})
        elif self._owned and by_machine(why):
            self._lose(why)
        elif self._owned:
            self._give_back(why, alone=alone)

    def _train(self, materials: Materials, folder: Path) -> Cause | None:
        """Have the runner train; None when it did, or why it ended before that."""
        runner = self._runner = self._equipment.runner()
        runner.begin(
            {
                "kind": "stack",
                "specs": [claim.spec for claim in self._claims],
                "table": str(materials.table),
                "workdir": str(folder),
                "alive_until": self._lease.until,
            }
        )
        stop_by = float("inf")
        stopping = False
        while True:
            try:
                message = runner.receive(_LISTEN_SECONDS)
            except ChannelClosedError:
                exit_ = runner.kill()
                self._peak = exit_.peak_memory_bytes
                return death(exit_.code, runner.memory, exit_.peak_memory_bytes)
            if message is not None and message["say"] == "ended":
                return self._told(message)
            if message is not None and message["say"] == "event":
                self._hear({key: value for key, value in message.items() if key != "say"})
            self._tend()
            if not stopping and (self._equipment.drain.begun or not self._owned):
                stopping, stop_by = True, time.monotonic() + _STOP_SECONDS
                say(runner, {"do": "stop", "checkpoint": False})
            if time.monotonic() > stop_by:
                runner.kill()
                return {"kind": "drain"}
            if time.monotonic() > runner.heard_at + _STALL_SECONDS:
                runner.kill()
                message_ = f"the runner said nothing for {_STALL_SECONDS:.0f} seconds"
                return {"kind": "stalled", "message": message_}

    def _told(self, message: Message) -> Cause | None:
        """How the runner says that training ended."""
        self._peak = message["peak_memory_bytes"]
        if message["how"] == "finished":
            return None
        if message["how"] == "stopped":
            return {"kind": "drain"}
        return {key: value for key, value in message.items() if key in _CAUSE_FIELDS}

    def _hear(self, document: dict[str, Any]) -> None:
        match Codec.decode(document):
            case StackReported() as report:
                at_ms = self._start_ms + round(1000 * (time.monotonic() - self._claimed_at))
                self._columns.add(report, at_ms)
                counts, members = self._equipment.counts, len(report.networks)
                counts.add("points", members * len(report.metrics))
                counts.add("steps", members * max(0, report.step - self._step))
                self._step = report.step
            case TrainingStarted() as event:
                self._started = {
                    "weights": event.weights,
                    "steps_total": event.steps_total,
                    "epochs_total": event.epochs_total,
                }
            case TrainingEnded() as event:
                self._ended[event.network] = event
            case TrainingFailed() as event:
                self._failed[event.network] = event.detail

    def _tend(self) -> None:
        """What is due: renew the lease, hear what is wanted, write. Raises LeaseLostError."""
        try:
            wanted = self._wait_out() if self._lease.pausing else self._lease.look(self._owned)
        except UnavailableError as error:
            log.warning("the lease was not renewed", reason=error.detail)
            wanted = None
        if wanted is not None:
            self._obey(wanted)
        due = self._columns.empty is False or self._ended or self._failed
        if due and time.monotonic() >= self._write_at:
            begun = time.monotonic()
            self._conclude()
            # Writing for many takes a processor that might train.
            rest = max(self._equipment.settings.chunk_seconds, _REST * (time.monotonic() - begun))
            self._write_at = time.monotonic() + min(rest, _LONGEST_REST_SECONDS)

    def _wait_out(self) -> Wishes:
        """Have training stand still until the lease is renewed, however long that takes.

        Members that are ours then go on: an outage of the database costs no attempt. Raises
        LeaseLostError when the worker is to end meanwhile.
        """
        log.warning("a stack stands still: its lease could not be renewed")
        runner = self._runner if self._runner is not None and self._runner.busy else None
        if runner is not None:
            runner.pause()
        while True:
            try:
                wanted = self._lease.renew(self._owned)
                break
            except UnavailableError as error:
                if self._equipment.drain.ending:
                    raise LeaseLostError from error
                time.sleep(_RETRY_SECONDS)
        if runner is not None:
            runner.go_on()
        log.info("a stack goes on: its lease holds")
        return wanted

    def _tell_alive(self, until: float) -> None:
        if self._runner is not None:
            say(self._runner, {"do": "alive", "until": until})

    def _obey(self, wanted: Wishes) -> None:
        """Let go of members that are not ours any more, or that somebody wants to end or pause."""
        self._forget(set(self._owned) - set(wanted))
        cancelled = [job_id for job_id, wish in wanted.items() if wish.cancel_requested]
        paused = [
            job_id
            for job_id, wish in wanted.items()
            if wish.pause_requested and not wish.cancel_requested
        ]
        if not cancelled and not paused:
            return
        self._write()
        if cancelled:
            end = Ended(JobStatus.CANCELLED, cause={"kind": "cancelled"})
            self._end(dict.fromkeys(cancelled, end))
        if paused:
            self._give_back({"kind": "pause"}, only=paused)

    def _conclude(self) -> None:
        """Write what was reported, and end the members that are through."""
        self._write()
        number = {network: job_id for job_id, network in self._network.items()}
        ends: dict[str, Ended] = {}
        for network, detail in self._failed.items():
            cause = {"kind": USER_ERROR, "message": detail}
            ends[number[network]] = Ended(JobStatus.FAILED, cause=cause)
        ended = {
            self._claims[network].job_id: event
            for network, event in self._ended.items()
            if self._claims[network].job_id in self._owned
        }
        for job_id, model in self._keep_models(ended).items():
            ends[job_id] = Ended(JobStatus.FINISHED, result=outcome(ended[job_id], model))
        self._failed.clear()
        self._ended.clear()
        self._end({job_id: end for job_id, end in ends.items() if job_id in self._owned})

    def _keep_models(self, ended: dict[str, TrainingEnded]) -> dict[str, KeptModel]:
        """Bring the models of members to the store; several at once, for the store may be far."""

        def keep(job_id: str) -> KeptModel:
            claim, path = self._claims[self._network[job_id]], Path(ended[job_id].path)
            try:
                model = stored(
                    lambda: keep_model(self._equipment.store, claim, path),
                    held=lambda: time.monotonic() < self._lease.until,
                )
            except UnavailableError as error:
                raise LeaseLostError from error
            path.unlink(missing_ok=True)
            return model

        with ThreadPoolExecutor(_UPLOADS) as pool:
            return dict(zip(ended, pool.map(keep, ended), strict=True))

    def _write(self) -> None:
        """Bring the reports since the last time to the database, and what the ended ones add."""
        if self._columns.empty and not self._ended:
            return
        written = self._columns.take([self._network[job_id] for job_id in self._owned])
        for network, event in self._ended.items():
            if network in written:
                written[network] = self._with_end(written[network], network, event)
        reports = {
            job_id: self._with_totals(written[self._network[job_id]]) for job_id in self._owned
        }
        ours = self._settled(lambda session: jobs.record_all(session, self._owned, reports))
        self._forget(set(self._owned) - ours)

    def _with_totals(self, written: Written) -> Written:
        progress = {**self._started, **written.progress}
        return Written(written.sequence, written.keys, written.points, progress)

    def _with_end(self, written: Written, network: int, event: TrainingEnded) -> Written:
        """What a member that has ended tells besides: metrics that no epoch told."""
        at_ms = self._start_ms + round(1000 * (time.monotonic() - self._claimed_at))
        last = self._columns.last(network)
        return written.joined(
            [
                jobs.Point(key, event.step, event.epoch, at_ms, value)
                for key, value in event.metrics.items()
                if key not in last
            ],
            {
                "step": event.step,
                "epoch": event.epoch,
                "last": last | event.metrics,
                "best": event.details.get("best_metrics") or self._columns.best(network),
            },
        )

    def _end(self, ends: dict[str, Ended]) -> None:
        """End members for good and let go of them."""
        if not ends:
            return
        peak = self._peak
        self._settled(
            lambda session: jobs.finish_all(session, self._owned, ends, peak_memory_bytes=peak)
        )
        for end in ends.values():
            self._equipment.counts.add(f"attempts_{end.status.value}")
            if end.status in (JobStatus.FINISHED, JobStatus.FAILED):
                self._equipment.breaker.succeeded()
        self._leave(ends)

    def _give_back(
        self, cause: Cause, *, only: Collection[str] | None = None, alone: bool = False
    ) -> None:
        """Release members, or all that are left; they wait again, or pause."""
        some = {job_id: self._owned[job_id] for job_id in only or list(self._owned)}
        log.info("jobs of a stack are given back", jobs=len(some), **cause)
        self._settled(lambda session: jobs.release_all(session, some, cause=cause, alone=alone))
        self._equipment.counts.add("attempts_released", len(some))
        self._leave(some)

    def _lose(self, cause: Cause) -> None:
        """End all that are left as lost by this machine: they wait again, uncharged."""
        some = dict(self._owned)
        log.warning("the attempts of a stack were lost", jobs=len(some), **cause)
        note_loss(self._equipment, self._claims[0].job_id, cause)
        self._settled(lambda session: jobs.lose_all(session, some, cause=cause))
        self._leave(some)

    def _forget(self, job_ids: Collection[str]) -> None:
        """These are not ours any more: nothing is written for them."""
        if job_ids:
            self._equipment.counts.add("attempts_superseded", len(job_ids))
            self._leave(job_ids)

    def _leave(self, job_ids: Collection[str]) -> None:
        for job_id in list(job_ids):
            self._owned.pop(job_id, None)
            if self._runner is not None and self._runner.busy:
                say(self._runner, {"do": "leave", "network": self._network[job_id]})

    def _settled(self, work: Callable[[Session], Result]) -> Result:
        """Do `work` in a transaction until it is done. Raises LeaseLostError."""

        while True:
            try:
                with transaction(self._equipment.engine) as session:
                    return work(session)
            except UnavailableError as error:
                log.warning("a stack waits for the database", reason=error.detail)
                if self._lease.pausing:
                    self._wait_out()
                time.sleep(_RETRY_SECONDS)
