"""One slot of a worker: it is woken by a bell, claims a job, trains it, and looks for the next."""

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
from worker.attempt.attempt import Attempt
from worker.attempt.outcome import note_loss
from worker.attempt.stack import Group, room_for
from worker.failure import Cause, by_machine, worker_cause
from worker.node import logs
from worker.node.context import Equipment

log = structlog.get_logger()

_CANDIDATES = 4
_PASS_ON_SECONDS = 0.5
_LEFT_SECONDS = 0.5


class Slot:
    """Trains one job at a time; what waits in the database is taken without another bell."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._left = False  # whether a job was left to a worker that holds its data

    def work(self, job_id: str) -> int:
        """Train the job `job_id` if it still waits, then what else waits; how many were trained.

        Never raises for what goes wrong with a job or a server: the database knows what is left.
        """
        self._left = False
        trained = int(self._attempt(job_id))
        if not trained and not self._left:
            log.info("a bell for a job that does not wait", job=job_id)
            self._equipment.counts.add("duplicate_bells")
        while self._takes_jobs and self._next():
            trained += 1
        return trained

    @property
    def _takes_jobs(self) -> bool:
        """Whether a job may be claimed: the worker does not drain, its breaker is closed."""
        return not (self._equipment.drain.begun or self._equipment.breaker.open)

    def _next(self) -> bool:
        """Train the job next in turn, if any waits; stay while some are left to others."""
        while self._takes_jobs:
            left, self._left = self._left, False
            if any(self._attempt(job_id) for job_id in self._waiting()):
                return True
            if not (left or self._left):
                break
            time.sleep(_LEFT_SECONDS)
        return False

    def _waiting(self) -> list[str]:
        """The jobs next in turn."""
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
        """Claim and train one job; False when it is not to be had."""
        equipment = self._equipment
        if not self._takes_jobs:
            self._pass_on(job_id)
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
            # If the claim was given after all, nobody renews it and it is taken back.
            log.warning("cannot claim", job=job_id, reason=error.detail)
            return False
        if claim is None:
            self._pass_on_if_kept_off(job_id)
            return False
        structlog.contextvars.bind_contextvars(job=claim.job_id, attempt=claim.attempt)
        claims = [claim]
        try:
            log.info("claimed", experiment=claim.experiment, dataset=claim.dataset)
            equipment.counts.set("busy", 1)
            claims += self._beside(claim)
            if len(claims) > 1:
                log.info("trained side by side", jobs=len(claims))
                Group(equipment, claims, claimed_at).run()
            else:
                Attempt(equipment, claim, claimed_at).run()
        except jobs.UnknownSpecError as error:
            self._decline(claim, error)
        except Exception as error:
            # A slot that dies of one job would take the next ones with it.
            log.exception("the attempt went wrong")
            cause = worker_cause(error)
            for lost in claims:
                self._lose(lost, cause)
        finally:
            equipment.counts.set("busy", 0)
            logs.forget_job()
            self._warm_up()
        return True

    def _warm_up(self) -> None:
        """Start the runner before the next job asks for it."""
        try:
            self._equipment.runner()
        except OSError as error:
            self._equipment.breaker.trip(f"no runner can be started: {error}")

    def _leave(self, session: Session, job_id: str) -> bool:
        """Whether a job is left to a worker that holds its data; then another bell is rung."""
        equipment = self._equipment
        left = jobs.left_to_others(
            session,
            job_id,
            worker=equipment.worker,
            holds=equipment.holdings.holds,
            alive_seconds=ALIVE_SECONDS,
        )
        if left:
            jobs.unring(session, job_id)
            self._left = True
        return left

    def _beside(self, first: jobs.Claim) -> list[jobs.Claim]:
        """Claim what can be trained together with a job: this slot's share of what waits.

        Raises UnknownSpecError when the spec of the job itself cannot be read.
        """
        jobs.read(first)
        if first.stack_key is None or first.checkpoint is not None:
            return []
        equipment = self._equipment
        try:
            with transaction(equipment.engine) as session:
                slots = nodes.slots(session).get(equipment.queues[0], 1)
                waiting = jobs.waiting_beside(session, first.stack_key)
                share = math.ceil((waiting + 1) / max(1, slots))
                return jobs.claim_beside(
                    session,
                    first,
                    min(room_for(first, equipment.data_memory_bytes), share) - 1,
                    lease_seconds=equipment.settings.lease_seconds,
                    pid=os.getpid(),
                    versions=equipment.versions,
                )
        except UnavailableError as error:
            log.warning("a job is trained alone", reason=error.detail)
            return []

    def _pass_on_if_kept_off(self, job_id: str) -> None:
        """Let another worker hear of a job that this one must leave to others."""
        equipment = self._equipment
        with suppress(ChainruleError):
            with reading(equipment.engine) as session:
                left = jobs.kept_off(session, job_id, node=equipment.node, worker=equipment.worker)
            if left:
                self._left = True
                self._pass_on(job_id)

    def _pass_on(self, job_id: str) -> None:
        """Let another worker hear the message that one which takes no jobs, or not this, took."""
        # Not before whoever rang has noted so.
        time.sleep(_PASS_ON_SECONDS)
        with suppress(ChainruleError), transaction(self._equipment.engine) as session:
            jobs.unring(session, job_id)

    def _decline(self, claim: jobs.Claim, error: jobs.UnknownSpecError) -> None:
        """Leave a claim to a newer release; if that fails, its lease runs out."""
        log.error("the spec cannot be read", reason=error.detail)
        with suppress(ChainruleError), transaction(self._equipment.engine) as session:
            jobs.decline(session, claim.job_id, claim.attempt, error)

    def _lose(self, claim: jobs.Claim, cause: Cause) -> None:
        """Give up a claim after an error of ours; if that fails too, its lease runs out."""
        note_loss(self._equipment, claim.job_id, cause)
        charged = not by_machine(cause)
        with suppress(ChainruleError), transaction(self._equipment.engine) as session:
            jobs.lose(session, claim.job_id, claim.attempt, cause=cause, charged=charged)
