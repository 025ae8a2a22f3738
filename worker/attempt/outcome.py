"""Tell the database how an attempt ended, however often that has to be tried while it may."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy.orm import Session

from core import jobs
from core.data.storage.stores import Store
from core.db.session import transaction
from core.db.tables import Job
from core.errors import SupersededError, UnavailableError
from core.events import TrainingEnded
from core.status import JobStatus
from worker.attempt.lease import Lease
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
    """Bring an attempt's model file to the store, once. Raises UnavailableError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    key = f"models/{claim.job_id}/{claim.attempt}/model.safetensors"
    store.put_file(path, key)
    return KeptModel(key, digest, path.stat().st_size)


def outcome(ended: TrainingEnded, model: KeptModel) -> dict[str, Any]:
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


def stored(put: Callable[[], Result], *, held: Callable[[], bool]) -> Result:
    """Bring a file to the store by `put`, trying for as long as the lease is `held`.

    Raises UnavailableError after that.
    """
    while True:
        try:
            return put()
        except UnavailableError as error:
            if not held():
                raise
            log.warning("a file waits for the store", reason=error.detail)
            time.sleep(_RETRY_SECONDS)


def note_loss(equipment: Equipment, job_id: str, cause: Cause) -> None:
    """Count an attempt that was lost here, and have the circuit breaker judge it."""
    equipment.counts.add("attempts_lost")
    if by_machine(cause):
        equipment.counts.add("machine_losses")
    equipment.breaker.lost(job_id, cause)


class Conclusion:
    """The ends that an attempt may come to. Points are written before the end is told."""

    def __init__(
        self,
        equipment: Equipment,
        claim: jobs.Claim,
        lease: Lease,
        recorder: Recorder,
    ) -> None:
        self._equipment = equipment
        self._claim = claim
        self._lease = lease
        self._recorder = recorder

    def stored(self, put: Callable[[], Result]) -> Result:
        """Bring a file to the store. Raises UnavailableError when the lease ended meanwhile."""
        return stored(put, held=lambda: not self._lease.lost)

    def finished(
        self,
        result: dict[str, Any],
        peak: int | None,
        *,
        insights: dict[str, Any] | None = None,
        also: Callable[[Session, Job], object] | None = None,
    ) -> None:
        """The work is done; `also` is written in the same transaction, and may be repeated."""
        self._finish(
            JobStatus.FINISHED,
            also=also,
            result=result,
            insights=insights,
            peak_memory_bytes=peak,
        )

    def failed(self, cause: Cause, peak: int | None) -> None:
        """What the client asked for cannot be done."""
        self._finish(JobStatus.FAILED, cause=cause, peak_memory_bytes=peak)

    def lost(self, cause: Cause, exit_code: int | None = None, peak: int | None = None) -> None:
        """Something broke that is not the client's fault: the job may be tried again.

        It is charged with the loss unless this machine is to blame.
        """
        log.warning("the attempt was lost", **cause)
        note_loss(self._equipment, self._claim.job_id, cause)
        self._written()
        self._settle(
            lambda session: jobs.lose(
                session,
                self._claim.job_id,
                self._claim.attempt,
                cause=cause,
                exit_code=exit_code,
                peak_memory_bytes=peak,
                charged=not by_machine(cause),
            )
        )

    def interrupted(self, why: str) -> None:
        """Somebody wants the attempt to end: `cancel`, `pause`, `drain`; or it is `lost`.

        What the next attempt goes on from is safe by now, if it is to be given back.
        """
        log.info("the attempt is interrupted", why=why)
        if why == "lost":
            self._equipment.counts.add("attempts_superseded")
            return
        if why == "cancel":
            self._finish(JobStatus.CANCELLED, cause={"kind": "cancelled"})
            return
        self._written()
        self._equipment.counts.add("attempts_released")
        self._settle(
            lambda session: jobs.release(
                session, self._claim.job_id, self._claim.attempt, cause={"kind": why}
            )
        )

    def _finish(
        self,
        status: JobStatus,
        *,
        also: Callable[[Session, Job], object] | None = None,
        **outcome: Any,
    ) -> None:
        def end(session: Session) -> None:
            claim = self._claim
            job = jobs.finish(session, claim.job_id, claim.attempt, status, **outcome)
            if also is not None:
                also(session, job)

        self._written()
        self._settle(end)
        self._equipment.counts.add(f"attempts_{status.value}")
        if status in (JobStatus.FINISHED, JobStatus.FAILED):
            self._equipment.breaker.succeeded()
        log.info("the attempt ended", status=status.value)

    def _written(self) -> None:
        """Wait until all points are in the database, as long as the lease holds."""
        ticket = self._recorder.ticket()
        while not self._recorder.wait(ticket, _LOOK_SECONDS):
            if self._recorder.failed is not None:
                raise self._recorder.failed
            if self._lease.lost:
                raise SupersededError("the lease ran out before all metrics were written")

    def _settle(self, work: Callable[[Session], object]) -> None:
        """Do `work` in a transaction until it is done or the lease is lost.

        Twice is harmless: a second time raises SupersededError, or says the same again.
        """
        tried = False
        while not self._lease.lost:
            try:
                with transaction(self._equipment.engine) as session:
                    work(session)
                return
            except SupersededError:
                if tried:
                    # The try before this one was answered by silence, and did it.
                    return
                raise
            except UnavailableError as error:
                tried = True
                log.warning("the end of the attempt waits", reason=error.detail)
                time.sleep(_RETRY_SECONDS)
        raise SupersededError("the lease ran out before the end could be told")
