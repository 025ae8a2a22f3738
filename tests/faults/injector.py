"""Inject faults into a stack that trains, repair it, and check the jobs."""

import random
import time
from dataclasses import dataclass, field
from typing import Any

from chainrule.contract.status import AttemptStatus, JobStatus
from tests.faults.checker import WRONG, Checker, first_point_at
from tests.faults.cluster.full_stack import FullStack
from tests.faults.cluster.stack import Stack, wait_for_training
from tests.faults.context import Change, FaultContext, Missed
from tests.faults.kinds import (
    links,
    machines,
    mlflow_api_disks,
    processes,
    releases,
    servers,
    stores,
)
from tests.faults.matrix import FAULTS, Fault
from tests.support.worker_cases import until

KINDS = (processes, servers, links, machines, mlflow_api_disks, stores, releases)
"""The modules that add faults to the matrix when they are imported."""

SPEC: dict[str, Any] = {"epochs": 300, "checkpoint": {"every_steps": 40}}
JOBS = 2
MOST_JOBS = 7
DRAIN_SECONDS = 300
TRIES = 8


@dataclass
class Outcome:
    """What one fault hit, what became of the jobs, and how long recovery took."""

    fault: str
    seed: int
    checker: Checker = field(default_factory=Checker)
    hits: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    skipped: str = ""
    from_fault_seconds: float | None = None
    from_repair_seconds: float | None = None
    mirrored_seconds: float | None = None

    @property
    def problems(self) -> list[str]:
        """Every violated invariant; also that the fault hit nothing and was not skipped."""
        if self.hits or self.skipped:
            return self.checker.messages
        return [*self.checker.messages, f"{self.fault} hit nothing: {'; '.join(self.misses)}"]

    def note(self, text: str) -> None:
        """Add a line to the history."""
        self.checker.history.append(text)


class FaultInjector:
    """Injects faults into one stack, one after another; a seed decides all that is random."""

    def __init__(self, stack: Stack) -> None:
        """Train the undisturbed jobs with which others are compared."""
        self.stack = stack
        self.references = [stack.bench.submit(**SPEC, seed=number) for number in range(MOST_JOBS)]
        self._wait_for_ends(self.references)
        for job_id in self.references:
            assert stack.status(job_id) is JobStatus.FINISHED, stack.bench.job(job_id).cause

    def run(self, name: str, seed: int, *, tries: int = TRIES) -> Outcome:
        """Inject a fault at a random moment of the training of two jobs, until it hits."""
        outcome = Outcome(name, seed)
        fault = FAULTS[name]
        if fault.needs and (why := self.stack.missing(fault.needs)):
            outcome.skipped = why
            return outcome
        for number in range(tries):
            if self._try(fault, f"{name}/{seed}/{number}", outcome) or outcome.checker.violations:
                break
        return outcome

    def _try(self, fault: Fault, seed: str, outcome: Outcome) -> bool:
        """Inject the fault once, repair, wait for the ends and check; whether the fault hit."""
        stack, rng = self.stack, random.Random(seed)
        job_ids = [stack.bench.submit(**SPEC, seed=number) for number in range(JOBS)]
        outcome.note(f"submitted {' '.join(job_ids)}")
        context: FaultContext | None = None
        why_missed = ""

        def submit(change: Change | None = None) -> str:
            assert len(job_ids) < MOST_JOBS
            job_ids.append(stack.submit(change, **SPEC, seed=len(job_ids)))
            return job_ids[-1]

        try:
            target_id = rng.choice(job_ids)
            wait_for_training(stack, target_id)
            time.sleep(rng.uniform(0.0, 0.5))
            context = FaultContext(stack, target_id, submit, seed)
            outcome.note(
                f"{fault.name} at step {context.step} of {target_id}, attempt {context.attempt}"
            )
            fault.inject(context)
        except Missed as error:
            why_missed = str(error)
        stack.repair()
        repaired_at = time.time()
        outcome.note("repaired")
        self._wait_for_ends(job_ids)
        self._kill_orphans(outcome)
        for job_id, reference_id in zip(job_ids, self.references, strict=False):
            outcome.checker.check(stack.bench, job_id, reference_id)
            self._check_mlflow(job_id, repaired_at, outcome)
        for why in context.violations if context else ():
            outcome.checker.report(f"a job of {fault.name}", WRONG, why)
        if context is not None and not why_missed:
            why_missed = self._why_missed(fault, context)
        if context is None or why_missed:
            outcome.misses.append(why_missed)
            outcome.note(f"missed: {why_missed}")
            return False
        outcome.hits = [hit.what for hit in context.hits]
        outcome.checker.history += outcome.hits
        self._measure_recovery(context, repaired_at, outcome)
        return True

    def _why_missed(self, fault: Fault, context: FaultContext) -> str:
        """Why the fault missed its attempt; empty if it did not."""
        if not context.hits:
            return "it recorded no hit"
        job = self.stack.bench.job(context.job_id)
        if job.finished_at is not None and job.finished_at.timestamp() <= context.hits[0].at:
            return "the job had ended before the fault"
        attempts = {it.number: it for it in self.stack.bench.attempts(context.job_id)}
        if fault.ends_attempt and attempts[context.attempt].status is AttemptStatus.FINISHED:
            return f"attempt {context.attempt} finished nevertheless"
        return ""

    def _measure_recovery(
        self, context: FaultContext, repaired_at: float, outcome: Outcome
    ) -> None:
        """Set how long it took until a later attempt trained, if there was one."""
        at = first_point_at(self.stack.bench, context.job_id, after_attempt=context.attempt)
        if at is not None:
            outcome.from_fault_seconds = at - context.hits[0].at
            outcome.from_repair_seconds = max(0.0, at - repaired_at)

    def _check_mlflow(self, job_id: str, repaired_at: float, outcome: Outcome) -> None:
        """Compare MLflow with the database, if the stack has MLflow."""
        if isinstance(self.stack, FullStack) and self.stack.check_mlflow(job_id, outcome.checker):
            finished_at = self.stack.bench.job(job_id).finished_at
            assert finished_at is not None
            outcome.mirrored_seconds = time.time() - max(repaired_at, finished_at.timestamp())

    def _kill_orphans(self, outcome: Outcome) -> None:
        """Kill and report processes that outlive their worker by a minute."""
        try:
            until(lambda: not self.stack.orphans())
        except AssertionError:
            for process in self.stack.orphans():
                outcome.checker.report(f"process {process.pid}", WRONG, "outlived its worker")
                process.kill()

    def _wait_for_ends(self, job_ids: list[str]) -> None:
        """Wait until the jobs end; the checker reports those that do not."""
        give_up_at = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < give_up_at:
            if all(self.stack.status(job_id).terminal for job_id in job_ids):
                return
            time.sleep(0.1)
