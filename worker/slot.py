"""One slot of a worker: a message wakes it, it claims a job, trains it, and takes the next."""

import math
import os
import time
from contextlib import suppress

import structlog
from sqlalchemy.orm import Session

from core import jobs, nodes
from core.db.availability import ALIVE_SECONDS
from core.db.session import reading, transaction
from core.errors import ChainruleError, UnavailableError
from core.spec import JobSpec
from core.spec.base import Spec
from worker.attempt.attempt import Attempt
from worker.attempt.outcome import note_loss
from worker.attempt.training import stack_limit
from worker.failure import Cause, by_machine, worker_cause
from worker.node import logs
from worker.node.context import Equipment

log = structlog.get_logger()

_CANDIDATES = 4
_SEND_AGAIN_SECONDS = 0.5
_LEFT_SECONDS = 0.5


class Slot:
    """Does one attempt at a time; queued jobs are taken without further messages."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._left = False  # whether a job was left to another worker

    def work(self, job_id: str) -> int:
        """Do the job `job_id` if it is still queued, then other queued jobs; how many claims.

        Never raises for what goes wrong with a job or a server: the database knows what is left.
        """
        self._left = False
        trained = int(self._attempt(job_id))
        if not trained and not self._left:
            log.info("a message for a job that is not queued", job=job_id)
            self._equipment.counts.add("duplicate_bells")
        while self._takes_jobs and self._next():
            trained += 1
        return trained

    @property
    def _takes_jobs(self) -> bool:
        """Whether a job may be claimed: no drain has begun and the breaker is closed."""
        return not (self._equipment.drain.begun or self._equipment.breaker.open)

    def _next(self) -> bool:
        """Do the next queued job, if there is one; keep looking while some are left to others."""
        while self._takes_jobs:
            left, self._left = self._left, False
            if any(self._attempt(job_id) for job_id in self._waiting()):
                return True
            if not (left or self._left):
                break
            time.sleep(_LEFT_SECONDS)
        return False

    def _waiting(self) -> list[str]:
        """The ids of the next queued jobs, in the order of claiming."""
        try:
            with reading(self._equipment.engine) as session:
                return [
                    job_id
                    for queue in self._equipment.queues
                    for job_id in jobs.due(
                        session,
                        queue,
                        _CANDIDATES,
                        again_seconds=0,
                        claimant=(self._equipment.node, self._equipment.worker),
                    )
                ]
        except UnavailableError as error:
            log.warning("cannot look for the next job", reason=error.detail)
            return []

    def _attempt(self, job_id: str) -> bool:
        """Claim and do one job; False when it cannot be claimed."""
        equipment = self._equipment
        if not self._takes_jobs:
            self._send_again(job_id)
            return False
        claimed_at = time.monotonic()
        try:
            with transaction(equipment.engine) as session:
                if self._leave(session, job_id):
                    return False
                claim = jobs.claim(
                    session,
                    job_id,
                    node=equipment.node,
                    worker=equipment.worker,
                    lease_seconds=equipment.settings.lease_seconds,
                    pid=os.getpid(),
                    versions=equipment.versions,
                )
        except UnavailableError as error:
            # If the claim was made after all, nobody renews it and its lease runs out.
            log.warning("cannot claim", job=job_id, reason=error.detail)
            return False
        if claim is None:
            self._send_again_if_kept_off(job_id)
            return False
        structlog.contextvars.bind_contextvars(job=claim.job_id, attempt=claim.attempt)
        claims = [claim]
        try:
            log.info("claimed", experiment=claim.experiment, dataset=claim.dataset)
            equipment.counts.set("busy", 1)
            spec = jobs.read(claim)
            claims += self._claim_stack(claim, spec)
            if len(claims) > 1:
                log.info("trained as a stack", jobs=len(claims))
            Attempt(equipment, claims, spec, claimed_at).run()
        except jobs.UnknownSpecError as error:
            self._decline(claim, error)
        except Exception as error:
            # A slot must survive an error in one job for the sake of the next.
            log.exception("the attempt went wrong")
            cause = worker_cause(error)
            self._lose(claims, cause)
        finally:
            equipment.counts.set("busy", 0)
            logs.forget_job()
            self._warm_up()
        return True

    def _warm_up(self) -> None:
        """Start the runner before the next job needs it."""
        try:
            self._equipment.runner()
        except OSError as error:
            self._equipment.breaker.trip(f"no runner can be started: {error}")

    def _leave(self, session: Session, job_id: str) -> bool:
        """Whether a job is left to a worker that holds its data; another message is sent then."""
        equipment = self._equipment
        left = jobs.left_to_others(
            session,
            job_id,
            worker=equipment.worker,
            holds=equipment.holdings.holds,
            alive_seconds=ALIVE_SECONDS,
        )
        if left:
            jobs.notify_again(session, job_id)
            self._left = True
        return left

    def _claim_stack(self, first: jobs.Claim, spec: Spec) -> list[jobs.Claim]:
        """Claim this slot's share of the queued jobs that train in one stack with a claimed job."""
        if first.stack_key is None or first.checkpoint is not None:
            return []
        assert isinstance(spec, JobSpec)
        equipment = self._equipment
        try:
            with transaction(equipment.engine) as session:
                slots = nodes.slots(session).get(equipment.queues[0], 1)
                waiting = jobs.stackable(session, first.stack_key)
                share = math.ceil((waiting + 1) / max(1, slots))
                return jobs.claim_stack(
                    session,
                    first,
                    min(stack_limit(first, spec, equipment.data_memory_bytes), share) - 1,
                    lease_seconds=equipment.settings.lease_seconds,
                    pid=os.getpid(),
                    versions=equipment.versions,
                )
        except UnavailableError as error:
            log.warning("a job is trained alone", reason=error.detail)
            return []

    def _send_again_if_kept_off(self, job_id: str) -> None:
        """Send another message for a job that this worker must leave to others."""
        equipment = self._equipment
        with suppress(ChainruleError):
            with reading(equipment.engine) as session:
                left = jobs.kept_off(session, job_id, node=equipment.node, worker=equipment.worker)
            if left:
                self._left = True
                self._send_again(job_id)

    def _send_again(self, job_id: str) -> None:
        """Send another message for a job whose message reached a worker that cannot take it."""
        # Not before the sender has recorded the first message.
        time.sleep(_SEND_AGAIN_SECONDS)
        with suppress(ChainruleError), transaction(self._equipment.engine) as session:
            jobs.notify_again(session, job_id)

    def _decline(self, claim: jobs.Claim, error: jobs.UnknownSpecError) -> None:
        """Give a claim back for a newer release; if that fails, its lease runs out."""
        log.error("the spec cannot be read", reason=error.detail)
        with suppress(ChainruleError), transaction(self._equipment.engine) as session:
            jobs.decline(session, claim.job_id, claim.attempt, error)

    def _lose(self, claims: list[jobs.Claim], cause: Cause) -> None:
        """Lose claims after an unexpected error; if that fails too, their leases run out."""
        note_loss(self._equipment, claims[0].job_id, cause)
        owned = {claim.job_id: claim.attempt for claim in claims}
        charged = not by_machine(cause)
        with suppress(ChainruleError), transaction(self._equipment.engine) as session:
            jobs.lose_all(session, owned, cause=cause, charged=charged)
