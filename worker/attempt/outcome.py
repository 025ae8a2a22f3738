"""Record in the database how the jobs of an attempt ended, retrying while the attempt may."""

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core import jobs
from core.data.storage.stores import Store
from core.db.session import transaction
from core.errors import SupersededError, UnavailableError
from core.events import TrainingEnded
from core.jobs import End
from worker.attempt.lease import Lease
from worker.attempt.members import Members
from worker.attempt.recorder import Recorder
from worker.failure import Cause, by_machine
from worker.node.context import Equipment

log = structlog.get_logger()

_RETRY_SECONDS = 0.25
_LOOK_SECONDS = 0.1

Result = TypeVar("Result")


@dataclass(frozen=True)
class KeptModel:
    """A model file in the store."""

    key: str
    digest: str
    bytes: int


def keep_model(store: Store, claim: jobs.Claim, path: Path) -> KeptModel:
    """Upload an attempt's model file to the store, once. Raises UnavailableError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    key = f"models/{claim.job_id}/{claim.attempt}/model.safetensors"
    store.put_file(path, key)
    return KeptModel(key, digest, path.stat().st_size)


def training_result(ended: TrainingEnded, model: KeptModel) -> dict[str, Any]:
    """The `result` of a job whose training ended with this model."""
    return {
        "weights_digest": ended.weights_digest,
        "model_key": model.key,
        "model_digest": model.digest,
        "model_bytes": model.bytes,
        "metrics": ended.metrics,
        "reason": ended.reason,
        "step": ended.step,
        "epoch": ended.epoch,
        **ended.details,
    }


def note_loss(equipment: Equipment, job_id: str, cause: Cause) -> None:
    """Count an attempt that was lost here, and report it to the circuit breaker."""
    equipment.counts.add("attempts_lost")
    if by_machine(cause):
        equipment.counts.add("machine_losses")
    equipment.breaker.lost(job_id, cause)


class Outcome:
    """Ends members of an attempt, some or all; their points are written before their end.

    Nothing is written while the lease has run out: it is renewed after an outage of the database,
    unless another attempt took over. Methods raise SupersededError when no member is owned any
    more, or the worker has to end before the lease is renewed.
    """

    def __init__(
        self, equipment: Equipment, members: Members, lease: Lease, recorder: Recorder
    ) -> None:
        self._equipment = equipment
        self._members = members
        self._lease = lease
        self._recorder = recorder
        self._closed = threading.Event()
        self._settling = threading.Lock()

    def close(self) -> None:
        """Let threads that still try to end members give up: the attempt is over."""
        self._closed.set()

    def stored(self, put: Callable[[], Result]) -> Result:
        """The result of `put`, which uploads a file, retried while the store is unavailable."""
        while True:
            try:
                return put()
            except UnavailableError as error:
                self._require_owner()
                log.warning("an upload waits for the store", reason=error.detail)
                time.sleep(_RETRY_SECONDS)

    def finish(
        self,
        ends: Mapping[str, End],
        *,
        peak_memory_bytes: int | None = None,
        also: Callable[[Session, str], object] = lambda *_: None,
    ) -> None:
        """End jobs for good. `also` is called for each in the same transaction, perhaps again."""
        ends = {
            job_id: replace(end, peak_memory_bytes=peak_memory_bytes)
            for job_id, end in ends.items()
        }

        def work(session: Session, owned: jobs.Owned) -> set[str]:
            ended = jobs.finish_all(session, owned, {job_id: ends[job_id] for job_id in owned})
            for job_id in ended:
                also(session, job_id)
            return ended

        for job_id in self._settle(list(ends), work):
            status = ends[job_id].status
            self._equipment.counts.add(f"attempts_{status.value}")
            if status in (JobStatus.FINISHED, JobStatus.FAILED):
                self._equipment.breaker.succeeded()
            log.info("the attempt ended", job=job_id, status=status.value)

    def cancel(self, job_ids: Collection[str]) -> None:
        """End jobs whose owner cancelled them."""
        self.finish(dict.fromkeys(job_ids, End(JobStatus.CANCELLED, cause={"kind": "cancelled"})))

    def fail(self, cause: Cause, peak_memory_bytes: int | None) -> None:
        """End all jobs whose spec or data cannot be trained."""
        ends = dict.fromkeys(self._members.owned, End(JobStatus.FAILED, cause=cause))
        self.finish(ends, peak_memory_bytes=peak_memory_bytes)

    def release(self, job_ids: Collection[str], cause: Cause, *, alone: bool = False) -> None:
        """Give jobs back, uncharged; with `alone` they join no stack again."""
        log.info("jobs are given back", jobs=len(job_ids), **cause)
        released = self._settle(
            job_ids,
            lambda session, owned: jobs.release_all(session, owned, cause=cause, alone=alone),
        )
        self._equipment.counts.add("attempts_released", len(released))

    def lose(
        self, cause: Cause, exit_code: int | None = None, peak_memory_bytes: int | None = None
    ) -> None:
        """End the attempts at all jobs: each may be tried again.

        A loss is charged unless this machine is to blame. Members of a stack are not charged: each
        is tried alone, which shows which of them it was.
        """
        job_ids = list(self._members.owned)
        charged = not by_machine(cause)
        if charged and not self._members.alone:
            self.release(job_ids, cause, alone=True)
            return
        log.warning("the attempt was lost", jobs=len(job_ids), **cause)
        note_loss(self._equipment, self._members.first.job_id, cause)
        self._settle(
            job_ids,
            lambda session, owned: jobs.lose_all(
                session,
                owned,
                cause=cause,
                exit_code=exit_code,
                peak_memory_bytes=peak_memory_bytes,
                charged=charged,
            ),
        )

    def interrupt(self, reason: str) -> None:
        """End all jobs because of `cancel`, `pause` or `drain`, or because they are `lost`.

        Checkpoints that the next attempts resume from are uploaded before this is called.
        """
        log.info("the attempt is interrupted", reason=reason)
        job_ids = list(self._members.owned)
        if reason == "lost":
            self.leave_superseded([*job_ids, *self._members.superseded])
        elif reason == "cancel":
            self.cancel(job_ids)
        else:
            self.release(job_ids, {"kind": reason})

    def leave_superseded(self, job_ids: Collection[str]) -> None:
        """Write nothing more for jobs that belong to other attempts by now."""
        if job_ids:
            log.warning("jobs belong to other attempts", jobs=len(job_ids))
            self._equipment.counts.add("attempts_superseded", len(job_ids))
            self._members.leave(job_ids)

    def _settle(
        self, job_ids: Collection[str], work: Callable[[Session, jobs.Owned], set[str]]
    ) -> set[str]:
        """End these jobs by `work` in a transaction; the ids of those that it ended."""
        with self._settling:
            self._wait_for_points()
            return self._repeat(set(job_ids), work)

    def _repeat(
        self, job_ids: set[str], work: Callable[[Session, jobs.Owned], set[str]]
    ) -> set[str]:
        """Try `work` until the database has answered."""
        owned = {job_id: n for job_id, n in self._members.owned.items() if job_id in job_ids}
        self.leave_superseded(self._members.superseded & job_ids)
        tried = False
        while owned:
            self._wait_for_lease()
            try:
                with transaction(self._equipment.engine) as session:
                    ended = work(session, owned)
                # A try whose answer was lost may have ended them.
                ended = set(owned) if tried else ended
                self._members.leave(ended)
                self.leave_superseded(owned.keys() - ended)
                return ended
            except UnavailableError as error:
                tried = True
                log.warning("the end of the attempt waits", reason=error.detail)
                time.sleep(_RETRY_SECONDS)
        return set()

    def _wait_for_points(self) -> None:
        """Wait until all points are in the database."""
        ticket = self._recorder.ticket()
        while not self._recorder.wait(ticket, _LOOK_SECONDS):
            if self._recorder.failed is not None:
                raise self._recorder.failed
            self._require_owner()

    def _wait_for_lease(self) -> None:
        """Wait until the lease is renewed, if it has run out."""
        while self._lease.expired:
            self._require_owner()
            time.sleep(_RETRY_SECONDS)

    def _require_owner(self) -> None:
        ending = self._equipment.drain.ending and self._lease.expired
        if self._closed.is_set() or ending or not self._members.owned:
            raise SupersededError("the lease ran out before the end could be recorded")
