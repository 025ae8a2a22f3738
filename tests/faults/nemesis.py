"""Do faults to a stack that trains, heal it, and compare with what should have been."""

import random
import time
from dataclasses import dataclass, field

from core import jobs
from core.db.session import reading
from core.status import AttemptStatus, JobStatus
from tests.faults.matrix import FAULTS
from tests.faults.stack import Stack, training
from tests.workercases import until

SPEC = {"epochs": 300, "checkpoint": {"every_steps": 40}, "max_attempts": 20}
JOBS = 2
DRAIN_SECONDS = 150
TRIES = 10


@dataclass
class Outcome:
    """What became of the jobs of one fault. All lists are empty when nothing went wrong."""

    fault: str
    seed: int
    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    attempts: int = 0
    recovery_seconds: float | None = None
    history: list[str] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        """Every invariant that did not hold."""
        return self.lost + self.doubled + self.wrong


class Nemesis:
    """Runs faults one after another on one stack; a seed decides all that is random."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.calm = [stack.bench.submit(**SPEC, seed=number) for number in range(JOBS)]
        self._drain(self.calm)
        for job_id in self.calm:
            assert stack.status(job_id) is JobStatus.FINISHED, stack.bench.job(job_id).cause

    def run(self, name: str, seed: int) -> Outcome:
        """One fault at a random moment of two jobs' training, healed, drained and checked."""
        rng = random.Random(f"{name}/{seed}")
        stack, outcome = self.stack, Outcome(name, seed, jobs=JOBS)
        job_ids, victim = self._victim(rng)
        outcome.history.append(f"submitted {' '.join(job_ids)}")
        before = stack.bench.job(victim)
        outcome.history.append(f"{name} at step {before.progress_step}")
        FAULTS[name](stack, victim, rng)
        stack.heal()
        healed_at = time.monotonic()
        outcome.history.append("healed")
        self._recover(victim, before.attempt, healed_at, outcome)
        self._drain(job_ids)
        for job_id, calm in zip(job_ids, self.calm, strict=True):
            self._check(job_id, calm, outcome)
        return outcome

    def _victim(self, rng: random.Random) -> tuple[list[str], str]:
        """Jobs, one of which trains at this moment: a fault that meets nobody proves nothing."""
        stack = self.stack
        for _ in range(TRIES):
            job_ids = [stack.bench.submit(**SPEC, seed=number) for number in range(JOBS)]
            victim = rng.choice(job_ids)
            training(stack, victim)
            time.sleep(rng.uniform(0.0, 0.5))
            if stack.running(victim):
                return job_ids, victim
            self._drain(job_ids)
        raise AssertionError("no job trained for long enough to meet a fault")

    def _recover(self, job_id: str, attempt: int, healed_at: float, outcome: Outcome) -> None:
        """How long after the healing a later attempt trained, when the fault cost one."""

        def again() -> bool:
            job = self.stack.bench.job(job_id)
            return job.status.terminal or (job.attempt > attempt and self.stack.running(job_id))

        try:
            until(again, seconds=DRAIN_SECONDS)
        except AssertionError:
            return
        if self.stack.bench.job(job_id).attempt > attempt:
            outcome.recovery_seconds = time.monotonic() - healed_at

    def _drain(self, job_ids: list[str]) -> None:
        """Wait for the ends; jobs without one are found by the check."""
        give_up_at = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < give_up_at:
            if all(self.stack.status(job_id).terminal for job_id in job_ids):
                return
            time.sleep(0.1)

    def _check(self, job_id: str, calm_id: str, outcome: Outcome) -> None:
        bench = self.stack.bench
        job, calm = bench.job(job_id), bench.job(calm_id)
        attempts = bench.attempts(job_id)
        outcome.attempts += len(attempts)
        with reading(bench.engine) as session:
            events = jobs.events(session, job_id)
        outcome.history += [f"{job_id} {one.kind} #{one.attempt} by {one.actor}" for one in events]
        ends = [one for one in events if JobStatus(one.status).terminal]
        if job.status is not JobStatus.FINISHED:
            outcome.lost.append(f"I1 {job_id} is {job.status}: {job.cause}")
            return
        finished = [one for one in attempts if one.status is AttemptStatus.FINISHED]
        if len(ends) != 1 or len(finished) != 1:
            outcome.doubled.append(f"I2 {job_id} ended {len(ends)} times")
        if bench.history(job_id) != bench.history(calm_id):
            outcome.wrong.append(f"I3 the points of {job_id} differ")
        order = [one.attempt for one in events]
        if order != sorted(order):
            outcome.wrong.append(f"I4 an older attempt of {job_id} acted after a newer one")
        if job.result["weights_digest"] != calm.result["weights_digest"]:
            outcome.wrong.append(f"I5 the weights of {job_id} differ")
        if any(one.status is AttemptStatus.RUNNING for one in attempts):
            outcome.wrong.append(f"I6 an attempt of {job_id} still runs")
